"""Where a training crop lies in its source: the affine and crop augmentation that makes faces unaligned (spec §7).

A view is a 2×3 matrix from the unit square of the source ([0, 1]², edges, not pixel centres) to pixels of the crop, so
that one view serves arrays of any resolution that show the same scene.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from models.config import ALIGNED_SIZE
from models.training.settings import Settings, ascending

Filter = Literal["cubic", "linear", "nearest"]
_FILTERS = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


class ViewSettings(Settings):
    """Ranges of the random views."""

    crop_px: Annotated[tuple[int, int], ascending(32)] = (128, 128)
    """Smallest and largest side of the crop at the network's input, drawn once per batch in steps of 8."""
    eye_distance_px: Annotated[tuple[float, float], ascending(1)] = (46.0, 88.0)
    """Distance between the eyes in the crop; face scale is 64."""
    rotation_deg: float = Field(default=9.0, ge=0)
    """Standard deviation of the rotation, cut at 2.5 times that."""
    reach: float = Field(default=1.4, ge=0)
    """How far the crop's centre may lie from the face's, in distances between the eyes."""
    mirror: float = Field(default=0.5, ge=0, le=1)
    """Share of mirrored views."""


class Face(NamedTuple):
    """Points of one face in the unit square of its source."""

    eyes: np.ndarray
    """[2, 2]: eye centres, image left first."""
    mouth: np.ndarray
    """[2, 2]: outer corners, image left first."""

    @classmethod
    def from_landmarks(cls, landmarks: np.ndarray, height: int, width: int) -> Face:
        """From 68 iBUG landmarks in pixel indices of an image of `height` × `width`."""
        points = (np.asarray(landmarks, np.float64) + 0.5) / (width, height)
        return cls(np.stack([points[36:42].mean(0), points[42:48].mean(0)]), points[[48, 54]])

    @classmethod
    def of_aligned(cls) -> Face:
        """Where FFHQ's alignment puts an average face, for pictures from a generator."""
        return cls(np.array([[0.376, 0.468], [0.624, 0.468]]), np.array([[0.394, 0.715], [0.606, 0.715]]))


def draw_view(rng: np.random.Generator, face: Face, aspect: float, px: int, settings: ViewSettings) -> np.ndarray:
    """A random view of `px`² pixels about a face.

    Args:
        aspect: width over height of the source.
    """
    stretch = np.array([aspect, 1.0])
    left, right = face.eyes * stretch
    apart = float(np.linalg.norm(right - left))
    scale = np.exp(rng.uniform(*np.log(settings.eye_distance_px))) / apart  # crop pixels per source height
    turn = np.arctan2(*(right - left)[::-1])
    limit = 2.5 * settings.rotation_deg
    angle = np.deg2rad(np.clip(rng.normal(0, settings.rotation_deg), -limit, limit)) if limit else 0.0
    middle = 0.6 * (left + right) / 2 + 0.4 * (face.mouth * stretch).mean(0)
    centre = middle + rng.uniform(-settings.reach, settings.reach, 2) * apart
    half = np.minimum(0.5 * px / scale, stretch / 2)  # keep the crop inside the source where it can be
    centre = np.clip(centre, half, stretch - half)
    mirrored = rng.random() < settings.mirror
    cos, sin = np.cos(angle - turn), np.sin(angle - turn)
    linear = scale * np.array([[cos, -sin], [sin, cos]])
    if mirrored:
        linear[0] *= -1
    linear = linear * stretch
    return np.column_stack([linear, px / 2 - linear @ (centre / stretch)])


def aligned_view(face: Face, aspect: float) -> np.ndarray:
    """FFHQ's aligned crop of 256×256 as a view (spec §6, without its paddings)."""
    stretch = np.array([aspect, 1.0])
    (left, right), mouth = face.eyes * stretch, (face.mouth * stretch).mean(0)
    eyes = (left + right) / 2
    down = mouth - eyes
    x = right - left - np.array([-down[1], down[0]])
    x *= max(2 * np.linalg.norm(right - left), 1.8 * np.linalg.norm(down)) / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    corner = eyes + 0.1 * down - x - y
    linear = np.linalg.inv(2 * np.column_stack([x, y])) * ALIGNED_SIZE
    return np.column_stack([linear * stretch, -linear @ corner])


def take(image: np.ndarray, view: np.ndarray, px: int, sampling: Filter = "cubic", scale: float = 1.0) -> np.ndarray:
    """Resample a source into a view.

    Args:
        image: [h, w] or [h, w, C].
        px: side of the view.
        scale: of the result: `px`·scale pixels a side.

    Returns:
        uint8 [px·scale, px·scale(, C)]; outside the source it is mirrored.
    """
    side = round(px * scale)
    matrix = view * scale
    while sampling != "nearest" and _density(matrix, image) < 0.6:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    linear = matrix[:, :2] / (image.shape[1], image.shape[0])
    offset = matrix[:, 2] + linear @ (0.5, 0.5) - 0.5
    warp = np.column_stack([linear, offset])
    border = cv2.BORDER_REFLECT_101
    return np.ascontiguousarray(cv2.warpAffine(image, warp, (side, side), flags=_FILTERS[sampling], borderMode=border))


def _density(matrix: np.ndarray, image: np.ndarray) -> float:
    """Pixels of the view per pixel of the source, along an axis."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2])) / (image.shape[0] * image.shape[1])))


def sampling_grid(source: np.ndarray, target: np.ndarray, source_px: int, target_px: int) -> np.ndarray:
    """[2, 3] float32 for `torch.nn.functional.affine_grid` that takes the view `target` out of the view `source`."""
    lift = np.array([[0.0, 0.0, 1.0]])
    there = np.vstack([source, lift]) @ np.linalg.inv(np.vstack([target, lift]))  # target pixels → source pixels
    to_pixels = np.array([[target_px / 2, 0, target_px / 2], [0, target_px / 2, target_px / 2], [0, 0, 1.0]])
    to_unit = np.array([[2 / source_px, 0, -1], [0, 2 / source_px, -1], [0, 0, 1.0]])
    return (to_unit @ there @ to_pixels)[:2].astype(np.float32)
