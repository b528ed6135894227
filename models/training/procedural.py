"""Drawn training pictures: 1/f noise, shaded shapes and strokes. They widen the range of colours and edges."""

from __future__ import annotations

import cv2
import numpy as np


def procedural_picture(rng: np.random.Generator, size: int) -> np.ndarray:
    """uint8 [size, size, 3] RGB: coloured 1/f noise under shaded polygons and ellipses, with some strokes on top."""
    canvas = _noise(rng, size)
    for _ in range(int(rng.integers(4, 16))):
        _shape(rng, canvas)
    for _ in range(int(rng.integers(0, 25))):
        points = rng.integers(0, size, 2) + np.cumsum(rng.normal(0, 25, (6, 2)), axis=0)
        thickness, colour = int(rng.integers(1, 5)), rng.uniform(0, 255, 3).tolist()
        cv2.polylines(canvas, [points.astype(np.int32)], False, colour, thickness, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.3, 1.2)))
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """1/f^p noise in three partly correlated channels about a random colour, float32 [size, size, 3]."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) + 1.0 / size
    filtered = np.fft.rfft2(rng.normal(size=(3, size, size))) * frequency ** -rng.uniform(0.9, 1.8)
    planes = np.fft.irfft2(filtered, s=(size, size))
    planes /= planes.std(axis=(1, 2), keepdims=True)
    mixed = np.einsum("ij,jhw->hwi", np.ones((3, 3)) * 0.6 + rng.normal(0, 0.35, (3, 3)), planes)
    return np.ascontiguousarray(rng.uniform(40, 215, 3) + rng.uniform(4, 40) * mixed, np.float32)


def _shape(rng: np.random.Generator, canvas: np.ndarray) -> None:
    """Paint one polygon or ellipse with a colour gradient and some texture, in place."""
    size = canvas.shape[0]
    mask = np.zeros((size, size), np.float32)
    centre = rng.uniform(0, size, 2)
    radius = rng.uniform(0.03, 0.3) * size
    if rng.random() < 0.5:
        axes = (int(radius), int(radius * rng.uniform(0.4, 1.0)))
        cv2.ellipse(mask, centre.astype(int).tolist(), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    else:
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        corners = centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    y, x = np.mgrid[0:size, 0:size]
    turn = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(turn) * (x - centre[0]) + np.sin(turn) * (y - centre[1])) / radius
    shade = np.float32(rng.uniform(0, 255, 3) + rng.uniform(0, 50) * slope[..., None])
    texture = rng.uniform(0, 0.5) * (canvas - cv2.GaussianBlur(canvas, (0, 0), 6.0))
    canvas += mask[..., None] * (shade + texture - canvas)
