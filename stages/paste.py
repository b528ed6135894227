"""Where one of the network's pictures lies in the finished one, and how softly it ends there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.pixels import Box
from stages.types import CropWindow, RenderedFrame

Span = tuple[int, int, float, float, int]
"""What `axis_operator` resamples an axis by: samples in, samples out, scale, offset, first one out."""


class Paste:
    """A picture's place; only the pixels there are ever computed.

    Args:
        picture: (height, width) of the picture.
        upright: (width, height) of the source.
        size: (width, height) of the finished picture.
        feather: width of the soft edge, as a share of the window's side.
    """

    def __init__(
        self,
        window: CropWindow,
        picture: tuple[int, int],
        upright: tuple[int, int],
        size: tuple[int, int],
        feather: float,
    ) -> None:
        self.full = window.full
        self._window, self._picture = window, picture
        self._size, self._feather = size, feather
        zoom = self._zoom = size[0] / upright[0], size[1] / upright[1]
        self._across = window.left * zoom[0], window.width / window.scale * zoom[0]
        self._down = window.top * zoom[1], window.height / (window.scale * window.stretch) * zoom[1]
        (left, right), (top, bottom) = _reach(*self._across, size[0]), _reach(*self._down, size[1])
        self.box: Box = (0, 0, *size) if window.full else (left, top, right, bottom)

    def spans(self) -> tuple[Span, Span]:
        """From the picture's rows and columns to the box's."""
        left, top, right, bottom = self.box
        window, (height, width) = self._window, self._picture
        across = width / window.width * window.scale  # picture pixels per source pixel
        down = height / window.height * window.scale * window.stretch
        rows = height, bottom - top, self._zoom[1] / down, -window.top * down, top
        return rows, (width, right - left, self._zoom[0] / across, -window.left * across, left)

    def edges(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """([h], [w]) of the box, in [0, 1]; the matte is their outer product."""
        left, top, right, bottom = self.box
        across = _soft_edge(*self._across, self._size[0], self._feather)[left:right]
        return _soft_edge(*self._down, self._size[1], self._feather)[top:bottom], across


def pastes_of(item: RenderedFrame, size: tuple[int, int], feather: float) -> list[tuple[int, Paste]]:
    """(number of the picture, its place) in order; none that a whole frame hides, or that lies outside the frame."""
    upright = item.face_frame.frame.clip.upright_size
    pastes = [
        Paste(window, (image.shape[1], image.shape[2]), upright, size, feather)
        for window, image in zip(item.windows, item.images, strict=True)
    ]
    last_full = max((k for k, paste in enumerate(pastes) if paste.full), default=0)
    seen = enumerate(pastes[last_full:], start=last_full)
    return [(k, paste) for k, paste in seen if paste.box[0] < paste.box[2] and paste.box[1] < paste.box[3]]


def box_of(pastes: Sequence[tuple[int, Paste]]) -> Box:
    """The smallest box around all of them."""
    left, top, right, bottom = zip(*(paste.box for _, paste in pastes), strict=True)
    return min(left), min(top), max(right), max(bottom)


def _reach(start: float, length: float, count: int) -> tuple[int, int]:
    """First and last but one of the pixels [0, count) that an interval touches."""
    return max(math.floor(start), 0), min(math.ceil(start + length), count)


def _soft_edge(start: float, length: float, count: int, feather: float) -> NDArray[np.float32]:
    """[count]: 0 outside [start, start + length], 1 inside, smoothstep between; no ramp at an edge beyond the frame."""
    position = np.arange(count) + 0.5
    ramp = feather * length
    rise = np.clip((position - start) / ramp, 0, 1) if start > 0 else np.ones(count)
    fall = np.clip((start + length - position) / ramp, 0, 1) if start + length < count else np.ones(count)
    edge = np.minimum(rise, fall)
    return (edge * edge * (3 - 2 * edge)).astype(np.float32)
