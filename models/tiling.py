"""Where tiles lie, and how much of each level a tile must see.

From native size 64 on the generator is local (StyleGANEX §3.1): an output pixel depends on its neighbourhood at every
level below. Level 0 is H/8 × W/8, each further level has twice the size; the last is the image. Windows are integers,
so a plan is exact for any size, odd ones included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

FUSION_REACH = 2
"""A skip connection looks so far: its transform and its fusion, a 3 × 3 convolution each."""
ATTENTION_REACH = 1
"""And so much farther with attention, one 3 × 3 convolution more."""


class Window(NamedTuple):
    """Rows and columns [top, bottom) × [left, right) of a map."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, height: int, width: int) -> Window:
        """All of a map."""
        return cls(0, height, 0, width)

    @property
    def height(self) -> int:
        """In rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """In places."""
        return self.height * self.width

    def of(self, x: Tensor, origin: Window | None = None) -> Tensor:
        """This part of x [B, C, h, w], as a view.

        Args:
            origin: what x covers; None: all of the map.
        """
        top, left = (0, 0) if origin is None else (origin.top, origin.left)
        return x[:, :, self.top - top : self.bottom - top, self.left - left : self.right - left]

    def doubled(self) -> Window:
        """The same place one level up."""
        return Window(*(2 * edge for edge in self))

    def grown(self, rim: int, height: int, width: int) -> Window:
        """`rim` places more on each side, inside a map of height × width."""
        return Window(
            max(0, self.top - rim),
            min(height, self.bottom + rim),
            max(0, self.left - rim),
            min(width, self.right + rim),
        )


def needed_below(window: Window, height: int, width: int, rim: int) -> Window:
    """What an upsampling block must see so that `window` of its output is right.

    The second convolution looks one place to each side; both rows 2j and 2j + 1 of the first (transposed convolution
    and FIR filter) come from rows j − 1 … j + 1 below.

    Args:
        window: at the block's output.
        height, width: of the whole map one level below.
        rim: reach of what stands before the block, its skip connection.
    """

    def span(start: int, stop: int) -> tuple[int, int]:
        return (start - 1) // 2 - 1, -(-(stop + 1) // 2) + 1

    (top, bottom), (left, right) = span(window.top, window.bottom), span(window.left, window.right)
    return Window(top, bottom, left, right).grown(rim, height, width)


def pyramid(window: Window, height: int, width: int, rims: tuple[int, ...]) -> list[Window]:
    """The window at every level below `window` and itself, coarsest first.

    Args:
        window: at level len(rims).
        height, width: of the whole map at level 0.
        rims: reach of the skip connection at level 0, 1, …
    """
    windows = [window]
    for level in reversed(range(len(rims))):
        windows.append(needed_below(windows[-1], height << level, width << level, rims[level]))
    return windows[::-1]


def tiles(height: int, width: int, side: int) -> Iterator[Window]:
    """Windows that cover height × width, each place once, row by row; the last of a row or column may be smaller."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Window(top, min(top + side, height), left, min(left + side, width))
