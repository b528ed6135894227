"""Layers for float32 inference on the CPU: fixed weights, [1, C, H, W] in channels_last memory, no gradients.

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

SAVING = 2.5
"""Winograd's tiles pay from this many times fewer multiplications on: their memory traffic costs the rest."""


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
        turned: the weight turned by 180° in its place, as in a transposed convolution of stride 1.
        winograd: the Winograd form of the same weight; one form then serves every style.
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
        turned: bool = False,
        winograd: Winograd | None = None,
    ) -> None:
        self._weight, self._turned, self._dilation = weight.detach(), turned, dilation
        self._padding = dilation if padding is None else padding
        self._scale, self._shift, self._gain, self._bias, self._slope = scale, shift, gain, bias, slope
        self._winograd = winograd or Winograd(weight, dilation, turned)

    @property
    def out_channels(self) -> int:
        """O."""
        return self._weight.shape[0]

    def __call__(self, *parts: Tensor, noise: Tensor | None = None, directly: bool = False) -> Tensor:
        """[1, O, H, W] of an input in pieces along the channels.

        Args:
            noise: [1, 1, H, W], added before the activation.
            directly: never by Winograd's convolution, so that a strip is made like the whole.
        """
        height, width = (parts[0].shape[axis] + 2 * (self._padding - self._dilation) for axis in (2, 3))
        slope = self._slope if noise is None else None
        if not directly and self.in_tiles(height, width):
            y = self._winograd(
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

    def in_tiles(self, height: int, width: int) -> bool:
        """True where an output of height × width is made by Winograd's convolution."""
        return self._winograd.saving(height, width) >= SAVING

    def _directly(self, parts: Sequence[Tensor], slope: float | Tensor | None) -> Tensor:
        x = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
        # A folded weight is a copy. Where the weight is larger than the map, the factors go onto the map instead.
        fold = self._weight.numel() <= x.numel()
        if self._shift is not None and self._scale is not None:
            x = torch.addcmul(self._shift[:, None, None], x, self._scale[:, None, None])
        elif self._scale is not None and not fold:
            x = x * self._scale[:, None, None]
        if fold:
            y = F.conv2d(channels_last(x), self._folded, self._bias, padding=self._padding, dilation=self._dilation)
            return activate(y, slope)
        y = F.conv2d(x.contiguous(), self._as_used(), padding=self._padding, dilation=self._dilation)
        if self._bias is not None:
            gain = torch.ones_like(self._bias) if self._gain is None else self._gain
            y = torch.addcmul(self._bias[:, None, None], channels_last(y), gain[:, None, None])
        return activate(channels_last(y), slope)

    def _as_used(self) -> Tensor:
        """Made anew where it is turned: kept, it would be a second copy."""
        return self._weight.flip(2, 3) if self._turned else self._weight

    @cached_property
    def _folded(self) -> Tensor:
        """The weight with the factors that no zero padding separates from it."""
        weight = self._as_used()
        if self._scale is not None and self._shift is None:
            weight = weight * self._scale[:, None, None]
        if self._gain is not None:
            weight = weight * self._gain[:, None, None, None]
        return channels_last(weight)


def activate(y: Tensor, slope: float | Tensor | None) -> Tensor:
    """Leaky ReLU, in place where it can be."""
    if slope is None:
        return y
    return F.prelu(y, slope) if isinstance(slope, Tensor) else F.leaky_relu_(y, slope)
