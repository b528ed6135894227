"""Where a network puts the features of a face: landmarks of its picture against those of another.

The embedded face mesh looks at both pictures through the same square, so that what it gets wrong about synthetic heads
it gets wrong twice and it cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.face_mesh import FaceMesh
from models.faces import Region
from models.training.measure.held_out import EYE_DISTANCE, Head, Picture
from models.training.proportions import PARTS

Points = NDArray[np.float64]
SLICES = {name: slice(*ends) for name, ends in PARTS.items()}
REGION = 4.2
"""Side of the square that the mesh looks at, in distances between the eyes."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Distances between two sets of landmarks, mean over the faces that were found in both."""

    error: float
    """% of the distance between the eyes, mean over the 68 points."""
    worst: float
    """The same of the worst face."""
    parts: dict[str, float]
    """By PARTS."""
    found: int
    """Faces found in both …"""
    asked: int
    """… of so many."""


class LandmarkReader:
    """68 landmarks of a face whose place is known."""

    def __init__(self) -> None:
        self._mesh = FaceMesh()

    def __call__(self, picture: Picture, head: Head) -> Points | None:
        """[68, 2] pixel indices, or None where no face is seen."""
        marks = head.landmarks["landmarks"]
        left, right = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
        middle = 0.5 * (left + right) + 0.35 * (marks[48:68].mean(axis=0) - 0.5 * (left + right))
        apart = float(np.linalg.norm(right - left))
        region = Region(float(middle[0]), float(middle[1]), REGION * apart, float(np.arctan2(*(right - left)[::-1])))
        found = self._mesh(picture, region)
        return None if found is None else found.landmarks.astype(np.float64)

    def all(self, pictures: Sequence[Picture], heads: Sequence[Head]) -> list[Points | None]:
        """Of each picture."""
        return [self(picture, head) for picture, head in zip(pictures, heads, strict=True)]


def agreement(ours: Sequence[Points | None], theirs: Sequence[Points | None]) -> Agreement | None:
    """How far two lists of landmarks [68, 2] at face scale lie apart; None where no face is in both."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    apart = np.stack([np.linalg.norm(a - b, axis=1) for a, b in pairs]) * (100 / EYE_DISTANCE)
    parts = {name: float(apart[:, part].mean()) for name, part in SLICES.items()}
    mean = apart.mean(axis=1)
    return Agreement(float(mean.mean()), float(mean.max()), parts, len(pairs), len(ours))


def share_moved(
    before: Sequence[Points | None], after: Sequence[Points | None], true: Sequence[Points]
) -> dict[str, float]:
    """How much of a true displacement was made, by PARTS: 0 nothing, 1 all of it.

    Args:
        before, after: landmarks read off the input and the output.
        true: [68, 2] each, the displacement of the true counterpart.

    Returns:
        The least-squares factor of `true` in after − before over all faces; parts of no face are left out.
    """
    rows = [(b - a, t) for a, b, t in zip(before, after, true, strict=True) if a is not None and b is not None]
    if not rows:
        return {}
    made, asked = (np.stack(column) for column in zip(*rows, strict=True))
    share = {}
    for name, part in SLICES.items():
        size = float((asked[:, part] ** 2).sum())
        if size > 0:
            share[name] = float((made[:, part] * asked[:, part]).sum() / size)
    return share


def eye_opening(marks: Points) -> float:
    """Height of the eyes in % of the distance between them."""
    upper, lower = marks[[37, 38, 43, 44]], marks[[41, 40, 47, 46]]
    return float(np.linalg.norm(upper - lower, axis=1).mean()) * (100 / EYE_DISTANCE)


def mouth_curve(marks: Points) -> float:
    """How far the corners of the mouth lie above the middle of its lips, in % of the distance between the eyes."""
    return float(marks[[51, 57], 1].mean() - marks[[48, 54], 1].mean()) * (100 / EYE_DISTANCE)
