"""Smooth random fields in space: value noise on a lattice, the same for the same seed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]


class Noise:
    """A random value at each point of a lattice that repeats, linear between them."""

    def __init__(self, seed: int, size: int = 32) -> None:
        """`size` is a power of two: the lattice's period in cells."""
        self._values = np.random.default_rng(seed).random((size, size, size), np.float32)

    def __call__(self, points: Floats, per_unit: float | tuple[float, float, float]) -> Floats:
        """[P, 3] → [P] in [0, 1], `per_unit` random cells per unit of length."""
        scale = np.broadcast_to(np.array(per_unit, np.float32), (3,))
        return _noise(np.ascontiguousarray(points, np.float32), np.ascontiguousarray(scale), self._values)


@njit(cache=True)
def _noise(points, scale, values):  # pragma: no cover - compiled
    wrap = values.shape[0] - 1
    out = np.empty(points.shape[0], np.float32)
    for p in range(points.shape[0]):
        x, y, z = points[p, 0] * scale[0], points[p, 1] * scale[1], points[p, 2] * scale[2]
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        i, j, k = int(fx) & wrap, int(fy) & wrap, int(fz) & wrap
        i1, j1, k1 = (i + 1) & wrap, (j + 1) & wrap, (k + 1) & wrap
        x, y, z = x - fx, y - fy, z - fz
        a = (values[i, j, k] * (1 - x) + values[i1, j, k] * x) * (1 - y)
        a += (values[i, j1, k] * (1 - x) + values[i1, j1, k] * x) * y
        b = (values[i, j, k1] * (1 - x) + values[i1, j, k1] * x) * (1 - y)
        b += (values[i, j1, k1] * (1 - x) + values[i1, j1, k1] * x) * y
        out[p] = a * (1 - z) + b * z
    return out
