"""Training examples: (picture, its cartoon, the style crop), made from free photographs and procedural images.

Sources (`training` extra): the public-domain and CC0 pictures that ship with scikit-image, matplotlib's portrait of
Grace Hopper (US Navy, public domain), and images drawn here. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from models.config import ALIGNED_SIZE
from models.errors import UserError
from models.training.procedural import procedural_picture
from models.training.toon import tone_anchor, toon

HELD_OUT = ("coffee",)
"""Photographs that training never sees."""
PHOTOGRAPHS = ("chelsea", "rocket", "retina", "hubble_deep_field", "camera", "brick", "grass", "gravel")
EYE_DISTANCE = 64.0
"""Pixels between the eyes at face scale."""


class Photograph(NamedTuple):
    """A source picture, uint8 [H, W, 3] RGB; where it is a portrait, its eye centres (image left, image right)."""

    image: np.ndarray
    eyes: tuple[tuple[float, float], tuple[float, float]] | None = None


def load_photographs(names: Sequence[str]) -> list[Photograph]:
    """Pictures by their names in `skimage.data`.

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        remedy = "pip install -r requirements-train.txt"
        raise UserError("training pictures: scikit-image is not installed", remedy) from error
    pictures = [np.asarray(getattr(data, name)()) for name in names]
    return [Photograph(np.ascontiguousarray(p if p.ndim == 3 else np.dstack([p] * 3))) for p in pictures]


def load_portraits() -> list[Photograph]:
    """The public-domain portraits: Eileen Collins (NASA) and Grace Hopper (US Navy).

    Raises:
        UserError: scikit-image or matplotlib is not installed.
    """
    try:
        from matplotlib import cbook, image
    except ImportError as error:
        remedy = "pip install -r requirements-train.txt"
        raise UserError("training pictures: matplotlib is not installed", remedy) from error
    picture = image.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    return [
        Photograph(load_photographs(["astronaut"])[0].image, ((196.0, 106.0), (248.0, 106.0))),
        Photograph(np.ascontiguousarray(picture), ((218.0, 188.0), (286.0, 190.0))),
    ]


def draw_example(
    rng: np.random.Generator,
    portraits: Sequence[Photograph],
    photographs: Sequence[Photograph],
    size: int,
    portrait_share: float = 0.45,
    drawn_share: float = 0.2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One random example of `size`² pixels: see `make_example`."""
    kind = rng.random()
    if kind < portrait_share:
        source = portraits[int(rng.integers(len(portraits)))]
    elif kind < portrait_share + drawn_share:
        source = Photograph(procedural_picture(rng, 512))
    else:
        source = photographs[int(rng.integers(len(photographs)))]
    other = photographs[int(rng.integers(len(photographs)))] if rng.random() < 0.25 else None
    return make_example(rng, source, size, other)


def make_example(
    rng: np.random.Generator, source: Photograph, size: int, background: Photograph | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One augmented picture, its cartoon and the style crop that its tones stand against.

    A portrait is placed with its eyes 40 to 100 px apart, rotated up to ±25°, and its crop is aligned on the eyes; any
    other picture is placed at random and its crop is another random view of it. Both get the same colours.
    """
    scale = np.exp(rng.uniform(np.log(40.0), np.log(100.0)))
    angle = rng.normal(0.0, 9.0)
    mirror = rng.random() < 0.5
    if source.eyes is not None:
        left, right = (np.array(eye) for eye in source.eyes)
        apart, centre = float(np.linalg.norm(right - left)), (left + right) / 2
        target = np.array([rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.65)]) * size
        view = _view(source.image, centre, scale / apart, angle, target, size, mirror)
        middle = np.array([0.5, 0.46]) * ALIGNED_SIZE
        aligned = _view(source.image, centre, EYE_DISTANCE / apart, 0.0, middle, ALIGNED_SIZE, mirror)
    else:
        view = _random_view(rng, source.image, size, angle, mirror)
        aligned = _random_view(rng, source.image, ALIGNED_SIZE, angle, mirror)
    if background is not None:
        view = _collage(rng, view, _random_view(rng, background.image, size, angle, mirror))
    lookup, matrix = _colour_change(rng)
    view, aligned = (_apply_colour(picture, lookup, matrix) for picture in (view, aligned))
    view = _light(rng, view)
    return view, toon(view, tone_anchor(aligned)), aligned


def _view(
    image: np.ndarray, centre: np.ndarray, scale: float, angle: float, target: np.ndarray, size: int, mirror: bool
) -> np.ndarray:
    """Similarity warp that brings `centre` to `target`; shrinks by area first, so nothing aliases."""
    while scale < 0.6:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
        centre, scale = (centre - 0.5) / 2, scale * 2
    warp = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale)
    warp[:, 2] += target - centre
    out = cv2.warpAffine(image, warp, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(out[:, ::-1]) if mirror else out


def _random_view(rng: np.random.Generator, image: np.ndarray, size: int, angle: float, mirror: bool) -> np.ndarray:
    height, width = image.shape[:2]
    scale = np.exp(rng.uniform(np.log(0.5), np.log(1.3))) * max(1.0, size / min(height, width))
    centre = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height])
    return _view(image, centre, float(scale), angle, np.array([size / 2, size / 2]), size, mirror)


def _collage(rng: np.random.Generator, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """A half plane of another picture, with an edge between hard and soft."""
    size = front.shape[0]
    y, x = np.mgrid[0:size, 0:size] - size / 2
    turn = rng.uniform(0, 2 * np.pi)
    distance = np.cos(turn) * x + np.sin(turn) * y - rng.uniform(0.15, 0.45) * size
    mask = 1 / (1 + np.exp(-np.clip(distance / rng.uniform(0.4, 6.0), -30, 30)))
    return np.rint(front * (1 - mask[..., None]) + back * mask[..., None]).astype(np.uint8)


def _colour_change(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random exposure curve (three lookup tables) and hue/saturation matrix."""
    gamma, gain, lift = np.exp(rng.normal(0, 0.28)), np.exp(rng.normal(0, 0.15)), rng.uniform(-0.02, 0.08)
    balance = np.exp(rng.normal(0, 0.07, 3))
    ramp = np.linspace(0, 1, 256)[:, None]
    lookup = np.clip(lift + (1 - lift) * (ramp**gamma) * gain * balance, 0, 1)
    saturation = rng.uniform(0.35, 1.35)
    hue = rng.normal(0, 0.12) if rng.random() < 0.75 else rng.uniform(0, 2 * np.pi)
    grey = np.array([0.299, 0.587, 0.114])
    axis = np.ones(3) / np.sqrt(3.0)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.cos(hue) * np.eye(3) + np.sin(hue) * cross + (1 - np.cos(hue)) * np.outer(axis, axis)
    return lookup, (saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), grey)) @ rotation


def _apply_colour(picture: np.ndarray, lookup: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    linear = np.stack([lookup[picture[..., channel], channel] for channel in range(3)], axis=-1) @ matrix.T
    return np.rint(np.clip(linear, 0, 1) * 255).astype(np.uint8)


def _light(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A light that falls off across the picture, in half of the cases."""
    if rng.random() < 0.5:
        return picture
    size = picture.shape[0]
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0, 0.8) * (np.cos(turn) * x + np.sin(turn) * y)
    return np.rint(np.clip(picture * slope[..., None], 0, 255)).astype(np.uint8)
