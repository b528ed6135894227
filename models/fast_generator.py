"""The generator and its skip connections for inference on the CPU: modulated weights once per w+, then plain layers.

A snapshot of the weights; the same numbers as `Generator` with `SkipFusion` within float rounding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.fast_layers import Conv, SharedWinograd, UpConv, channels_last
from models.fusion import SkipFusion
from models.generator import Generator
from models.layers import ModulatedConv, RescaledUpConv, StyledConv, ToRGB
from models.layers import UpConv as PlainUpConv
from models.ops import SQRT2

Layer = Callable[[Tensor, Tensor | None], Tensor]
"""(x, noise map or None) → the layer's activation."""
RGB = Callable[[Tensor, Tensor | None], Tensor]
"""(x, running RGB or None) → the new running RGB."""
KEPT = 4
"""Latents whose prepared layers are kept."""


class FastStyledConv:
    """What is common to all w+ of one StyledConv."""

    def __init__(self, layer: StyledConv) -> None:
        self._layer, self._conv = layer, layer.conv
        weight = self._conv.weight.detach()
        if isinstance(self._conv, RescaledUpConv):
            weight = weight.flip(2, 3)  # a transposed convolution of stride 1 is a convolution with the turned weight
        self._weight, self._winograd = weight, SharedWinograd(weight, self._conv.dilation)
        self._bias = layer.activation_bias.detach() * SQRT2
        self._noise_weight = layer.noise_weight.detach() * SQRT2
        self._energy = weight.square().sum(dim=(2, 3)) * self._conv.scale**2  # [O, C]

    def prepare(self, w: Tensor) -> Layer:
        """The layer for one w [1, style_dim]."""
        conv = self._conv
        style = conv.modulation(w)[0]
        # √2 of the activation goes into what enters the leaky ReLU, which is positively homogeneous.
        gain = torch.rsqrt(self._energy @ style.square() + 1e-8) * (conv.scale * SQRT2)
        if isinstance(conv, PlainUpConv):
            weight = self._weight * style[:, None, None] * gain[:, None, None, None]
            up = UpConv(weight, conv.blur.kernel, self._bias, slope=0.2)
            return lambda x, noise: up(x, self._noise(noise, x, 2))
        padding = 0 if isinstance(conv, RescaledUpConv) else None
        same = Conv(
            self._weight,
            dilation=conv.dilation,
            padding=padding,
            scale=style,
            gain=gain,
            bias=self._bias,
            slope=0.2,
            winograd=self._winograd,
        )
        blur = conv.blur if isinstance(conv, RescaledUpConv) else None
        return lambda x, noise: same(x if blur is None else blur(x), noise=self._noise(noise, x, 1))

    def _noise(self, noise: Tensor | None, x: Tensor, factor: int) -> Tensor | None:
        if noise is None:
            return None
        return self._noise_weight * F.adaptive_avg_pool2d(noise, (factor * x.shape[2], factor * x.shape[3]))


def prepare_to_rgb(layer: ToRGB, w: Tensor) -> RGB:
    """ToRGB for one w [1, style_dim]; a product of matrices, whose result has its channels apart."""
    conv: ModulatedConv = layer.conv
    weight = conv.weight[:, :, 0, 0] * (conv.modulation(w) * conv.scale)  # [3, C]
    bias = layer.bias.view(3, 1)

    def to_rgb(x: Tensor, rgb: Tensor | None) -> Tensor:
        height, width = x.shape[2:]
        pixels = x[0].permute(1, 2, 0).reshape(height * width, -1)
        y = torch.addmm(bias, weight, pixels.T).view(1, 3, height, width)
        return y if rgb is None else y.add_(layer.resample(rgb))

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

    def __call__(self, x: Tensor, rgb: Tensor, skip: Tensor, direction: Tensor | None) -> tuple[Tensor, Tensor]:
        """As SkipFusion.forward, batch size 1."""
        y = self._transform(skip)
        if direction is not None and self._fusion.attention:
            y = self._fusion.attend(x, y, direction)
        if self._fusion.skip_to_rgb:
            rgb = self._fusion.fusion_skip(torch.cat([rgb, y], dim=1))
        return self._out(x, y), rgb


class Prepared:
    """Every layer of the generator for one w+ [1, L, style_dim]."""

    def __init__(self, wplus: Tensor, convs: Sequence[FastStyledConv], to_rgbs: Sequence[ToRGB]) -> None:
        ws = wplus.unbind(dim=1)
        # conv1 takes w_0, to_rgb1 w_1; block k takes w_{2k+1}, w_{2k+2} and for its RGB w_{2k+3}.
        self.convs = [conv.prepare(ws[i]) for i, conv in enumerate(convs)]
        self.to_rgbs = [prepare_to_rgb(layer, ws[2 * i + 1]) for i, layer in enumerate(to_rgbs)]


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
        self._prepared: OrderedDict[bytes, Prepared] = OrderedDict()

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
        batch = max([wplus.shape[0], *([] if feature is None else [feature.shape[0]])])
        maps = noise if noise is not None else [None] * len(self._convs)

        def one(tensor: Tensor | None, i: int) -> Tensor | None:
            return None if tensor is None else tensor[i : i + 1] if tensor.shape[0] > 1 else tensor

        images = []
        for i in range(batch):
            directions = one(edit, i)
            fuse = [
                partial(
                    fusion,
                    skip=channels_last(skip[i : i + 1] if skip.shape[0] > 1 else skip),
                    direction=None if directions is None else directions[:, 2 * k + 1],
                )
                for k, (fusion, skip) in enumerate(zip(self._fusions, skips, strict=False))
            ]
            prepared = self._layers(wplus[i : i + 1] if wplus.shape[0] > 1 else wplus)
            images.append(self._draw(prepared, one(feature, i), one(feature_rgb, i), [one(m, i) for m in maps], fuse))
        return images[0] if batch == 1 else torch.cat(images)

    def _draw(
        self,
        layers: Prepared,
        feature: Tensor | None,
        feature_rgb: Tensor | None,
        maps: Sequence[Tensor | None],
        fusions: Sequence[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]],
    ) -> Tensor:
        if feature is not None and feature_rgb is not None and self._generator.feature_index == 1:
            x, rgb = channels_last(feature), feature_rgb
        else:
            if feature is None:
                feature = F.adaptive_avg_pool2d(self._generator.constant, 32)
            x = layers.convs[0](channels_last(feature), maps[0])
            rgb = layers.to_rgbs[0](x, None)
        for k, to_rgb in enumerate(layers.to_rgbs[1:]):
            if k < len(fusions):
                x, rgb = fusions[k](x, rgb)
            x = layers.convs[2 * k + 1](x, maps[2 * k + 1])
            x = layers.convs[2 * k + 2](x, maps[2 * k + 2])
            rgb = to_rgb(x, rgb)
        return rgb

    def _layers(self, wplus: Tensor) -> Prepared:
        key = wplus.contiguous().numpy().tobytes()
        found = self._prepared.pop(key, None) or Prepared(wplus, self._convs, self._to_rgbs)
        self._prepared[key] = found
        while len(self._prepared) > KEPT:
            self._prepared.popitem(last=False)
        return found
