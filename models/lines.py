"""Lines of a picture, as the sketch task draws them and sketch models learn them: where it is darker than around."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_COARSE_TO_FINE = 1.6
"""Ratio of the two Gaussians: with it their difference comes close to a Laplacian (Marr and Hildreth 1980)."""
_FLOOR = 0.05
"""Added to brightness before its logarithm, so that noise in deep shadow draws no lines."""
_STEEPNESS = 25.0
"""How soon a line is fully black beyond the threshold; finite, so that lines fade in and out in a clip."""


def draw_lines(grey: Floats, line_px: float = 1.2, threshold: float = 0.015) -> Floats:
    """Grey [H, W] in [0, 1] → lines [H, W] in [0, 1], dark on white.

    A difference of Gaussians, softly thresholded as in XDoG (Winnemöller, Kyprianidis and Olsen 2012, Equation 5), but
    of the brightness' ratio instead of its difference, so that exposure does not matter and no tone is filled in.
    """
    bright = grey.clip(0, 1) + np.float32(_FLOOR)
    fine, coarse = (
        cv2.GaussianBlur(bright, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        for sigma in (line_px, line_px * _COARSE_TO_FINE)
    )
    darker = np.log(coarse / fine)
    return (1 - np.tanh(_STEEPNESS * np.maximum(darker - threshold, 0))).astype(np.float32)
