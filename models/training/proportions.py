"""How far a drawn counterpart's proportions are taken over: its picture is bent towards the scene it was drawn from.

A counterpart with other proportions (larger eyes, a short chin) moves every part of the face. A small network learns
the parts that it is to move, and stays sharp elsewhere, when the rest of its target lies where its input lies.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import RBFInterpolator

from models.training.settings import Settings

PARTS = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68)}
"""iBUG's 68 points."""
_GRID = 33
"""Points a side at which the bend is computed; between them it is interpolated."""
_EASE = 2.0
"""Smoothing of the thin plate: landmarks behind the cheek need not be met exactly."""


class Proportions(Settings):
    """0: the part lies where it lies in the scene; 1: where the counterpart has it."""

    jaw: float = Field(default=1.0, ge=0, le=1)
    brows: float = Field(default=1.0, ge=0, le=1)
    nose: float = Field(default=1.0, ge=0, le=1)
    eyes: float = Field(default=1.0, ge=0, le=1)
    mouth: float = Field(default=1.0, ge=0, le=1)

    def between(self, scene: NDArray[np.floating], drawn: NDArray[np.floating]) -> NDArray[np.float64]:
        """[68, 2]: where the points of a scene go, given those of its counterpart."""
        share = np.concatenate([np.full(end - first, getattr(self, part)) for part, (first, end) in PARTS.items()])
        return np.asarray(scene + share[:, None] * (np.asarray(drawn, np.float64) - scene))


def bend(picture: NDArray[np.uint8], points: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Move a picture's points by a thin-plate spline; its border stays.

    Args:
        picture: [h, w, 3].
        points: [68, 2] in pixel indices (x, y), as they are.
        wanted: [68, 2], where they shall be.

    Returns:
        [h, w, 3].
    """
    height, width = picture.shape[:2]
    across, down = np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)
    border = np.array([(x, y) for x in across for y in down if x in across[[0, -1]] or y in down[[0, -1]]])
    here, there = np.vstack([wanted, border]), np.vstack([points, border])
    spline = RBFInterpolator(here, there - here, kernel="thin_plate_spline", smoothing=_EASE)
    nodes = np.stack(np.meshgrid(np.linspace(0, width - 1, _GRID), np.linspace(0, height - 1, _GRID)), axis=-1)
    coarse = spline(nodes.reshape(-1, 2)).reshape(_GRID, _GRID, 2).astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    step = np.float32((_GRID - 1) / (width - 1)), np.float32((_GRID - 1) / (height - 1))
    moved = cv2.remap(coarse, x * step[0], y * step[1], cv2.INTER_LINEAR)
    mode = cv2.BORDER_REFLECT_101
    return np.asarray(
        cv2.remap(picture, x + moved[..., 0], y + moved[..., 1], cv2.INTER_CUBIC, borderMode=mode), np.uint8
    )
