"""The pictures that the demonstration model learns from: public domain or CC0, carried by two PyPI packages."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UserError

Image = NDArray[np.uint8]


class FaceSpot(NamedTuple):
    """Where a face is, in pixels of its picture."""

    x: float
    y: float
    """The point between the eyes."""
    eye_distance: float


class Picture(NamedTuple):
    """One source picture."""

    image: Image
    """[H, W, 3] RGB."""
    weight: float
    """Relative frequency."""
    face: FaceSpot | None = None


def load_pictures() -> list[Picture]:
    """Two portraits and four other photographs.

    Raises:
        UserError: the packages that carry them are not installed.
    """
    try:
        import matplotlib
        from skimage import data
    except ImportError as error:
        raise UserError(
            f"the training pictures come with {error.name}, which is not installed",
            "pip install -r requirements-train.txt",
        ) from error
    hopper = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    assert hopper is not None
    return [
        Picture(_rgb(data.astronaut()), 0.34, FaceSpot(222.0, 112.0, 47.0)),
        Picture(_rgb(hopper[:, :, ::-1]), 0.28, FaceSpot(255.0, 175.0, 66.0)),
        Picture(_rgb(data.coffee()), 0.09),
        Picture(_rgb(data.chelsea()), 0.09),
        Picture(_rgb(data.rocket()), 0.07),
        Picture(_rgb(data.camera()), 0.05),
    ]


def procedural(rng: np.random.Generator, size: int) -> Image:
    """[size, size, 3]: smooth colour fields with flat shapes and strokes over them, for what photographs lack."""
    cells = int(rng.integers(2, 9))
    field = cv2.resize(
        rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    canvas = np.clip(field, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(2, 14))):
        color = tuple(float(v) for v in rng.uniform(0, 255, 3))
        points = rng.uniform(-0.1, 1.1, (int(rng.integers(3, 6)), 2)) * size
        if rng.random() < 0.5:
            cv2.fillPoly(canvas, [points.astype(np.int32)], color, cv2.LINE_AA)
        elif rng.random() < 0.5:
            cv2.circle(canvas, [int(v) for v in points[0]], int(rng.uniform(3, size / 5)), color, -1, cv2.LINE_AA)
        else:
            cv2.polylines(canvas, [points.astype(np.int32)], False, color, int(rng.integers(1, 7)), cv2.LINE_AA)
    return canvas


def _rgb(image: NDArray) -> Image:
    return np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2), np.uint8)
