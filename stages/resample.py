"""One anti-aliased, phase-correct resampler for everything that changes a picture's size or place by axes.

Both axes are sparse matrices. A frame that moves by a fraction of a pixel gives a result that moves by the same
fraction: plain bilinear reduction does not, and flickers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Kernel = Literal["cubic", "bspline", "triangle", "lanczos3"]


@dataclass(frozen=True, slots=True)
class Resampler:
    """Two axis operators, made once and applied to many pictures. Single-threaded, same bits on every run."""

    rows: csr_array
    """[out height, in height] float32."""
    cols: csr_array
    """[out width, in width] float32."""

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [in height, in width] or [in height, in width, C] → [out height, out width(, C)], contiguous."""
        (tall, height), (wide, width) = _shape(self.rows), _shape(self.cols)
        if image.shape[:2] != (height, width):
            raise ValueError(f"expected {height}×{width} pixels, got {image.shape[0]}×{image.shape[1]}")
        if tall * width <= wide * height:  # first the axis that leaves less to do
            return _along_columns(self.cols, _along_rows(self.rows, image))
        return _along_rows(self.rows, _along_columns(self.cols, image))


@lru_cache(maxsize=64)
def axis_operator(
    in_size: int,
    out_size: int,
    scale: float,
    offset: float,
    kernel: Kernel = "cubic",
    edge: Literal["reflect", "clip"] = "reflect",
    first: int = 0,
) -> csr_array:
    """Matrix [out_size, in_size] float32 that resamples one axis; its rows sum to 1.

    Out sample i is taken at in-coordinate (i + ½)/scale + offset − ½ (pixel-index), so `offset` is the left edge in
    in-pixels. The kernel is widened by 1/scale when it reduces. With scale 1 and a whole offset it copies exactly.

    Args:
        in_size, out_size: samples along the axis.
        scale: out samples per in sample.
        offset: where the first out sample begins, in in-samples.
        kernel: cubic (Keys, a = −½), bspline (cubic, not prefiltered: soft), triangle (bilinear) or lanczos3.
        edge: beyond the ends: reflect (the last sample repeats: … b a | a b …), or clip (the kernel is cut off).
        first: number of the first out sample that is wanted; the operator's first row is its.
    """
    evaluate, radius = KERNELS[kernel]
    stretch = max(1.0, 1.0 / scale)
    centers = (np.arange(first, first + out_size) + 0.5) / scale + offset - 0.5
    lowest = np.ceil(centers - radius * stretch).astype(np.int64)
    taps = lowest[:, None] + np.arange(int(2 * radius * stretch) + 2)
    weights = evaluate((taps - centers[:, None]) / stretch)
    weights[np.abs(weights) < 1e-9] = 0.0  # lanczos at whole distances: rounding noise, not a tap
    if edge == "clip":
        weights[(taps < 0) | (taps >= in_size)] = 0.0
        taps = taps.clip(0, in_size - 1)
    else:
        taps = taps % (2 * in_size)
        taps = np.where(taps < in_size, taps, 2 * in_size - 1 - taps)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(out_size)[:, None], taps.shape)
    used = weights != 0
    entries = (weights[used].astype(np.float32), (rows[used], taps[used]))
    return csr_array(entries, shape=(out_size, in_size), dtype=np.float32)


def _shape(operator: csr_array) -> tuple[int, int]:
    return cast("tuple[int, int]", operator.shape)


def _along_rows(operator: csr_array, image: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = operator @ image.reshape(image.shape[0], -1)
    return flat.reshape(-1, *image.shape[1:])


def _along_columns(operator: csr_array, image: NDArray[np.float32]) -> NDArray[np.float32]:
    return _transposed(_along_rows(operator, _transposed(image)))


def _transposed(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """[H, W] or [H, W, C] → [W, H] or [W, H, C], contiguous."""
    if image.ndim == 2 or 1 < image.shape[2] <= 4:
        return np.asarray(cv2.transpose(image), np.float32)  # in blocks: several times quicker
    return np.ascontiguousarray(image.swapaxes(0, 1))


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _bspline(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """What it passes hardly depends on where between two samples it stands: what moves through it does not shimmer."""
    x = np.abs(distance)
    near = (3 * x - 6) * x * x + 4
    return np.where(x < 1, near, np.maximum(2 - x, 0) ** 3) / 6


def _triangle(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1 - np.abs(distance), 0)


def _lanczos3(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


KERNELS: dict[Kernel, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "cubic": (_cubic, 2.0),
    "bspline": (_bspline, 2.0),
    "triangle": (_triangle, 1.0),
    "lanczos3": (_lanczos3, 3.0),
}
"""Function of the distance in (stretched) samples, and the distance from which on it is 0."""
