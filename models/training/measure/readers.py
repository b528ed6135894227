"""Instruments that read an attribute off a picture, and say how far they can be trusted.

Age, smile and the size of the eyes are read by ridge regression (Hoerl & Kennard 1970), fitted to the synthetic set in
its dual form, deterministic, seconds on one core; hair by its mean lightness under the hair label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.training.degrade import apply_table, colour_change
from models.training.measure.features import aligned_face, features
from models.training.measure.held_out import Head, Picture
from models.training.samples import Samples
from models.training.views import Face

Floats = NDArray[np.float64]
ATTRIBUTES = ("age", "smile", "eye_size")
"""What the regression reads, by the names of the samples' attributes."""
HAIR = 17
"""Label of hair."""
RIDGE = 0.3
"""Penalty, as a share of the features' mean variance: the best of six on the first 1192 heads of seed 1."""
FOLDS = 5
MIN_R2 = 0.4
"""Below this the instrument does not judge."""
MIN_SCENES = 40
_BLUR, _COLOUR = 1.2, 0.3
"""Largest blur in pixels, and strength of the camera response, of the pictures it learns from: a network's picture is
softer than a rendered one, and that alone shall not read as younger."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How well an attribute is read, on scenes that the fit has not seen (cross-validation by scene)."""

    r2: float
    """Coefficient of determination; 0 is as good as the mean."""
    mae: float
    """Mean absolute error, in the attribute's unit."""
    scenes: int

    @property
    def sufficient(self) -> bool:
        """Whether it may judge."""
        return self.r2 >= MIN_R2


class AttributeReader:
    """Reads ATTRIBUTES off faces.

    Args:
        samples: the synthetic set.
        numbers: which scenes to learn from; those with variants count once more for each.

    Raises:
        UserError: too few scenes, or attributes that the set does not have.
    """

    def __init__(self, samples: Samples, numbers: Sequence[int]) -> None:
        if len(numbers) < MIN_SCENES:
            raise UserError(
                f"attribute reader: {len(numbers)} scenes", f"at least {MIN_SCENES} are needed; make a larger set"
            )
        for name in ATTRIBUTES:
            if name not in samples.attributes:
                raise UserError(f"attribute reader: the samples have no attribute {name!r}", "make the set again")
        places = [samples.attributes.index(name) for name in ATTRIBUTES]
        rows = list(_examples(samples, numbers))
        x = np.stack([row[0] for row in rows]).astype(np.float64)
        y = np.stack([row[1][places] for row in rows]).astype(np.float64)
        scene = np.array([row[2] for row in rows])
        self._mean, self._spread = x.mean(axis=0), x.std(axis=0) + 1e-6
        x = (x - self._mean) / self._spread
        kernel = x @ x.T / x.shape[1]
        self.trust: dict[str, Trust] = dict(zip(ATTRIBUTES, _cross_validated(kernel, y, scene), strict=True))
        """By attribute."""
        self._offset = y.mean(axis=0)
        self._weights = x.T @ _solve(kernel, y - self._offset) / x.shape[1]

    def read(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> dict[str, Floats]:
        """[N] per attribute, in the attribute's unit.

        Args:
            pictures: [h, w, 3] each.
            faces: where each has its face.
        """
        pairs = zip(pictures, faces, strict=True)
        x = np.stack([features(aligned_face(picture, face)) for picture, face in pairs])
        values = (x - self._mean) / self._spread @ self._weights + self._offset
        return {name: values[:, place] for place, name in enumerate(ATTRIBUTES)}


def hair_lightness(pictures: Sequence[Picture], heads: Sequence[Head]) -> Floats:
    """[N]: mean CIELAB L under each head's hair label; NaN where fewer than 100 pixels are hair."""
    values = []
    for picture, head in zip(pictures, heads, strict=True):
        inside = head.arrays["parsing"] == HAIR
        light = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[..., 0] * (100 / 255)
        values.append(float(light[inside].mean()) if inside.sum() >= 100 else np.nan)
    return np.array(values)


def _examples(samples: Samples, numbers: Sequence[int]) -> Iterator[tuple[NDArray[np.float32], np.ndarray, int]]:
    """(features, attributes, scene) of every picture of every scene, each through a camera of its own."""
    variants = {name: set(samples.having(f"variant_{name}")) for name in ATTRIBUTES}
    for number in numbers:
        rng = np.random.default_rng([number, 31])
        edits = [name for name in ATTRIBUTES if number in variants[name]]
        names = ["image", "landmarks", "attributes"]
        held = samples.load(number, names + [f"{kind}_{edit}" for edit in edits for kind in ("variant", "attributes")])
        height, width = held["image"].shape[:2]
        face = Face.from_landmarks(held["landmarks"], height, width)
        pictures = [(held["image"], held["attributes"])]
        pictures += [(held[f"variant_{edit}"], held[f"attributes_{edit}"]) for edit in edits]
        for picture, attributes in pictures:
            crop = aligned_face(apply_table(picture, colour_change(rng, _COLOUR)), face)
            sigma = rng.uniform(0, _BLUR)
            crop = cv2.GaussianBlur(crop, (0, 0), sigma) if sigma > 0.2 else crop
            yield features(np.asarray(crop, np.uint8)), attributes, number


def _solve(kernel: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.solve(kernel + RIDGE * np.eye(len(kernel)), y), np.float64)


def _cross_validated(kernel: Floats, y: Floats, scene: NDArray[np.int64]) -> list[Trust]:
    guess, fold = np.zeros_like(y), np.unique(scene, return_inverse=True)[1] % FOLDS
    for part in range(FOLDS):
        known, asked = fold != part, fold == part
        offset = y[known].mean(axis=0)
        guess[asked] = kernel[np.ix_(asked, known)] @ _solve(kernel[np.ix_(known, known)], y[known] - offset) + offset
    error = y - guess
    r2 = 1 - (error**2).sum(axis=0) / np.maximum(((y - y.mean(axis=0)) ** 2).sum(axis=0), 1e-12)
    scenes = len(np.unique(scene))
    return [Trust(float(r), float(m), scenes) for r, m in zip(r2, np.abs(error).mean(axis=0), strict=True)]
