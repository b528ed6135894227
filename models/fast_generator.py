"""The generator and its skip connections for inference on the CPU: modulated weights once per w+, then plain layers.

A snapshot of the weights; the same numbers as `Generator` with `SkipFusion` within float rounding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.fast_layers import Conv, channels_last
from models.fast_upsample import UpBlock, UpConv
from models.fusion import SkipFusion
from models.generator import Generator
from models.latent_batch import row
from models.layers import RescaledUpConv, StyledConv, ToRGB
from models.layers import UpConv as PlainUpConv
from models.moments import Moments
from models.ops import SQRT2
from models.winograd import Winograd

KEPT = 4
"""Latents whose prepared layers are kept."""


Noise = tuple[Tensor | None, Tensor | None]
"""The noise maps of a block's two convolutions."""
Block = Callable[[Tensor, Noise, bool], tuple[Tensor | None, Tensor]]
"""(x, noise, whether it is the last) → (feature, None from the last; its RGB without the running image)."""


class FastStyledConv:
    """What is common to all w+ of one StyledConv."""

    def __init__(self, layer: StyledConv) -> None:
        self._layer, self._conv = layer, layer.conv
        self._weight = weight = self._conv.weight.detach()
        # A transposed convolution of stride 1 is a convolution with the turned weight.
        self._turned = isinstance(self._conv, RescaledUpConv)
        self._winograd = Winograd(weight, self._conv.dilation, self._turned)
        self._bias = layer.activation_bias.detach() * SQRT2
        self._energy = weight.square().sum(dim=(2, 3)) * self._conv.scale**2  # [O, C]

    @property
    def doubles(self) -> bool:
        """True where the layer doubles the size."""
        return isinstance(self._conv, PlainUpConv)

    def noise(self, noise: Tensor | None, height: int, width: int) -> Tensor | None:
        """What the map adds before the activation, [1, 1, height, width]."""
        if noise is None:
            return None
        return self._layer.noise_weight.detach() * SQRT2 * F.adaptive_avg_pool2d(noise, (height, width))

    def prepare_up(self, w: Tensor) -> UpConv:
        """The layer for one w [1, style_dim], where it doubles the size."""
        assert isinstance(self._conv, PlainUpConv)
        style, gain = self._factors(w)
        weight = self._weight * style[:, None, None] * gain[:, None, None, None]
        return UpConv(weight, self._conv.blur.kernel, self._bias, slope=0.2)

    def prepare(self, w: Tensor) -> Conv:
        """The layer for one w [1, style_dim], where it keeps the size; `filtered` goes before it."""
        style, gain = self._factors(w)
        return Conv(
            self._weight,
            dilation=self._conv.dilation,
            padding=0 if self._turned else None,
            scale=style,
            gain=gain,
            bias=self._bias,
            slope=0.2,
            turned=self._turned,
            winograd=self._winograd,
        )

    def filtered(self, x: Tensor) -> Tensor:
        """The smoothing that stands before a dilated "up" convolution; nothing for the others."""
        return self._conv.blur(x) if isinstance(self._conv, RescaledUpConv) else x

    def _factors(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """(style [C], demodulation [O] with every constant factor)."""
        style = self._conv.modulation(w)[0]
        # √2 of the activation goes into what enters the leaky ReLU, which is positively homogeneous.
        return style, torch.rsqrt(self._energy @ style.square() + 1e-8) * (self._conv.scale * SQRT2)


class SameBlock:
    """A block of native size 4 to 32, for one w+: it keeps the size and reaches as far by dilation."""

    def __init__(
        self, layers: Sequence[FastStyledConv], ws: Sequence[Tensor], to_rgb: Callable[[Tensor], Tensor]
    ) -> None:
        self._layers = [(layer, layer.prepare(w)) for layer, w in zip(layers, ws, strict=True)]
        self._to_rgb = to_rgb

    def __call__(self, x: Tensor, noise: Sequence[Tensor | None], last: bool) -> tuple[Tensor | None, Tensor]:
        """See Block."""
        for (layer, conv), own in zip(self._layers, noise, strict=False):
            x = conv(layer.filtered(x), noise=own)
        return (None if last else x), self._to_rgb(x)


def prepare_to_rgb(layer: ToRGB, w: Tensor) -> Callable[[Tensor], Tensor]:
    """ToRGB for one w [1, style_dim], without the running image: [1, C, H, W] → [1, 3, H, W], planar."""
    weight = layer.conv.weight[:, :, 0, 0] * (layer.conv.modulation(w) * layer.conv.scale)  # [3, C]
    bias = layer.bias.view(3, 1)

    def to_rgb(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        pixels = x[0].permute(1, 2, 0).reshape(height * width, -1)
        return torch.addmm(bias, weight, pixels.T).view(1, 3, height, width)

    return to_rgb


class FastFusion:
    """SkipFusion without copies; attention, which only an edit turns on, keeps its plain formulation."""

    def __init__(self, fusion: SkipFusion) -> None:
        self._fusion = fusion
        transform, activation = fusion.transform
        assert isinstance(transform, nn.Conv2d)
        assert isinstance(activation, nn.LeakyReLU)
        assert transform.bias is not None
        assert fusion.fusion_out.bias is not None
        self._transform = Conv(transform.weight, bias=transform.bias.detach(), slope=activation.negative_slope)
        self._out = Conv(fusion.fusion_out.weight, bias=fusion.fusion_out.bias.detach())

    def __call__(
        self, x: Tensor, rgb: Tensor, skip: Tensor, direction: Tensor | None, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """As SkipFusion.forward, batch size 1."""
        y = self._transform(channels_last(skip))
        if direction is not None and self._fusion.attention:
            y = self._fusion.attend(x, y, direction, moments)
        if self._fusion.skip_to_rgb:
            rgb = self._fusion.fusion_skip(torch.cat([rgb, y], dim=1))
        return self._out(x, y), rgb

    def compare(self, x: Tensor, skip: Tensor) -> Tensor:
        """What the attention looks at; SkipFusion.compare."""
        return self._fusion.compare(x, self._transform(channels_last(skip)))


def prepare_blocks(wplus: Tensor, convs: Sequence[FastStyledConv], to_rgbs: Sequence[ToRGB]) -> list[Block]:
    """Every layer of the generator for one w+ [1, L, style_dim]: conv1 and to_rgb1, then block 0, 1, …"""
    ws = wplus.unbind(dim=1)
    blocks: list[Block] = [SameBlock(convs[:1], ws[:1], prepare_to_rgb(to_rgbs[0], ws[1]))]
    for k, layer in enumerate(to_rgbs[1:]):
        # Block k takes w_{2k+1}, w_{2k+2} and for its RGB w_{2k+3}.
        pair, own = convs[2 * k + 1 : 2 * k + 3], ws[2 * k + 1 : 2 * k + 3]
        to_rgb = prepare_to_rgb(layer, ws[2 * k + 3])
        if pair[0].doubles:
            blocks.append(UpBlock(pair[0].prepare_up(own[0]), pair[1].prepare(own[1]), to_rgb))
        else:
            blocks.append(SameBlock(pair, own, to_rgb))
    return blocks


class FastSteps:
    """See models.steps.Steps."""

    def __init__(
        self,
        generator: Generator,
        convs: Sequence[FastStyledConv],
        to_rgbs: Sequence[ToRGB],
        fusions: Sequence[FastFusion],
        blocks: Sequence[Block],
        edit: Tensor | None,
    ) -> None:
        self._generator, self._convs, self._to_rgbs = generator, convs, to_rgbs
        self._fusions, self._blocks, self._edit = fusions, blocks, edit

    def start(self, feature: Tensor | None, feature_rgb: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """See Steps."""
        if feature is not None and feature_rgb is not None and self._generator.feature_index == 1:
            return channels_last(feature), feature_rgb
        if feature is None:
            feature = F.adaptive_avg_pool2d(self._generator.constant, 32)
        size = (feature.shape[2], feature.shape[3])
        x, rgb = self._blocks[0](channels_last(feature), (self._convs[0].noise(noise, *size), None), False)
        assert x is not None
        return x, rgb

    def fuse(
        self, k: int, x: Tensor, rgb: Tensor, skip: Tensor, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """See Steps."""
        return self._fusions[k](x, rgb, skip, self._direction(k), moments)

    def compare(self, k: int, x: Tensor, skip: Tensor) -> Tensor:
        """See Steps."""
        return self._fusions[k].compare(x, skip)

    def block(self, k: int, x: Tensor, rgb: Tensor, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """See Steps; the feature after the last block is empty."""
        pair = self._convs[2 * k + 1 : 2 * k + 3]
        height, width = (int(side * (1 + pair[0].doubles)) for side in x.shape[2:])
        own = pair[0].noise(noise[0], height, width), pair[1].noise(noise[1], height, width)
        y, added = self._blocks[k + 1](x, own, k == len(self._blocks) - 2)
        return x.new_empty(0) if y is None else y, added.add_(self._to_rgbs[k + 1].resample(rgb))

    def _direction(self, k: int) -> Tensor | None:
        return None if self._edit is None else self._edit[:, 2 * k + 1]


class FastGenerator:
    """w+, features and edit → image, one sample at a time, so that a batch changes no bit.

    The layers prepared for the last few w+ are kept; they are found again by the numbers in w+, not by its identity.
    """

    def __init__(self, generator: Generator, fusions: Sequence[SkipFusion]) -> None:
        self._generator = generator
        layers = [generator.conv1, *generator.convs]
        self._convs = [FastStyledConv(layer) for layer in layers if isinstance(layer, StyledConv)]
        to_rgbs = [generator.to_rgb1, *generator.to_rgbs]
        self._to_rgbs = [layer for layer in to_rgbs if isinstance(layer, ToRGB)]
        self._fusions = [FastFusion(fusion) for fusion in fusions]
        self._prepared: OrderedDict[bytes, list[Block]] = OrderedDict()

    def __call__(
        self,
        wplus: Tensor,
        feature: Tensor | None,
        feature_rgb: Tensor | None,
        noise: Sequence[Tensor | None] | None,
        skips: Sequence[Tensor],
        edit: Tensor | None,
    ) -> Tensor:
        """[B, 3, H, W]. Arguments as of StyleGANEX.synthesize, checked there; `edit` is already part of `wplus`."""
        batch = max(wplus.shape[0], 1 if feature is None else feature.shape[0])
        maps = noise if noise is not None else [None] * len(self._convs)

        def one(tensor: Tensor | None, i: int) -> Tensor | None:
            return None if tensor is None else row(tensor, i)

        images = []
        for i in range(batch):
            steps = self.steps(row(wplus, i), one(edit, i))
            x, rgb = steps.start(one(feature, i), one(feature_rgb, i), one(maps[0], i))
            for k in range(len(self._to_rgbs) - 1):
                if k < min(len(skips), len(self._fusions)):
                    x, rgb = steps.fuse(k, x, rgb, row(skips[k], i))
                x, rgb = steps.block(k, x, rgb, (one(maps[2 * k + 1], i), one(maps[2 * k + 2], i)))
            images.append(rgb)
        return images[0] if batch == 1 else torch.cat(images)

    def steps(self, wplus: Tensor, edit: Tensor | None) -> FastSteps:
        """The generator for one w+ [1, L, style_dim] and edit [1, L, style_dim], step by step."""
        return FastSteps(self._generator, self._convs, self._to_rgbs, self._fusions, self._layers(wplus), edit)

    def _layers(self, wplus: Tensor) -> list[Block]:
        key = wplus.contiguous().numpy().tobytes()
        found = self._prepared.pop(key, None) or prepare_blocks(wplus, self._convs, self._to_rgbs)
        self._prepared[key] = found
        while len(self._prepared) > KEPT:
            self._prepared.popitem(last=False)
        return found
