"""Examples at hand, cut into batches; one is replaced at every step, so that making them never holds training up."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from models.training.batches import Batch, as_tensor
from models.training.data import PHOTOGRAPHS, draw_example, load_photographs, load_portraits
from models.training.degrade import camera_noise
from models.training.settings import Settings


class PhotographSettings(Settings):
    """Free photographs and their drawn cartoons (models/training/data.py, toon.py)."""

    kind: Literal["photographs"]
    at_hand: int = Field(default=300, ge=1)
    """Scenes kept in memory; one is replaced at every step."""
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
    """Scene number n depends on the seed and n alone, so a resumed run can make the bank that it had."""

    def __init__(self, seed: int, settings: PhotographSettings) -> None:
        self._seed, self._settings = seed, settings
        self._portraits, self._photographs = load_portraits(), load_photographs(PHOTOGRAPHS)
        self._scenes = [self._make(number) for number in range(settings.at_hand)]
        self._rng = np.random.default_rng([seed, 1 << 31])
        self._made = settings.at_hand

    def _make(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._seed, number])
        x, y, aligned = draw_example(rng, self._portraits, self._photographs, self._settings.scene_px)
        return camera_noise(x, rng), y, aligned

    def batch(self, step: int) -> Batch:
        """Replace the oldest scene, then cut random crops out of random scenes. Steps come in order."""
        self._scenes[self._made % len(self._scenes)] = self._make(self._made)
        self._made += 1
        return self._cut(self._rng, self._settings.scenes, self._settings.crops, self._settings.crop_px)

    def preview(self) -> Batch:
        """See `Source.preview`."""
        return self._cut(np.random.default_rng(0), 6, 1, min(256, self._settings.scene_px))

    def _cut(self, rng: np.random.Generator, scenes: int, crops: int, crop_px: int) -> Batch:
        chosen = [self._scenes[int(i)] for i in rng.integers(0, len(self._scenes), scenes)]
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
        return {"made": self._made, "rng": self._rng.bit_generator.state}

    def load_state(self, state: dict[str, Any]) -> None:
        """Bring the bank to where it was when `made` scenes had been made."""
        made, count = state["made"], len(self._scenes)
        for number in range(max(made - count, self._made), made):
            self._scenes[number % count] = self._make(number)
        self._made = made
        self._rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        """See `Source.close`: nothing runs ahead."""
