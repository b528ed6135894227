"""The generator's upsampling blocks (native size 64 and above) for inference on the CPU, strip by strip.

A strip is filtered, convolved and brought to RGB while it lies in the processor's cache; where nothing follows, the map
of the largest size is never held as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fast_layers import Conv, channels_last

STRIP = 2 << 20
"""Numbers in one strip of an upsampled map."""


class UpConv:
    """Transposed convolution of stride 2, then the FIR filter: [1, C, H, W] → activation of [1, O, 2H, 2W].

    The transposed convolution is four small ordinary ones, one for each parity of row and column.

    Args:
        weight: [O, C, 3, 3], with every factor in it.
        kernel: [1, 1, 4, 4], the FIR filter.
        bias: [O].
        slope: of the leaky ReLU.
    """

    def __init__(self, weight: Tensor, kernel: Tensor, bias: Tensor, slope: float) -> None:
        # An even output row 2j takes x[j − 1]·w₂ + x[j]·w₀, an odd one 2j + 1 takes x[j]·w₁; columns likewise. A strip
        # begins with the odd row above it, so even rows lie at 1, 3, … here.
        taps = {1: [2, 0], 0: [1]}
        self._phases = [
            (row, column, channels_last(weight[:, :, taps[row]][:, :, :, taps[column]]))
            for row in (0, 1)
            for column in (0, 1)
        ]
        self._kernel = channels_last(kernel.expand(weight.shape[0], -1, -1, -1))
        self._bias, self._slope = bias, slope

    def strip_rows(self, width: int) -> int:
        """Rows of an input of this width that make one strip."""
        return max(4, STRIP // (4 * width * len(self._bias)))

    def __call__(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """x [1, C, H, W], noise [1, 1, 2H, 2W] or None."""
        height, width = x.shape[2:]
        out = _empty(x, len(self._bias), 2 * height, 2 * width)
        for top in range(0, height, self.strip_rows(width)):
            bottom = min(top + self.strip_rows(width), height)
            out[:, :, 2 * top : 2 * bottom] = self.rows(x, top, bottom, noise)
        return out

    def rows(self, x: Tensor, top: int, bottom: int, noise: Tensor | None) -> Tensor:
        """Rows 2·top to 2·bottom of the output."""
        height, width = x.shape[2:]
        above, below = int(top == 0), int(bottom == height)
        strip = F.pad(x[:, :, top - 1 + above : bottom + 1 - below], (1, 1, above, below))
        strip = channels_last(strip)
        raised = _empty(x, len(self._bias), 2 * (bottom - top) + 3, 2 * width + 3)
        for row, column, weight in self._phases:
            raised[:, :, row::2, column::2] = F.conv2d(strip, weight)
        y = F.conv2d(raised, self._kernel, self._bias, groups=len(self._bias))
        if noise is not None:
            y += noise[:, :, 2 * top : 2 * bottom]
        return F.leaky_relu_(y, self._slope)


class UpBlock:
    """Both styled convolutions of a block and its RGB.

    Args:
        first, second: the convolutions.
        to_rgb: [1, C, h, W] → [1, 3, h, W], without the running image.
    """

    def __init__(self, first: UpConv, second: Conv, to_rgb: Callable[[Tensor], Tensor]) -> None:
        self._first, self._second, self._to_rgb = first, second, to_rgb

    def __call__(
        self, x: Tensor, noise: tuple[Tensor | None, Tensor | None], last: bool
    ) -> tuple[Tensor | None, Tensor]:
        """(feature [1, O, 2H, 2W], None from the last block; this block's RGB [1, 3, 2H, 2W]).

        Args:
            noise: [1, 1, 2H, 2W] or None for each convolution.
        """
        height, width = x.shape[2:]
        if self._second.in_tiles(2 * height, 2 * width):
            y = self._second(self._first(x, noise[0]), noise=noise[1])
            return (None if last else y), self._to_rgb(y)
        out = None if last else _empty(x, self._second.out_channels, 2 * height, 2 * width)
        rgb = x.new_empty(1, 3, 2 * height, 2 * width)
        step = self._first.strip_rows(width)
        for top in range(0, height, step):
            # One input row more on each side: two rows of y, the outer of which meets the convolution's zero padding.
            bottom = min(top + step, height)
            start, stop = max(0, top - 1), min(height, bottom + 1)
            own = None if noise[1] is None else noise[1][:, :, 2 * start : 2 * stop]
            y = self._second(self._first.rows(x, start, stop, noise[0]), noise=own, directly=True)
            y = y[:, :, 2 * (top - start) : 2 * (bottom - start)]
            rgb[:, :, 2 * top : 2 * bottom] = self._to_rgb(y)
            if out is not None:
                out[:, :, 2 * top : 2 * bottom] = y
        return out, rgb


def _empty(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    return torch.empty((1, channels, height, width), dtype=x.dtype, memory_format=torch.channels_last)
