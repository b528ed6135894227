"""What the encoder sees as x1: content = from_source(frame, window), one class per kind of input (spec of the tasks).

Each is a pure function of the upright source picture and the window; it does its own resampling, because a label map
must not go through the filter that suits a photograph. All keep the window's phase: a frame that moves by a fraction
of a pixel gives an x1 that moves by the same fraction (labels: to the nearest pixel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.super_resolution import MAX_FACTOR, OUTPUT_SCALE, reduction
from stages.errors import UserError
from stages.pixels import to_network
from stages.resample import Kernel, Resampler, axis_operator
from stages.types import CropWindow

Image = NDArray[np.float32]


class Content(Protocol):
    """Makes x1 from the source picture."""

    channels: ClassVar[int]
    """Of x1; the network must have as many (`ModelConfig.input_channels`)."""
    needs_face: ClassVar[bool]
    """True: the window is found by a face in the picture. False: the picture itself is at face scale."""

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """Upright R'G'B' [H, W, 3], nominally [0, 1] → x1 float32 [channels, window.height, window.width].

        Raises:
            UserError: the picture is not of this kind; what was measured, and where.
        """
        ...

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture [H, W, 3], same size and place, that the aligned crop x2 is cut from.

        Args:
            scale: face scale, window pixels per source pixel.
        """
        ...


def window_resampler(window: CropWindow, width: int, height: int, kernel: Kernel = "cubic") -> Resampler:
    """From a frame of width × height pixels to the window's pixels; what lies beyond the frame is reflected."""
    return Resampler(
        rows=axis_operator(height, window.height, window.scale, window.top, kernel),
        cols=axis_operator(width, window.width, window.scale, window.left, kernel),
    )


@dataclass(frozen=True, slots=True)
class Rgb:
    """The frame itself, brought to face scale with anti-aliasing.

    Args:
        kernel: cubic, which copies at scale 1, or bspline: what moves is steadier (`crop.filter`).
    """

    kernel: Kernel = "cubic"
    channels: ClassVar[int] = 3
    needs_face: ClassVar[bool] = True

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [3, h, w] in [−1, 1], nominally."""
        height, width = rgb.shape[:2]
        return to_network(window_resampler(window, width, height, self.kernel)(rgb))

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture as it is."""
        return rgb


@dataclass(frozen=True, slots=True)
class Enlarged(Rgb):
    """Super-resolution of a picture that is small already: bicubic enlargement to face scale, nothing else.

    A picture that is larger than face scale is reduced to it, and then the model has little to add.
    """

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [3, h, w] in [−1, 1], nominally.

        Raises:
            UserError: the face is so small that the model would have to enlarge it more than 48 times.
        """
        factor = OUTPUT_SCALE * window.scale
        if factor > MAX_FACTOR:
            raise UserError(
                f"the face is too small: it would be enlarged {factor:.0f} times, the models know up to {MAX_FACTOR}",
                f"use a picture with at least {math.ceil(64 * OUTPUT_SCALE / MAX_FACTOR)} pixels between the eyes",
            )
        return Rgb.from_source(self, rgb, window)


@dataclass(frozen=True, slots=True)
class Degraded:
    """Super-resolution, tried on a sharp picture: its detail is thrown away first.

    The face-scale frame is reduced by factor/4 (bicubic, a = −½, widened by the factor against aliasing) and enlarged
    again (the same bicubic). The coarse grid is the frame's, not the window's, so that it stays when the window moves.

    Args:
        factor: output pixels per pixel of the reduced picture, 4 to 48; 4 takes nothing away.

    Raises:
        UserError: a factor outside the model's range.
    """

    factor: float
    channels: ClassVar[int] = 3
    needs_face: ClassVar[bool] = True

    def __post_init__(self) -> None:
        reduction(self.factor)

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [3, h, w] in [−1, 1], nominally."""
        low = self._reduced(rgb, window.scale)
        coarse = window.scale / self._reduction
        whole = Resampler(
            rows=axis_operator(low.shape[0], window.height, self._reduction, window.top * coarse),
            cols=axis_operator(low.shape[1], window.width, self._reduction, window.left * coarse),
        )
        return to_network(whole(low))

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The reduced picture at the source's size: w+ must not know more than x1."""
        low = self._reduced(rgb, scale)
        enlarge = self._reduction / scale
        back = Resampler(
            rows=axis_operator(low.shape[0], rgb.shape[0], enlarge, 0.0),
            cols=axis_operator(low.shape[1], rgb.shape[1], enlarge, 0.0),
        )
        return back(low)

    @property
    def _reduction(self) -> float:
        return reduction(self.factor)

    def _reduced(self, rgb: Image, scale: float) -> Image:
        rows, cols = (_reduction_operator(size, scale, self._reduction) for size in rgb.shape[:2])
        return Resampler(rows, cols)(rgb)


@lru_cache(maxsize=16)
def _reduction_operator(size: int, scale: float, reduction: float) -> csr_array:
    """[coarse, size]: to face scale, then reduced; the grids begin at the frame's first edge."""
    face_size = max(1, math.ceil(size * scale - 1e-6))
    to_face = axis_operator(size, face_size, scale, 0.0)
    to_coarse = axis_operator(face_size, max(1, math.ceil(face_size / reduction - 1e-6)), 1 / reduction, 0.0)
    return csr_array(cast("csr_array", to_coarse @ to_face))
