"""Where one of the network's pictures lies in the finished one, and how softly it ends there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stages.geometry import Similarity
from stages.pixels import Box
from stages.types import CropWindow, RenderedFrame

Span = tuple[int, int, float, float, int]
"""What `axis_operator` resamples an axis by: samples in, samples out, scale, offset, first one out."""
Axes = tuple[NDArray[np.float32], NDArray[np.float32]]
"""([h], [w]): what the rows and the columns of a box add to a value that is linear over it."""
MatteShape = Literal["window", "head"]
Array = TypeVar("Array", NDArray[Any], Tensor)
"""float32, in numpy on the CPU or in PyTorch on a GPU: the same arithmetic."""

# The egg about a head, in half sides of the FFHQ-aligned square, whose upper edge is at −1. Brows to chin take −0.25 to
# 0.9 of it; ears and hair lie within ±1, and the top of the hair above −1 where it is high. Chosen by eye.
HEAD_MIDDLE = -0.15
HEAD_WIDTH, HEAD_ABOVE, HEAD_BELOW = 1.15, 1.15, 1.4
"""From its middle to where the matte ends: to either side, up, and down into the neck."""


class Paste:
    """A picture's place; only the pixels there are ever computed.

    Args:
        picture: (height, width) of the picture.
        upright: (width, height) of the source.
        size: (width, height) of the finished picture.
        feather: width of the soft edge, as a share of the window's side, or of the egg's.
        head: the FFHQ-aligned square of the face whose head alone is shown; None: all of the window.
    """

    def __init__(
        self,
        window: CropWindow,
        picture: tuple[int, int],
        upright: tuple[int, int],
        size: tuple[int, int],
        feather: float,
        head: Similarity | None = None,
    ) -> None:
        self.full = window.full and head is None
        self._window, self._picture = window, picture
        self._size, self._feather, self._head = size, feather, head
        zoom = self._zoom = size[0] / upright[0], size[1] / upright[1]
        self._across = window.left * zoom[0], window.width / window.scale * zoom[0]
        self._down = window.top * zoom[1], window.height / (window.scale * window.stretch) * zoom[1]
        self.box: Box = (0, 0, *size)
        if not window.full:
            self.box = _overlap(self.box, _reach(*self._across), _reach(*self._down))
        if head is not None:
            x, y = ((_head_corners(head) + 0.5) * zoom).T
            self.box = _overlap(self.box, _reach(x.min(), np.ptp(x)), _reach(y.min(), np.ptp(y)))

    def spans(self) -> tuple[Span, Span]:
        """From the picture's rows and columns to the box's."""
        left, top, right, bottom = self.box
        window, (height, width) = self._window, self._picture
        across = width / window.width * window.scale  # picture pixels per source pixel
        down = height / window.height * window.scale * window.stretch
        rows = height, bottom - top, self._zoom[1] / down, -window.top * down, top
        return rows, (width, right - left, self._zoom[0] / across, -window.left * across, left)

    def edges(self) -> Axes:
        """In [0, 1]; the window's own matte is their outer product."""
        left, top, right, bottom = self.box
        if self._window.full:
            return np.ones(bottom - top, np.float32), np.ones(right - left, np.float32)
        across = _soft_edge(*self._across, self._size[0], self._feather)[left:right]
        return _soft_edge(*self._down, self._size[1], self._feather)[top:bottom], across

    @property
    def head_side(self) -> float:
        """Half the side of the face's aligned square, in pixels of the finished picture; 0 without a head."""
        return self._head.size * self._zoom[0] if self._head is not None else 0.0

    def head_place(self) -> tuple[Axes, Axes] | None:
        """Where a pixel lies across and down the face's aligned square, for `head_radius`; None: no such matte."""
        if self._head is None:
            return None
        left, top, right, bottom = self.box
        x = (np.arange(left, right) + 0.5) / self._zoom[0] - 0.5 - self._head.x
        y = (np.arange(top, bottom) + 0.5) / self._zoom[1] - 0.5 - self._head.y
        along, aside = (turn(self._head.angle) / self._head.size for turn in (math.cos, math.sin))
        return _axes(y * aside, x * along), _axes(y * along, x * -aside)


def head_radius(across: Array, down: Array) -> Array:
    """[h, w] float32: 0 in the middle of the egg about a head, 1 where it ends.

    Args:
        across, down: [h, w] float32, in half sides of the face's aligned square from its middle.
    """
    below = (down - HEAD_MIDDLE).clip(min=0) / HEAD_BELOW
    above = (down - HEAD_MIDDLE).clip(max=0) / HEAD_ABOVE
    return ((across / HEAD_WIDTH) ** 2 + below**2 + above**2) ** 0.5


def fade(values: Array, start: float, end: float) -> Array:
    """0 at `start` and before it, 1 from `end` on, smoothstep between; `end` may be the smaller."""
    share = ((values - start) / (end - start)).clip(0, 1)
    return share * share * (3 - 2 * share)


def pastes_of(
    item: RenderedFrame, size: tuple[int, int], feather: float, shape: MatteShape = "window"
) -> list[tuple[int, Paste]]:
    """(number of the picture, its place) in order; none that a whole frame hides, or that lies outside the frame."""
    upright = item.face_frame.frame.clip.upright_size
    pastes = [
        Paste(
            window,
            (image.shape[1], image.shape[2]),
            upright,
            size,
            feather,
            item.face_frame.faces[k].aligned if shape == "head" else None,
        )
        for k, (window, image) in enumerate(zip(item.windows, item.images, strict=True))
    ]
    last_full = max((k for k, paste in enumerate(pastes) if paste.full), default=0)
    seen = enumerate(pastes[last_full:], start=last_full)
    return [(k, paste) for k, paste in seen if paste.box[0] < paste.box[2] and paste.box[1] < paste.box[3]]


def box_of(pastes: Sequence[tuple[int, Paste]]) -> Box:
    """The smallest box around all of them."""
    left, top, right, bottom = zip(*(paste.box for _, paste in pastes), strict=True)
    return min(left), min(top), max(right), max(bottom)


def _head_corners(square: Similarity) -> NDArray[np.float64]:
    """[4, 2]: a turned rectangle that the egg touches, in pixel-index coordinates of the source."""
    sides = np.array([-HEAD_WIDTH, HEAD_WIDTH]), np.array([HEAD_MIDDLE - HEAD_ABOVE, HEAD_MIDDLE + HEAD_BELOW])
    across, down = (side.reshape(-1) * square.size for side in np.meshgrid(*sides))
    along, aside = math.cos(square.angle), math.sin(square.angle)
    return np.stack([square.x + across * along - down * aside, square.y + across * aside + down * along], axis=1)


def _reach(start: float, length: float) -> tuple[int, int]:
    """First and last but one of the pixels that an interval touches."""
    return math.floor(start), math.ceil(start + length)


def _overlap(box: Box, across: tuple[int, int], down: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    return max(left, across[0]), max(top, down[0]), min(right, across[1]), min(bottom, down[1])


def _axes(rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Axes:
    return rows.astype(np.float32), columns.astype(np.float32)


def _soft_edge(start: float, length: float, count: int, feather: float) -> NDArray[np.float32]:
    """[count]: 0 outside [start, start + length], 1 inside, smoothstep between; no ramp at an edge beyond the frame."""
    position = np.arange(count) + 0.5
    ramp = feather * length
    rise = np.clip((position - start) / ramp, 0, 1) if start > 0 else np.ones(count)
    fall = np.clip((start + length - position) / ramp, 0, 1) if start + length < count else np.ones(count)
    return fade(np.minimum(rise, fall), 0, 1).astype(np.float32)
