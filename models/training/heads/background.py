"""What is behind the head: colour fields, lights out of focus, rooms, photographs that are free, all from one seed."""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

PHOTOGRAPHS = ("coffee", "rocket", "hubble_deep_field", "grass", "gravel", "brick", "retina", "chelsea")
"""In skimage.data, all public domain or CC0, none with a human face."""
MARGIN = 0.25
"""Of the picture's width, painted around it for a camera that pans."""


def background(seed: int, size: int, pan: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """sRGB [size, size, 3] in [0, 1].

    Args:
        seed: names the background.
        size: pixels.
        pan: shift as a share of the width, right and down, at most `MARGIN`.
    """
    rng = np.random.default_rng([seed, 3])
    border = round(size * MARGIN)
    whole = size + 2 * border
    painters: tuple[Callable[[np.random.Generator, int], Floats], ...] = (_gradient, _bokeh, _room, _photograph)
    canvas = painters[int(rng.choice(len(painters), p=[0.2, 0.22, 0.28, 0.3]))](rng, whole)
    canvas = np.clip(canvas * rng.uniform(0.7, 1.15), 0, 1).astype(np.float32)
    move = np.array([[1, 0, pan[0] * size - border], [0, 1, pan[1] * size - border]], np.float32)
    if pan == (0.0, 0.0):
        return np.ascontiguousarray(canvas[border : border + size, border : border + size])
    moved = cv2.warpAffine(canvas, move, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def drawn(picture: Floats, ink: bool) -> Floats:
    """The same background as a cartoon has it: smoother and more saturated, for ink in flat tones. sRGB [H, W, 3]."""
    size = picture.shape[0]
    smooth = picture
    for _ in range(2):
        smooth = cv2.bilateralFilter(smooth, 7, 0.12, max(size / 64, 1.5))
    grey = smooth.mean(axis=2, keepdims=True)
    smooth = np.clip(grey + (smooth - grey) * 1.3, 0, 1)
    if ink:
        level = smooth.max(axis=2, keepdims=True)
        steps = np.floor(level * 6) + np.clip((level * 6 % 1 - 0.5) * 6 + 0.5, 0, 1)
        smooth = smooth * (steps / 6 + 0.03) / np.maximum(level, 0.02)
    return np.clip(smooth, 0, 1).astype(np.float32)


def _color(rng: np.random.Generator, low: float = 0.08, high: float = 0.95) -> Floats:
    grey = rng.uniform(0.3, 1.0)
    value = rng.uniform(low, high)
    return (value * (grey + (1 - grey) * rng.uniform(0, 1, 3))).astype(np.float32)


def _gradient(rng: np.random.Generator, size: int) -> Floats:
    corners = np.stack([_color(rng) for _ in range(4)]).reshape(2, 2, 3)
    field = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    patches = rng.normal(0, 0.10, (5, 5, 1)).astype(np.float32)
    return np.asarray(field + cv2.resize(patches, (size, size), interpolation=cv2.INTER_CUBIC)[..., None], np.float32)


def _bokeh(rng: np.random.Generator, size: int) -> Floats:
    canvas = _gradient(rng, size) * 0.45
    for _ in range(int(rng.integers(12, 45))):
        layer = np.zeros_like(canvas)
        x, y = rng.integers(0, size, 2)
        radius = int(size * rng.uniform(0.015, 0.07))
        cv2.circle(
            layer, (int(x), int(y)), radius, (_color(rng, 0.5, 1.0) * rng.uniform(0.2, 0.8)).tolist(), -1, cv2.LINE_AA
        )
        canvas = canvas + layer
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), size / 200), np.float32)


def _room(rng: np.random.Generator, size: int) -> Floats:
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = _color(rng, 0.3, 0.9)
    for _ in range(int(rng.integers(4, 16))):
        color = _color(rng).tolist()
        x, y = rng.integers(-size // 5, size, 2)
        wide, tall = (rng.uniform(0.04, 0.5, 2) * size).astype(int)
        cv2.rectangle(canvas, (int(x), int(y)), (int(x + wide), int(y + tall)), color, -1)
        if rng.random() < 0.3:  # a window or a frame
            inner = _color(rng, 0.6, 1.0).tolist()
            cv2.rectangle(canvas, (int(x + 4), int(y + 4)), (int(x + wide - 4), int(y + tall - 4)), inner, -1)
    floor = int(size * rng.uniform(0.6, 0.95))
    canvas[floor:] = canvas[floor:] * 0.4 + _color(rng, 0.1, 0.6) * 0.6
    shade = cv2.resize(rng.uniform(0.7, 1.1, (3, 3, 1)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    blur = size * float(np.exp(rng.uniform(np.log(0.003), np.log(0.05))))
    return np.asarray(cv2.GaussianBlur(canvas * shade[..., None], (0, 0), blur), np.float32)


def _photograph(rng: np.random.Generator, size: int) -> Floats:
    picture = _load(str(rng.choice(PHOTOGRAPHS)))
    side = int(min(picture.shape[:2]) * rng.uniform(0.4, 1.0))
    y, x = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    crop = np.ascontiguousarray(picture[y : y + side, x : x + side])
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)
    tint = _color(rng, 0.8, 1.2)
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), size * float(rng.uniform(0.003, 0.03))), np.float32)
    return blurred * (0.5 + 0.6 * tint)


@functools.cache
def _load(name: str) -> Floats:
    """[H, W, 3] sRGB in [0, 1]."""
    import skimage.data

    picture = np.atleast_3d(getattr(skimage.data, name)())[..., :3].astype(np.float32) / 255
    return np.broadcast_to(picture, (*picture.shape[:2], 3))
