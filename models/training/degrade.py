"""What happens to the network's input in training, and not to its target."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.super_resolution import reduction


def bicubic_matrix(size: int, out_size: int, scale: float) -> Tensor:
    """[out_size, size]: bicubic resampling (a = −0.5) to `scale` out pixels per pixel, anti-aliased where it reduces.

    Both grids begin at the first edge; beyond the ends the picture is reflected.
    """
    centre = (torch.arange(out_size, dtype=torch.float64)[:, None] + 0.5) / scale - 0.5
    place = torch.arange(size, dtype=torch.float64)[None]
    weight = torch.zeros(out_size, size, dtype=torch.float64)
    for seen in (place, -1 - place, 2 * size - 1 - place):
        distance = (seen - centre).abs() * min(scale, 1.0)
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        weight += torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    return (weight / weight.sum(dim=1, keepdim=True)).float()


def reduce_and_enlarge(x: Tensor, factor: float) -> Tensor:
    """Lose detail as a small picture has: reduce by `factor`, enlarge again to the same size.

    Args:
        x: [B, C, H, W].
        factor: input pixels per pixel of the small picture, ≥ 1.
    """
    rows, columns = (
        bicubic_matrix(small, size, factor) @ bicubic_matrix(size, small, 1 / factor)
        for size, small in ((side, math.ceil(side / factor - 1e-6)) for side in x.shape[2:])
    )
    return rows @ x @ columns.T


def degrade_image(image: np.ndarray, factor: float, scale: float = 1.0) -> np.ndarray:
    """What super-resolution sees of a sharp picture, as the task with `--factor` does it (stages/content.py).

    Args:
        image: uint8 [H, W, 3].
        factor: output pixels per pixel of the low-resolution picture, 4 to 48; 4 takes nothing away at face scale.
        scale: face scale, its pixels per pixel of `image`.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: a factor outside the model's range.
    """
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    out = reduce_and_enlarge(x, max(1.0, reduction(factor) / scale)).round().clamp(0, 255).byte()[0]
    return np.ascontiguousarray(out.permute(1, 2, 0).numpy())


def shrink_only(x: Tensor, size: int) -> Tensor:
    """[B, C, H, W] to `size`² by area, left alone where it has that size."""
    return x if x.shape[2:] == (size, size) else F.interpolate(x, (size, size), mode="area")


def camera_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little blur, sensor noise, compression, uint8 [H, W, 3]: the output must not change with them."""
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 0.9)))
    if rng.random() < 0.5:
        x = np.clip(x + rng.normal(0, rng.uniform(1, 5), x.shape), 0, 255)
    x = np.asarray(x, np.uint8)
    if rng.random() < 0.3:
        _, code = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))])
        x = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(x)


def colour_change(rng: np.random.Generator, strength: float) -> np.ndarray:
    """[256, 3] uint8 table: gamma, contrast and white balance of another camera; strength 0 changes nothing."""
    gamma = np.exp(strength * rng.normal(0, 0.35))
    balance = np.exp(strength * rng.normal(0, 0.12, 3))
    gain, lift = np.exp(strength * rng.normal(0, 0.2)), strength * rng.normal(0, 0.04)
    ramp = np.linspace(0, 1, 256)[:, None]
    return np.rint(np.clip(lift + (1 - lift) * ramp**gamma * gain * balance, 0, 1) * 255).astype(np.uint8)


def apply_table(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] through a `colour_change` table."""
    return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)
