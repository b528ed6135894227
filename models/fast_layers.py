"""Layers for inference on the CPU: fixed weights, [1, C, H, W] in channels_last memory, no gradients.

Why channels_last: oneDNN's kernels take and give it without reordering, and depthwise filters, per-channel scaling and
the 1 × 1 convolutions all run along contiguous channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.winograd import Winograd

SAVING = 2.2
"""Winograd's tiles pay from this many times fewer multiplications on: below, the transforms' memory traffic wins."""
STRIP = 4 << 20
"""Numbers in one strip of an upsampled map, so that it is filtered while it lies in the cache."""


def channels_last(x: Tensor) -> Tensor:
    """The same numbers with channels contiguous."""
    return x.contiguous(memory_format=torch.channels_last)


def batch_norm_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """(scale, shift), [C] each, of a batch norm in eval mode."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


class Conv:
    """3 × 3 convolution of the same size with what stands around it: activation(gain · conv(scale · x + shift) + bias).

    Args:
        weight: [O, C, 3, 3].
        padding: zeros on each side; None: the dilation, which keeps the size.
        scale, shift: [C], of the input before its zero padding (a batch norm, or a style).
        gain, bias: [O], of the output (demodulation).
        slope: of the leaky ReLU, one or [O] (PReLU); None: no activation.
        winograd: gives the Winograd form of the same weight; one form then serves every style.
    """

    def __init__(
        self,
        weight: Tensor,
        *,
        dilation: int = 1,
        padding: int | None = None,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
        gain: Tensor | None = None,
        bias: Tensor | None = None,
        slope: float | Tensor | None = None,
        winograd: SharedWinograd | None = None,
    ) -> None:
        self._weight, self._dilation = weight.detach(), dilation
        self._padding = dilation if padding is None else padding
        self._scale, self._shift, self._gain, self._bias, self._slope = scale, shift, gain, bias, slope
        self._winograd = winograd or SharedWinograd(weight, dilation)

    def __call__(self, *parts: Tensor, noise: Tensor | None = None) -> Tensor:
        """[1, O, H, W] of an input in pieces along the channels; noise [1, 1, H, W] is added before the activation."""
        height, width = (parts[0].shape[axis] + 2 * (self._padding - self._dilation) for axis in (2, 3))
        slope = self._slope if noise is None else None
        if Winograd.saving(self._weight.shape[1], self._weight.shape[0], height, width, self._dilation) >= SAVING:
            y = self._winograd.form(
                parts,
                padding=self._padding,
                scale=self._scale,
                shift=self._shift,
                gain=self._gain,
                bias=self._bias,
                slope=slope,
            )
        else:
            y = self._directly(parts, slope)
        return y if noise is None else activate(y + noise, self._slope)

    def _directly(self, parts: Sequence[Tensor], slope: float | Tensor | None) -> Tensor:
        x = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
        if self._scale is not None and self._shift is not None:
            x = torch.addcmul(self._shift[:, None, None], x, self._scale[:, None, None])
        y = F.conv2d(channels_last(x), self._folded, self._bias, padding=self._padding, dilation=self._dilation)
        return activate(y, slope)

    @cached_property
    def _folded(self) -> Tensor:
        """The weight with the factors that no zero padding separates from it."""
        weight = self._weight
        if self._scale is not None and self._shift is None:
            weight = weight * self._scale[:, None, None]
        if self._gain is not None:
            weight = weight * self._gain[:, None, None, None]
        return channels_last(weight)


class SharedWinograd:
    """The Winograd form of a weight, made when it is first asked for."""

    def __init__(self, weight: Tensor, dilation: int) -> None:
        self._weight, self._dilation = weight, dilation

    @cached_property
    def form(self) -> Winograd:
        """The transformed weight: four times the memory of the plain one."""
        return Winograd(self._weight, self._dilation)


class UpConv:
    """Transposed convolution of stride 2, then the FIR filter: [1, C, H, W] → activation of [1, O, 2H, 2W].

    The transposed convolution is four small ordinary ones, one for each parity of row and column; the parities are laid
    into one map strip by strip and filtered there.

    Args:
        weight: [O, C, 3, 3], with every factor in it.
        kernel: [1, 1, 4, 4], the FIR filter.
        bias: [O].
        slope: of the leaky ReLU.
    """

    def __init__(self, weight: Tensor, kernel: Tensor, bias: Tensor, slope: float) -> None:
        # An even output row 2j takes x[j − 1]·w₂ + x[j]·w₀, an odd one 2j + 1 takes x[j]·w₁; columns likewise.
        taps = {1: [2, 0], 0: [1]}
        self._phases = [
            (row, column, channels_last(weight[:, :, taps[row]][:, :, :, taps[column]]))
            for row in (0, 1)
            for column in (0, 1)
        ]
        self._kernel = channels_last(kernel.expand(weight.shape[0], -1, -1, -1))
        self._bias, self._slope = bias, slope

    def __call__(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """x [1, C, H, W], noise [1, 1, 2H, 2W] or None."""
        height, width = x.shape[2:]
        channels = len(self._bias)
        framed = channels_last(F.pad(x, (1, 1, 1, 1)))
        out = torch.empty((1, channels, 2 * height, 2 * width), dtype=x.dtype, memory_format=torch.channels_last)
        per_strip = max(4, STRIP // (4 * width * channels))
        for top in range(0, height, per_strip):
            bottom = min(top + per_strip, height)
            strip = framed[:, :, top : bottom + 2]
            # Row 0 is the odd row above the strip, so the parities are swapped here.
            size = (1, channels, 2 * (bottom - top) + 3, 2 * width + 3)
            raised = torch.empty(size, dtype=x.dtype, memory_format=torch.channels_last)
            for row, column, weight in self._phases:
                raised[:, :, row::2, column::2] = F.conv2d(strip, weight)
            y = F.conv2d(raised, self._kernel, self._bias, groups=channels)
            if noise is not None:
                y += noise[:, :, 2 * top : 2 * bottom]
            out[:, :, 2 * top : 2 * bottom] = F.leaky_relu_(y, self._slope)
        return out


def activate(y: Tensor, slope: float | Tensor | None) -> Tensor:
    """Leaky ReLU, in place where it can be."""
    if slope is None:
        return y
    return F.prelu(y, slope) if isinstance(slope, Tensor) else F.leaky_relu_(y, slope)
