"""The 468-point face mesh, read as 68 iBUG landmarks (Kartynnik et al., arXiv 1907.06724)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.faces import Detection, Image, Region, bounds
from models.tflite import TFLiteNet

MIN_PRESENCE = 0.5
REGION_PER_FACE = 1.5
"""The mesh sees this many times the longer side of the mesh's bounds."""

JAW = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389]
BROWS = [71, 63, 105, 66, 107, 336, 296, 334, 293, 301]
NOSE = [168, 197, 5, 4, 75, 97, 2, 326, 305]
EYES = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
MOUTH = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
IBUG_68 = np.array([*JAW, *BROWS, *NOSE, *EYES, *MOUTH])
"""Mesh vertex of every iBUG landmark."""


class FaceMesh:
    """Landmarks of the one face in a region."""

    def __init__(self) -> None:
        self._net = TFLiteNet("face_landmark.tflite", 192)

    def reach(self, region: Region) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the pixels that a region is cut from; they may lie outside the picture."""
        return _reach(region, self._net.size)

    def __call__(self, image: Image, region: Region, corner: tuple[int, int] = (0, 0)) -> Detection | None:
        """The face in `region`, or None when there is none (presence ≤ 0.5); its region is the square about itself.

        Args:
            image: the picture, or its part inside `reach(region)`, whose first pixel lies at `corner` (x, y).
        """
        presence, vertices = self._net(_cut(image, region, self._net.size, corner), 1 / 255, 0.0)
        score = 1 / (1 + math.exp(-float(presence[0])))
        if score <= MIN_PRESENCE:
            return None
        # The network counts from the crop's edge: its coordinates / size run from 0 to 1.
        points = vertices.reshape(468, 3)[:, :2].astype(np.float64)
        points = (points / self._net.size - 0.5) @ _axes(region) + (region.x, region.y)
        landmarks, own = points[IBUG_68].astype(np.float32), _own_region(points)
        return Detection(bounds(landmarks), score, landmarks, own)


def _own_region(points: NDArray[np.float64]) -> Region:
    """The square about a mesh [468, 2], forehead included, turned with the line through the eyes."""
    across = points[IBUG_68[42:48]].mean(axis=0) - points[IBUG_68[36:42]].mean(axis=0)
    angle = math.atan2(across[1], across[0])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    upright = points @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2 @ turn
    return Region(float(x), float(y), REGION_PER_FACE * float((high - low).max()), angle)


def _axes(region: Region) -> NDArray[np.float64]:
    """[2, 2]: rows are the region's right and down edges in picture pixels."""
    cos, sin = math.cos(region.angle) * region.side, math.sin(region.angle) * region.side
    return np.array([[cos, sin], [-sin, cos]])


def _reduction(region: Region, size: int) -> int:
    """Whole factor by which the picture is reduced before a region is cut."""
    return max(int(region.side / size), 1)


def _reach(region: Region, size: int) -> tuple[int, int, int, int]:
    """The pixels under a region, in whole steps of its reduction."""
    step = _reduction(region, size)
    half = region.side / 2 * (abs(math.cos(region.angle)) + abs(math.sin(region.angle))) + 2 * step
    left, top = (math.floor((c - half) / step) * step for c in (region.x, region.y))
    right, bottom = (math.ceil((c + 1 + half) / step) * step for c in (region.x, region.y))
    return left, top, right, bottom


def _cut(image: Image, region: Region, size: int, corner: tuple[int, int] = (0, 0)) -> Image:
    """uint8 [size, size, 3]: the region set upright; black outside the picture.

    The same bits whether `image` is the picture or a part that holds all of `_reach`: it is cut down to that first.
    """
    left, top, right, bottom = _reach(region, size)
    x, y = max(left - corner[0], 0), max(top - corner[1], 0)
    image = image[y : max(bottom - corner[1], 0), x : max(right - corner[0], 0)]
    shrink = _reduction(region, size)
    if min(image.shape[:2]) < shrink:
        return np.zeros((size, size, 3), np.uint8)
    if shrink > 1:  # a whole-number area reduction first: bilinear sampling alone would alias
        height, width = (n // shrink * shrink for n in image.shape[:2])
        image = cv2.resize(image[:height, :width], (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)  # pyright: ignore[reportAssignmentType]
    place = np.array([region.x - corner[0] - x, region.y - corner[1] - y])
    center = (place + 0.5) / shrink - 0.5
    axes = _axes(region) / shrink / size
    origin = center - (size - 1) / 2 * (axes[0] + axes[1])
    to_picture = np.column_stack([axes[0], axes[1], origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, to_picture, (size, size), flags=flags)  # pyright: ignore[reportReturnType]
