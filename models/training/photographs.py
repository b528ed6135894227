"""Examples at hand, cut into batches; at every step one gives way to another, which is made when it is first drawn."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from models.training.batches import Batch, as_tensor
from models.training.data import PHOTOGRAPHS, draw_example, load_photographs, load_portraits
from models.training.degrade import camera_noise
from models.training.settings import Settings

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Picture, its cartoon and the style crop: uint8 RGB."""


class PhotographSettings(Settings):
    """Free photographs and their drawn cartoons (models/training/data.py, toon.py)."""

    kind: Literal["photographs"]
    at_hand: int = Field(default=300, ge=1)
    """Scenes to draw from, kept in memory once they are made; one is replaced at every step."""
    scene_px: int = Field(default=320, ge=64)
    """Side of a scene in pixels, at face scale."""
    scenes: int = Field(default=2, ge=1)
    """Scenes, hence style crops, in a batch."""
    crops: int = Field(default=2, ge=1)
    """Crops of each scene."""
    crop_px: int = Field(default=128, ge=32, validate_default=True)

    @field_validator("crop_px")
    @classmethod
    def _fits(cls, crop_px: int, others: ValidationInfo) -> int:
        if crop_px > others.data.get("scene_px", crop_px):
            raise ValueError(f"more than data.scene_px, {others.data['scene_px']}")
        return crop_px


class ExampleBank:
    """Scene number n depends on the seed and n alone, so a resumed run has the bank that it had."""

    def __init__(self, seed: int, settings: PhotographSettings) -> None:
        self._seed, self._settings = seed, settings
        self._portraits, self._photographs = load_portraits(), load_photographs(PHOTOGRAPHS)
        self._kept: dict[int, tuple[int, Scene]] = {}
        """Place in the bank → (number, scene) that was last drawn from there."""
        self._rng = np.random.default_rng([seed, 1 << 31])
        self._count = settings.at_hand
        """Of the scenes that have had a place so far."""

    def _make(self, number: int) -> Scene:
        rng = np.random.default_rng([self._seed, number])
        x, y, aligned = draw_example(rng, self._portraits, self._photographs, self._settings.scene_px)
        return camera_noise(x, rng), y, aligned

    def _scene(self, place: int) -> Scene:
        """Scenes take the places in turn: the last of those whose turn was here."""
        number = self._count - 1 - (self._count - 1 - place) % self._settings.at_hand
        if self._kept.get(place, (None,))[0] != number:
            self._kept[place] = number, self._make(number)
        return self._kept[place][1]

    def batch(self, step: int) -> Batch:
        """Replace the oldest scene, then cut random crops out of random scenes. Steps come in order."""
        self._count += 1
        return self._cut(self._rng, self._settings.scenes, self._settings.crops, self._settings.crop_px)

    def preview(self) -> Batch:
        """See `Source.preview`."""
        return self._cut(np.random.default_rng(0), 6, 1, min(256, self._settings.scene_px))

    def _cut(self, rng: np.random.Generator, scenes: int, crops: int, crop_px: int) -> Batch:
        chosen = [self._scene(int(place)) for place in rng.integers(0, self._settings.at_hand, scenes)]
        xs, ys = [], []
        for x, y, _ in chosen:
            for _ in range(crops):
                top, left = rng.integers(0, self._settings.scene_px - crop_px + 1, 2)
                window = (slice(top, top + crop_px), slice(left, left + crop_px))
                xs.append(x[window])
                ys.append(y[window])
        return Batch(as_tensor(xs), as_tensor(ys), as_tensor([aligned for _, _, aligned in chosen]))

    def state(self) -> dict[str, Any]:
        """See `Source.state`."""
        return {"made": self._count, "rng": self._rng.bit_generator.state}

    def load_state(self, state: dict[str, Any]) -> None:
        """Bring the bank to where it was."""
        self._count = state["made"]
        self._rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        """See `Source.close`: nothing runs ahead."""
