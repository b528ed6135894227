"""One resampler for everything: anti-aliased, phase-correct, separable, deterministic.

A window that moves by a fraction of a pixel gives a picture that moves by that fraction, and a reduction filters what
the smaller grid cannot carry; both are cures for flicker. Coordinates: pixel i covers [i, i + 1), its centre is i + ½.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Kernel = Literal["triangle", "cubic", "lanczos3"]
SUPPORT = {"triangle": 1.0, "cubic": 2.0, "lanczos3": 3.0}


def kernel_value(kernel: Kernel, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The kernel at distances x ≥ 0 in samples; cubic is Keys' with a = −0.5."""
    if kernel == "triangle":
        return np.clip(1 - x, 0, None)
    if kernel == "cubic":
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


@lru_cache(maxsize=64)
def axis_operator(
    in_size: int, out_size: int, scale: float, offset: float, kernel: Kernel = "cubic"
) -> sparse.csr_array:
    """[out_size, in_size] float32: output sample i is taken at input coordinate (i + ½)/scale + offset − ½.

    The kernel is widened by 1/scale when reducing, weights sum to 1, the input is reflected beyond its borders.
    """
    reach = SUPPORT[kernel] * max(1.0, 1.0 / scale)
    center = (np.arange(out_size) + 0.5) / scale + offset - 0.5
    first = np.ceil(center - reach).astype(np.int64)
    taps = first[:, None] + np.arange(int(np.floor(2 * reach)) + 1)
    weights = kernel_value(kernel, np.abs(taps - center[:, None]) * min(1.0, scale))
    weights /= weights.sum(axis=1, keepdims=True)
    folded = taps % (2 * in_size)
    columns = np.where(folded < in_size, folded, 2 * in_size - 1 - folded)
    rows = np.repeat(np.arange(out_size), taps.shape[1])
    keep = weights.ravel() != 0
    entries = (weights.ravel()[keep].astype(np.float32), (rows[keep], columns.ravel()[keep]))
    return sparse.csr_array(entries, shape=(out_size, in_size))


@dataclass(frozen=True, slots=True, eq=False)
class Resampler:
    """Rows, then columns."""

    rows: sparse.csr_array
    """[out_height, height]."""
    cols: sparse.csr_array
    """[out_width, width]."""

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """image [H, W] or [H, W, C] float32 → [out_height, out_width(, C)], contiguous."""
        height, width, *channels = image.shape
        tall = (self.rows @ image.reshape(height, -1)).reshape(-1, width, *channels)
        across = np.ascontiguousarray(tall.swapaxes(0, 1))
        wide = (self.cols @ across.reshape(width, -1)).reshape(-1, tall.shape[0], *channels)
        return np.ascontiguousarray(wide.swapaxes(0, 1))
