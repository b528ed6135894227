"""Chroma planes up to luma size and back, on the sample grid that the file states (H.273 §8.7, Figure 8-1).

Both directions use the triangle filter, written as one weighted sum of shifted planes per phase: exact in float32,
single-threaded, any whole factor, odd sizes included. Outside the picture the edge sample is repeated.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Taps = tuple[tuple[int, float], ...]

CENTRED_HORIZONTALLY = frozenset({2, 4, 6})
"""AVChromaLocation center, top, bottom; every other one, unspecified too, is co-sited with the left luma column."""
COSITED_TOP = frozenset({3, 4})
COSITED_BOTTOM = frozenset({5, 6})


def siting(factor: int, location: int, vertical: bool) -> float:
    """Position of the first chroma sample, in luma samples from the first luma sample of its block."""
    centre = (factor - 1) / 2
    if not vertical:
        return centre if location in CENTRED_HORIZONTALLY else 0.0
    if location in COSITED_TOP:
        return 0.0
    return factor - 1.0 if location in COSITED_BOTTOM else centre


@lru_cache(maxsize=64)
def up_taps(factor: int, offset: float) -> tuple[Taps, ...]:
    """For each luma phase: (chroma index relative to the block, weight)."""
    phases = []
    for phase in range(factor):
        position = (phase - offset) / factor
        first = math.floor(position)
        fraction = position - first
        taps = ((first, 1 - fraction), (first + 1, fraction))
        phases.append(tuple(tap for tap in taps if tap[1] > 0))
    return tuple(phases)


@lru_cache(maxsize=64)
def down_taps(factor: int, offset: float) -> Taps:
    """(luma index relative to the block, weight) of the triangle of half-width `factor` around the chroma sample."""
    taps = [
        (x, 1 - abs(x - offset) / factor) for x in range(math.floor(offset) - factor, math.ceil(offset) + factor + 1)
    ]
    taps = [(x, weight) for x, weight in taps if weight > 0]
    total = sum(weight for _, weight in taps)
    return tuple((x, weight / total) for x, weight in taps)


def _pad(plane: Plane, axis: int, before: int, after: int) -> Plane:
    rows, columns = ((before, after), (0, 0)) if axis == 0 else ((0, 0), (before, after))
    return np.asarray(cv2.copyMakeBorder(plane, *rows, *columns, cv2.BORDER_REPLICATE), np.float32)


def _phases(plane: Plane, axis: int, factor: int) -> Sequence[Plane]:
    """Every `factor`-th row or column, from the first, from the second, …; the axis holds whole blocks."""
    if axis == 0:
        return [plane[phase::factor] for phase in range(factor)]
    return cv2.split(plane.reshape(plane.shape[0], -1, factor))  # pyright: ignore[reportReturnType]


def _joined(phases: Sequence[Plane], axis: int) -> Plane:
    """Inverse of `_phases`."""
    together = np.stack(phases, axis=1) if axis == 0 else np.asarray(cv2.merge(phases), np.float32)
    height, width = phases[0].shape
    return together.reshape((-1, width) if axis == 0 else (height, -1))


def _weighted(phases: Sequence[Plane], axis: int, taps: Taps, count: int) -> Plane:
    """Sum over taps (sample before it was split into phases, weight) at `count` neighbouring blocks."""
    total: Plane | None = None
    for sample, weight in taps:
        block, phase = divmod(sample, len(phases))
        window = slice(block, block + count)
        term = phases[phase][window] if axis == 0 else phases[phase][:, window]
        if weight != 1:
            term = np.multiply(term, np.float32(weight))
        total = term if total is None else np.add(total, term)
    assert total is not None
    return total


def _up_axis(plane: Plane, axis: int, factor: int, offset: float, size: int) -> Plane:
    count = plane.shape[axis]
    padded = [_pad(plane, axis, 1, 1)]
    phases = [_weighted(padded, axis, tuple((k + 1, w) for k, w in taps), count) for taps in up_taps(factor, offset)]
    result = _joined(phases, axis)
    return result[:size] if axis == 0 else result[:, :size]


def _down_axis(plane: Plane, axis: int, factor: int, offset: float) -> Plane:
    count = -(-plane.shape[axis] // factor)
    margin = 2 * factor
    padded = _pad(plane, axis, margin, margin + count * factor - plane.shape[axis])
    taps = tuple((x + margin, w) for x, w in down_taps(factor, offset))
    return _weighted(_phases(padded, axis, factor), axis, taps, count)


def upsample(plane: Plane, height: int, width: int, log2_h: int, log2_w: int, location: int) -> Plane:
    """Chroma plane [h, w] float32 → [height, width] of its luma plane; h = ⌈height / 2^log2_h⌉, w likewise."""
    if log2_h:
        plane = _up_axis(plane, 0, 1 << log2_h, siting(1 << log2_h, location, vertical=True), height)
    if log2_w:
        plane = _up_axis(plane, 1, 1 << log2_w, siting(1 << log2_w, location, vertical=False), width)
    return plane


def downsample(plane: Plane, log2_h: int, log2_w: int, location: int) -> Plane:
    """Full-size plane [H, W] float32 → chroma plane [⌈H / 2^log2_h⌉, ⌈W / 2^log2_w⌉], low-passed."""
    if log2_w:
        plane = _down_axis(plane, 1, 1 << log2_w, siting(1 << log2_w, location, vertical=False))
    if log2_h:
        plane = _down_axis(plane, 0, 1 << log2_h, siting(1 << log2_h, location, vertical=True))
    return plane
