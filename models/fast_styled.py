"""The generator's styled layers and blocks for one w+, or one for each sample of a batch: modulated weights once, then
plain layers.

A snapshot of the weights; which layers are made of them is the Target's affair (models/fast_batch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fast_batch import BatchConv, Target, batch_to_rgb, doubling
from models.fast_layers import Conv
from models.fast_upsample import UpBlock, UpConv
from models.layers import RescaledUpConv, StyledConv, ToRGB
from models.layers import UpConv as PlainUpConv
from models.ops import SQRT2
from models.winograd import Winograd

Noise = tuple[Tensor | None, Tensor | None]
"""The noise maps of a block's two convolutions."""
Block = Callable[[Tensor, Noise, bool], tuple[Tensor | None, Tensor]]
"""(x, noise, whether it is the last) → (feature, None from the last; its RGB without the running image)."""


class FastStyledConv:
    """What is common to all w+ of one StyledConv."""

    def __init__(self, layer: StyledConv, target: Target) -> None:
        self._layer, self._conv, self._target = layer, layer.conv, target
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
        """The layer for one w [1, style_dim], where it doubles the size, strip by strip."""
        assert isinstance(self._conv, PlainUpConv)
        return UpConv(self._modulated(w), self._conv.blur.kernel, self._bias, slope=0.2)

    def prepare_sample(self, w: Tensor) -> Conv:
        """The layer for one w [1, style_dim], where it keeps the size, sample by sample."""
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

    def prepare_batch(self, w: Tensor) -> BatchConv:
        """The layer for w [1 or B, style_dim], of either kind."""
        if w.shape[0] == 1:
            return BatchConv(self._convolve(self._modulated(w)), self._rounded_bias, slope=0.2)
        style = self._conv.modulation(w)
        gain = torch.rsqrt(style.square() @ self._energy.T + 1e-8) * SQRT2
        style, gain = (each.to(self._target.dtype) for each in (style, gain))
        return BatchConv(self._unstyled, self._rounded_bias, 0.2, style, gain)

    def filtered(self, x: Tensor) -> Tensor:
        """x as the prepared layer wants it: smoothed before a dilated "up" convolution, itself before the others."""
        return self._conv.blur(x) if isinstance(self._conv, RescaledUpConv) else x

    def _factors(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """(style [C], demodulation [O] with every constant factor) of one w [1, style_dim]."""
        style = self._conv.modulation(w)[0]
        # √2 of the activation goes into what enters the leaky ReLU, which is positively homogeneous.
        return style, torch.rsqrt(self._energy @ style.square() + 1e-8) * (self._conv.scale * SQRT2)

    def _modulated(self, w: Tensor) -> Tensor:
        style, gain = self._factors(w)
        return self._weight * style[:, None, None] * gain[:, None, None, None]

    @cached_property
    def _rounded_bias(self) -> Tensor:
        return self._bias.to(self._target.dtype)

    @cached_property
    def _unstyled(self) -> Callable[..., Tensor]:
        """One weight for every w+, its constant factor in it: without, the map before the demodulation would be dozens
        of times larger, and float16 ends at 65504."""
        return self._convolve(self._weight * self._conv.scale)

    def _convolve(self, weight: Tensor) -> Callable[..., Tensor]:
        """The convolution with a weight [O, C, 3, 3]: (x, bias=…) → y."""
        if isinstance(self._conv, PlainUpConv):
            return doubling(self._target, weight, self._conv.blur)
        dilation = self._conv.dilation
        weight = self._target.cast(weight.flip(2, 3) if self._turned else weight)
        return partial(F.conv2d, weight=weight, padding=0 if self._turned else dilation, dilation=dilation)


class WholeBlock:
    """A block whose maps are held whole: those of native size 4 to 32, and off the CPU all."""

    def __init__(
        self,
        layers: Sequence[FastStyledConv],
        convs: Sequence[Conv | BatchConv],
        to_rgb: Callable[[Tensor], Tensor],
    ) -> None:
        self._layers = list(zip(layers, convs, strict=True))
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


def prepare_blocks(
    wplus: Tensor, convs: Sequence[FastStyledConv], to_rgbs: Sequence[ToRGB], target: Target
) -> list[Block]:
    """Every layer of the generator: conv1 and to_rgb1, then block 0, 1, …

    Args:
        wplus: [1, L, style_dim]; off the CPU also [B, L, style_dim], one for each sample.
    """
    ws = wplus.unbind(dim=1)
    finish = prepare_to_rgb if target.by_sample else batch_to_rgb

    def whole(layers: Sequence[FastStyledConv], own: Sequence[Tensor], to_rgb: Callable[[Tensor], Tensor]) -> Block:
        made = [layer.prepare_sample if target.by_sample else layer.prepare_batch for layer in layers]
        return WholeBlock(layers, [prepare(w) for prepare, w in zip(made, own, strict=True)], to_rgb)

    blocks = [whole(convs[:1], ws[:1], finish(to_rgbs[0], ws[1]))]
    for k, layer in enumerate(to_rgbs[1:]):
        # Block k takes w_{2k+1}, w_{2k+2} and for its RGB w_{2k+3}.
        pair, own = convs[2 * k + 1 : 2 * k + 3], ws[2 * k + 1 : 2 * k + 3]
        to_rgb = finish(layer, ws[2 * k + 3])
        if pair[0].doubles and target.by_sample:
            blocks.append(UpBlock(pair[0].prepare_up(own[0]), pair[1].prepare_sample(own[1]), to_rgb))
        else:
            blocks.append(whole(pair, own, to_rgb))
    return blocks
