"""Filters over time for rows of numbers, one row per frame: symmetric FIR for renders, One-Euro for live previews."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

Rows = NDArray[np.floating]
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
SAVGOL_ORDER = 2
LEAST_WEIGHT = 1e-6


class Fir:
    """Symmetric FIR of finite support; the window is clipped to the rows that are there, and renormalised.

    The sum is taken in float64 in the order of the frames, so that the result depends on nothing else.

    Args:
        kind: "gaussian", or "savgol": Savitzky–Golay of order 2, which keeps peaks better and overshoots a little.
        radius: frames to either side; 0 leaves the rows as they are.
    """

    def __init__(self, kind: Literal["gaussian", "savgol"], radius: int) -> None:
        self.radius = radius
        if kind == "gaussian" or radius < 2:
            sigma = max(radius / FWHM_PER_SIGMA, 1e-9)
            self._taps: list[float] = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1)]
        else:
            self._taps = [float(tap) for tap in savgol_coeffs(2 * radius + 1, SAVGOL_ORDER)]

    def __call__(self, rows: Mapping[int, Rows], frame: int) -> NDArray[np.float32]:
        """The filtered row at `frame`.

        Args:
            rows: frame → row; missing frames are left out of the window. At least `frame` itself or a neighbour.
        """
        total, weights = np.zeros(1), 0.0
        for k, tap in enumerate(self._taps, start=frame - self.radius):
            if k in rows:
                total = total + tap * rows[k].astype(np.float64)
                weights += tap
        if weights < LEAST_WEIGHT:  # only the outer, negative taps of Savitzky–Golay fell on rows
            return rows[min(rows, key=lambda k: (abs(k - frame), k))].astype(np.float32)
        return (total / weights).astype(np.float32)


class OneEuro:
    """One-Euro filter (Casiez et al., CHI 2012): causal, smooth at rest, quick in motion; all frames before count.

    Args:
        min_cutoff: Hz at rest; lower is smoother.
        beta: how much speed, in units per second, raises the cutoff.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 0.5) -> None:
        self._min_cutoff, self._beta = min_cutoff, beta
        self._value: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None
        self._time_s = 0.0

    def __call__(self, row: Rows, time_s: float) -> NDArray[np.float32]:
        """The filtered row at `time_s`, later than all before."""
        row = row.astype(np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed = row, np.zeros_like(row)
        else:
            step = max(time_s - self._time_s, 1e-6)
            speed = (row - self._value) / step
            self._speed = self._speed + _gain(1.0, step) * (speed - self._speed)
            cutoff = self._min_cutoff + self._beta * float(np.abs(self._speed).mean())
            self._value = self._value + _gain(cutoff, step) * (row - self._value)
        self._time_s = time_s
        return self._value.astype(np.float32)


def _gain(cutoff: float, step_s: float) -> float:
    r = 2 * math.pi * cutoff * step_s
    return r / (r + 1)
