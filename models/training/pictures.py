"""Real pictures for a discriminator, or of a style: aligned faces of one size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pydantic import Field
from torch import Tensor

from models.config import ALIGNED_SIZE
from models.errors import UserError
from models.training.batches import as_tensor
from models.training.samples import Samples
from models.training.settings import Settings
from models.training.views import Face, aligned_view, take


class PictureSettings(Settings):
    """Where real pictures come from, and how many make a batch."""

    folder: Path
    """Samples (.npz) or aligned pictures (.png, .jpg), FFHQ's for one."""
    array: str = "image"
    """Array of .npz samples: image, toon3d, ink, …"""
    batch: int = Field(default=16, ge=1)
    """Pictures in a batch of one process."""
    mirror: float = Field(default=0.5, ge=0, le=1)
    """Share of mirrored pictures."""


class PictureSource:
    """Batches of aligned faces [batch, 3, size, size] in [−1, 1]; batch n depends on the seed and n alone.

    Samples without landmarks are taken for aligned and are only resized.
    """

    def __init__(
        self, samples: Samples, settings: PictureSettings, size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._samples, self._settings, self._size = samples, settings, size
        self._seed, self._rank, self._world = seed, rank, world

    def batch(self, step: int) -> Tensor:
        """Real pictures of step `step`."""
        count, total = self._settings.batch, self._settings.batch * self._world
        pictures = []
        for slot in range(self._rank * count, (self._rank + 1) * count):
            epoch, place = divmod(step * total + slot, len(self._samples))
            order = np.random.default_rng([self._seed, 2, epoch]).permutation(len(self._samples))
            picture = self.picture(int(order[place]))
            mirrored = np.random.default_rng([self._seed, 3, step, slot]).random() < self._settings.mirror
            pictures.append(picture[:, ::-1] if mirrored else picture)
        return as_tensor(pictures)

    def picture(self, index: int) -> np.ndarray:
        """One aligned face, uint8 [size, size, 3]."""
        arrays = self._samples.load(index, [self._settings.array, "landmarks"])
        image = arrays.get(self._settings.array)
        if image is None:
            raise UserError(
                f"training sample {index}: no array {self._settings.array!r}",
                "set data.array to one that the samples have",
            )
        if "landmarks" not in arrays:
            if image.shape[:2] == (self._size, self._size):
                return image
            return cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_AREA)
        height, width = image.shape[:2]
        view = aligned_view(Face.from_landmarks(arrays["landmarks"], height, width), width / height)
        return take(image, view, ALIGNED_SIZE, "linear", self._size / ALIGNED_SIZE)
