"""Examples at hand, cut into batches; one is replaced at every step, so that making them never holds training up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.training.data import PHOTOGRAPHS, draw_example, load_photographs, load_portraits


class Batch(NamedTuple):
    """Crops of scenes, all in [−1, 1]."""

    x: Tensor
    """[scenes·crops, 3, s, s]."""
    y: Tensor
    """[scenes·crops, 3, s, s], the cartoons."""
    aligned: Tensor
    """[scenes, 3, 256, 256]."""


class ExampleBank:
    """Scene number n depends on the seed and n alone, so a resumed run can make the bank that it had."""

    def __init__(self, seed: int, size: int, scene_px: int) -> None:
        self._seed, self._scene_px = seed, scene_px
        self._portraits, self._photographs = load_portraits(), load_photographs(PHOTOGRAPHS)
        self._scenes = [self._make(number) for number in range(size)]
        self.made = size

    def _make(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._seed, number])
        x, y, aligned = draw_example(rng, self._portraits, self._photographs, self._scene_px)
        return camera_noise(x, rng), y, aligned

    def catch_up(self, made: int) -> None:
        """Bring the bank to where it was when `made` scenes had been made."""
        count = len(self._scenes)
        for number in range(max(made - count, self.made), made):
            self._scenes[number % count] = self._make(number)
        self.made = made

    def batch(self, rng: np.random.Generator, scenes: int, crops: int, crop_px: int) -> Batch:
        """Replace the oldest scene, then cut `crops` random crops out of `scenes` random scenes."""
        self._scenes[self.made % len(self._scenes)] = self._make(self.made)
        self.made += 1
        chosen = [self._scenes[int(i)] for i in rng.integers(0, len(self._scenes), scenes)]
        xs, ys = [], []
        for x, y, _ in chosen:
            for _ in range(crops):
                top, left = rng.integers(0, self._scene_px - crop_px + 1, 2)
                window = (slice(top, top + crop_px), slice(left, left + crop_px))
                xs.append(x[window])
                ys.append(y[window])
        return Batch(as_tensor(xs), as_tensor(ys), as_tensor([aligned for _, _, aligned in chosen]))


def camera_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little blur, sensor noise, compression: the cartoon must not change with them."""
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 0.9)))
    if rng.random() < 0.5:
        x = np.clip(x + rng.normal(0, rng.uniform(1, 5), x.shape), 0, 255)
    x = np.asarray(x, np.uint8)
    if rng.random() < 0.3:
        _, code = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))])
        x = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(x)


def as_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """uint8 [H, W, 3] each → [N, 3, H, W] float32 in [−1, 1]."""
    # Planar on purpose: torch 2.13's CPU backward of narrow channels-last convolutions corrupts memory.
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))).float() / 127.5 - 1
