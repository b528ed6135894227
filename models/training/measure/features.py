"""A face as numbers that a straight line can be fitted to: gradients by place and direction, folds, colours.

Histograms of oriented gradients (Dalal & Triggs 2005) at two scales after local contrast normalisation, the normalised
picture itself at low resolution, and colours in CIELAB.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.config import ALIGNED_SIZE
from models.training.measure.held_out import Picture
from models.training.views import Face, aligned_view, take

SIDE = 128
"""Pixels of the aligned face that is looked at."""
DIRECTIONS, CELL = 8, 8


def aligned_face(picture: Picture, face: Face) -> Picture:
    """[128, 128, 3]: FFHQ's crop."""
    aspect = picture.shape[1] / picture.shape[0]
    return take(picture, aligned_view(face, aspect), ALIGNED_SIZE, "linear", SIDE / ALIGNED_SIZE)


def features(face: Picture) -> NDArray[np.float32]:
    """[F] of an aligned face [128, 128, 3]."""
    lab = cv2.cvtColor(face, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = lab[..., 0]
    offset = light - cv2.blur(light, (25, 25))
    flat = offset / np.sqrt(cv2.blur(offset**2, (25, 25)) + 9)
    half = cv2.resize(flat, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    parts = [
        _gradients(np.asarray(flat[16:], np.float32)),
        _gradients(np.asarray(half, np.float32)),
        cv2.resize(flat, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA),
        cv2.resize(lab, (SIDE // 8, SIDE // 8), interpolation=cv2.INTER_AREA) / 30,
    ]
    return np.concatenate([np.asarray(part, np.float32).ravel() for part in parts])


def _gradients(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """[cells, cells, 8]: mean square root of the gradient's length by its direction modulo a half turn."""
    across = cv2.Sobel(light, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(light, cv2.CV_32F, 0, 1, ksize=3)
    length = np.sqrt(np.hypot(across, down))
    turn = np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS
    far = np.abs(turn[..., None] - np.arange(DIRECTIONS))
    share = np.clip(1 - np.minimum(far, DIRECTIONS - far), 0, 1) * length[..., None]
    size = light.shape[1] // CELL, light.shape[0] // CELL
    return np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_AREA), np.float32)
