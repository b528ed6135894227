"""Held-out heads as the networks see them: at face scale, upright, with what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.config import ALIGNED_SIZE
from models.training.proportions import Proportions, bend
from models.training.samples import Samples
from models.training.views import Face, ViewSettings, aligned_view, draw_view, take

Picture = NDArray[np.uint8]
PX = 256
"""Side of the pictures."""
EYE_DISTANCE = 64.0
"""Pixels between the eyes: face scale."""
LABELS = ("parsing",)
"""Arrays whose values are names, not amounts."""
STILL = ViewSettings(crop_px=(PX, PX), eye_distance_px=(EYE_DISTANCE, EYE_DISTANCE), rotation_deg=0, reach=0, mirror=0)
"""The view: face scale, upright, in the middle, nothing random about it."""


@dataclass(frozen=True, slots=True)
class Head:
    """One scene."""

    number: int
    """In its set."""
    arrays: Mapping[str, Picture]
    """By the names of `Samples`, [256, 256(, 3)]: image, toon3d, parsing, variant_age, …; and `target`, the toon as a
    recipe's proportions bend it. All show the same view."""
    aligned: Picture
    """[256, 256, 3]: FFHQ's crop of `image`."""
    landmarks: Mapping[str, NDArray[np.float64]]
    """landmarks, toon_landmarks, target_landmarks: [68, 2] pixel indices of the pictures."""
    attributes: Mapping[str, Mapping[str, float]]
    """"": of `image`; else by the name of the variant."""

    @property
    def image(self) -> Picture:
        """The picture itself."""
        return self.arrays["image"]

    def face(self) -> Face:
        """Where the face lies in the pictures."""
        return Face.from_landmarks(self.landmarks["landmarks"], PX, PX)


def head(samples: Samples, number: int, names: Sequence[str], proportions: Proportions | None = None) -> Head:
    """One scene.

    Args:
        names: arrays to hold, as far as it has them; `image` is always among them.
        proportions: how much of the toon's a recipe asks for; `target` and its landmarks are bent to that.
    """
    wanted = list(dict.fromkeys(["image", *names]))
    edits = [name.removeprefix("variant_") for name in wanted if name.startswith("variant_")]
    extra = ["landmarks", "toon_landmarks", "attributes", *(f"attributes_{edit}" for edit in edits)]
    held = samples.load(number, [*wanted, *extra])
    height, width = held["image"].shape[:2]
    face, aspect = Face.from_landmarks(held["landmarks"], height, width), width / height
    if proportions is not None and "toon3d" in held and "toon_landmarks" in held:
        points = proportions.between(held["landmarks"], held["toon_landmarks"])
        held |= {"target": bend(held["toon3d"], held["toon_landmarks"], points), "target_landmarks": points}
    view = draw_view(np.random.default_rng(0), face, aspect, PX, STILL)
    pictures = {name: held[name] for name in (*wanted, "target") if name in held}
    marks = {name: held[name] for name in ("landmarks", "toon_landmarks", "target_landmarks") if name in held}
    known = {edit: held[key] for edit in ["", *edits] if (key := f"attributes_{edit}".rstrip("_")) in held}
    return Head(
        number=number,
        arrays={n: take(p, view, PX, "nearest" if n in LABELS else "cubic") for n, p in pictures.items()},
        aligned=take(held["image"], aligned_view(face, aspect), ALIGNED_SIZE, "linear"),
        landmarks={name: _moved(found, view, height, width) for name, found in marks.items()},
        attributes={edit: dict(zip(samples.attributes, map(float, row), strict=True)) for edit, row in known.items()},
    )


def held_out_numbers(samples: Samples, count: int) -> range:
    """The last `count` of a set, in the order of the files' names: what `data.held_out` keeps from training."""
    return range(max(len(samples) - count, 0), len(samples))


def _moved(landmarks: np.ndarray, view: np.ndarray, height: int, width: int) -> NDArray[np.float64]:
    unit = (np.asarray(landmarks, np.float64) + 0.5) / (width, height)
    return unit @ view[:, :2].T + view[:, 2] - 0.5
