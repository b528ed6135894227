"""Linear light ↔ pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def to_srgb(linear: Floats) -> Floats:
    """Linear light → sRGB in [0, 1] (IEC 61966-2-1); light above 0.7 is rolled off, not clipped."""
    bright = np.maximum(linear, 0)
    bright = np.where(bright > 0.7, 0.7 + 0.3 * (1 - np.exp(-(bright - 0.7) / 0.45)), bright)
    return np.where(bright <= 0.0031308, 12.92 * bright, 1.055 * np.maximum(bright, 1e-6) ** (1 / 2.4) - 0.055).astype(
        np.float32
    )


def to_linear(srgb: Floats) -> Floats:
    """sRGB in [0, 1] → linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_uint8(picture: Floats) -> NDArray[np.uint8]:
    """[0, 1] → 0 … 255, rounded."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def halved(samples: Floats, factor: int) -> Floats:
    """Mean of factor² samples: [fH, fW, …] → [H, W, …]."""
    total = np.array(samples[::factor, ::factor], np.float32)
    for step in range(1, factor * factor):
        total += samples[step // factor :: factor, step % factor :: factor]
    return total / np.float32(factor * factor)
