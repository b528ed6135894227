"""3 × 3 convolution in 2.25 instead of 9 multiplications per output: Winograd's F(4 × 4, 3 × 3).

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), §4: Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A over tiles of
6 × 6 inputs and 4 × 4 outputs. The products over channels become 36 matrix products. In float32 the rounding error is
about three times that of the direct sum (4e-5 against 1.5e-5 for values of about 1 and 512 channels).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

TILE, WINDOW = 4, 6
KEPT = 2.0
"""A transformed weight of at most this many times the layer's input and output is kept; a larger one is made anew at
each call. Kept, those of the published network would take a gigabyte at 256 × 256 for a fifth of the time."""
STRIP = 3 << 19
"""Numbers in one strip of transformed input; a strip and what is made of it stay in the processor's cache."""


def _matrix(rows: Sequence[Sequence[float]]) -> Tensor:
    """The two-dimensional transform as one matrix: the Kronecker square, float32."""
    line = torch.tensor(rows, dtype=torch.float64, device="cpu")
    return torch.kron(line, line).float()


class Winograd:
    """Convolution with one fixed weight, unpadded; the input is scaled and shifted per channel while it is copied.

    Args:
        weight: [O, C, 3, 3] float32 on the CPU, without gradient; read again at each call where it is large.
        dilation: of the convolution. A dilated convolution is an ordinary one on each of its interleaved grids.
        turned: the weight turned by 180°.
    """

    def __init__(self, weight: Tensor, dilation: int = 1, turned: bool = False) -> None:
        self._g = _matrix(
            [
                [1 / 4, 0, 0],
                [-1 / 6] * 3,
                [-1 / 6, 1 / 6, -1 / 6],
                [1 / 24, 1 / 12, 1 / 6],
                [1 / 24, -1 / 12, 1 / 6],
                [0, 0, 1],
            ]
        )
        if turned:
            self._g = self._g.flip(1)
        self._b = _matrix(
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ]
        )
        self._a = _matrix([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
        self.out_channels, self.in_channels = weight.shape[:2]
        self._weight = weight.detach()
        self._kept: Tensor | None = None
        self._dilation = dilation

    def saving(self, height: int, width: int) -> float:
        """Multiplications of the direct form per multiplication here, for an output of height × width.

        The transforms count, the rounding up to whole tiles, and each number of a weight that is not kept as 40.
        """
        c, o, step = self.in_channels, self.out_channels, TILE * self._dilation
        tiles = -(-height // step) * -(-width // step) * self._dilation**2
        products = tiles * (WINDOW**2 * c * o + WINDOW**4 * c + (TILE * WINDOW) ** 2 * o)
        if not self._keeps(height, width):
            products += 40 * WINDOW**2 * c * o
        return 9 * c * o * height * width / products

    def _keeps(self, height: int, width: int) -> bool:
        c, o = self.in_channels, self.out_channels
        return WINDOW**2 * c * o <= KEPT * (c + o) * height * width

    def __call__(
        self,
        parts: Sequence[Tensor],
        *,
        padding: int,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
        gain: Tensor | None = None,
        bias: Tensor | None = None,
        slope: float | Tensor | None = None,
    ) -> Tensor:
        """activation(gain · conv(pad(scale · x + shift)) + bias), [1, O, H', W'] in channels_last memory.

        Args:
            parts: x in pieces along the channels, each [1, ·, H, W], quickest in channels_last memory.
            padding: rows and columns of zeros on each side, 0 or the dilation.
            scale, shift: [C]; a shift goes with a scale.
            gain, bias: [O]; a gain goes with a bias.
            slope: of the leaky ReLU below zero, one or [O]; None: no activation.
        """
        height, width = (parts[0].shape[2 + axis] + 2 * padding - 2 * self._dilation for axis in (0, 1))
        step, d = TILE * self._dilation, self._dilation
        rows, columns = -(-height // step), -(-width // step)
        out = parts[0].new_empty(rows * step, columns * step, self.out_channels)
        weight = self._transformed() if self._kept is None else self._kept
        if self._keeps(height, width):
            self._kept = weight
        c, line = self.in_channels, (columns * step + 2 * d) * self.in_channels
        per_strip = max(1, STRIP // (WINDOW**2 * columns * d * d * c))
        for top in range(0, rows, per_strip):
            count = min(per_strip, rows - top)
            size = (count * step + 2 * d, columns * step + 2 * d)
            windows = self._framed(parts, padding, top * step, size, scale, shift).as_strided(
                (WINDOW, WINDOW, count, d, columns, d, c), (d * line, d * c, step * line, line, step * c, c, 1)
            )
            transformed = self._b @ windows.reshape(WINDOW**2, -1)
            products = torch.bmm(transformed.view(WINDOW**2, -1, c), weight)
            tiles = (self._a @ products.view(WINDOW**2, -1)).view(-1, self.out_channels)
            tiles = _finish(tiles, gain, bias, slope).view(TILE, TILE, count, d, columns, d, self.out_channels)
            target = out[top * step : (top + count) * step].view(count, TILE, d, columns, TILE, d, self.out_channels)
            target.copy_(tiles.permute(2, 0, 3, 4, 1, 5, 6))
        return out[:height, :width].permute(2, 0, 1)[None]

    def _transformed(self) -> Tensor:
        """[36, C, O] view of G g Gᵀ for every pair of channels; the product reads the weight where it lies."""
        taps = self._weight.reshape(-1, 9).T
        return (self._g @ taps).view(WINDOW**2, self.out_channels, self.in_channels).transpose(1, 2)

    def _framed(
        self,
        parts: Sequence[Tensor],
        padding: int,
        top: int,
        size: tuple[int, int],
        scale: Tensor | None,
        shift: Tensor | None,
    ) -> Tensor:
        """[rows, columns, C] = size + C: a strip of the scaled input from row `top` of its margin on, zeros around."""
        height, width = parts[0].shape[2:]
        framed = parts[0].new_empty(*size, self.in_channels)
        # Rows first to last of the input lie at rows above to below of the strip.
        first, last = max(0, top - padding), max(0, min(height, top + size[0] - padding))
        above = max(0, padding - top)
        below, right = above + last - first, min(size[1], padding + width)
        framed[:above], framed[below:] = 0, 0
        framed[above:below, :padding], framed[above:below, right:] = 0, 0
        channel = 0
        for part in parts:
            chosen = slice(channel, channel + part.shape[1])
            source = part[0, :, first:last].permute(1, 2, 0)
            target = framed[above:below, padding:right, chosen]
            if scale is None:
                target.copy_(source)
            elif shift is None:
                torch.mul(source, scale[chosen], out=target)
            else:
                torch.addcmul(shift[chosen], source, scale[chosen], out=target)
            channel = chosen.stop
        return framed


def _finish(y: Tensor, gain: Tensor | None, bias: Tensor | None, slope: float | Tensor | None) -> Tensor:
    """activation(gain · y + bias) of [·, O], in place where it can be."""
    if gain is not None and bias is not None:
        torch.addcmul(bias, y, gain, out=y)
    elif bias is not None:
        y.add_(bias)
    if slope is None:
        return y
    return F.prelu(y, slope) if isinstance(slope, Tensor) else F.leaky_relu_(y, slope)
