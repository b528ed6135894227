"""Faces in a picture: the interface of every detector, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""[H, W, 3] upright R'G'B'."""


@dataclass(frozen=True, slots=True)
class Region:
    """The turned square of the picture that a landmark network looks at, in pixel-index coordinates."""

    x: float
    """Centre."""
    y: float
    side: float
    """In pixels."""
    angle: float
    """Radians by which the face is turned clockwise, as seen on the screen."""

    def is_close(self, other: Region, tolerance: float = 0.05) -> bool:
        """Whether `other` differs by less than `tolerance` of the side in place and size, and as many radians."""
        shift = max(abs(self.x - other.x), abs(self.y - other.y), abs(self.side - other.side))
        turn = (self.angle - other.angle + np.pi) % (2 * np.pi) - np.pi
        return shift < tolerance * self.side and abs(turn) < tolerance


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found in one picture."""

    box: NDArray[np.float32]
    """[4] x0, y0, x1, y1: bounds of the landmarks, in pixel-index coordinates (centre of the first pixel = 0)."""
    score: float
    """Presence in [0, 1]."""
    landmarks: NDArray[np.float32]
    """[68, 2] (x, y), iBUG order, pixel-index coordinates; may lie outside the picture."""
    region: Region
    """Where the landmark network looks next; `refine` starts from it."""


class FaceDetector(Protocol):
    """Finds faces and their landmarks. Not thread-safe: one thread at a time."""

    @property
    def name(self) -> str:
        """The word for it in configuration and reports."""
        ...

    @property
    def version(self) -> str:
        """Release of the package that it comes from."""
        ...

    @property
    def weights_sha256(self) -> Mapping[str, str]:
        """File name → hexadecimal sha256 of every weight file in use."""
        ...

    def detect(self, image: Image) -> list[Detection]:
        """Every face in `image`, best score first. A function of the picture alone."""
        ...

    def reach(self, previous: Detection) -> tuple[int, int, int, int] | None:
        """The part of the next picture that `refine` looks at: left, top, right, bottom; it may leave the picture.

        None: all of it.
        """
        ...

    def refine(self, image: Image, previous: Detection, corner: tuple[int, int] = (0, 0)) -> Detection | None:
        """The face of the frame before, found again near where it was; None when it is not there.

        Args:
            image: the picture, or its part inside `reach(previous)`.
            corner: (x, y) of the part's first pixel in the picture, whose coordinates are used throughout.

        A picture that does not change gives landmarks that do not change: the region stays what it was while the face
        stays in the middle of it (`Region.is_close`).
        """
        ...


def bounds(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """[4] x0, y0, x1, y1 of points [N, 2]."""
    return np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]).astype(np.float32)


def box_iou(box: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """[N] intersection over union of one box [4] and boxes [N, 4], all x0, y0, x1, y1."""
    box, others = box.astype(np.float64), others.astype(np.float64)
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    overlap = sides.clip(min=0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - overlap
    return overlap / np.maximum(union, 1e-9)


def drop_duplicates(detections: list[Detection], max_iou: float = 0.5) -> list[Detection]:
    """Best score first; a face whose box overlaps a better one's by more than `max_iou` is the same face."""
    kept: list[Detection] = []
    for found in sorted(detections, key=lambda d: -d.score):
        if not kept or box_iou(found.box, np.stack([k.box for k in kept])).max() <= max_iou:
            kept.append(found)
    return kept
