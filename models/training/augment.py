"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with limited data"), differentiable.

Pixel blitting, geometry and colour: the set that paper found to help. All geometry is one bilinear resampling with
mirrored borders (the paper filters more carefully), all colour one 3×4 matrix.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from models.training.settings import Settings


class AdaSettings(Settings):
    """How strongly real and fake pictures are changed, and how that is steered."""

    target: float = Field(default=0.6, gt=-1, lt=1)
    """Wanted mean sign of D(real); above it the discriminator overfits and p rises."""
    images_to_one: float = Field(default=500_000, gt=0)
    """Pictures it takes p to go from 0 to 1."""
    start: float = Field(default=0.0, ge=0, le=1)
    limit: float = Field(default=0.85, ge=0, le=1)
    """Above this, augmentations would leak into what the generator draws."""


class AdaptiveAugment:
    """Callable [B, 3, H, W] → the same, changed with probability p per kind of change and picture."""

    def __init__(self, settings: AdaSettings) -> None:
        self.p = settings.start
        self._settings = settings

    def adapt(self, real_sign: float, images: int) -> None:
        """Move p after `images` pictures whose logits had this mean sign."""
        direction = math.copysign(1.0, real_sign - self._settings.target)
        self.p = min(self._settings.limit, max(0.0, self.p + direction * images / self._settings.images_to_one))

    def __call__(self, image: Tensor) -> Tensor:
        if self.p == 0:
            return image
        count = image.shape[0]
        theta = draw_geometry(count, self.p)[:, :2].to(image.device)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        colour = draw_colour(count, self.p).to(image.device)
        return torch.einsum("nij,njhw->nihw", colour[:, :3, :3], image) + colour[:, :3, 3, None, None]


def draw_geometry(count: int, p: float) -> Tensor:
    """[count, 3, 3]: maps output to input coordinates, both in [−1, 1]."""
    theta = torch.eye(3).repeat(count, 1, 1)
    some = _Some(count, p)
    theta = theta @ _scale(some(torch.randint(2, (count,)) * -2.0 + 1, 1), torch.ones(count))  # mirror
    theta = theta @ _rotate(some(torch.randint(4, (count,)) * (math.pi / 2), 0))
    theta = theta @ _shift(some((torch.rand(count) - 0.5) * 0.5, 0), some((torch.rand(count) - 0.5) * 0.5, 0))
    zoom = some(torch.exp2(torch.randn(count) * 0.2), 1)
    theta = theta @ _scale(zoom, zoom)
    turn = 1 - math.sqrt(1 - p)  # so that one of the two rotations happens with probability p
    theta = theta @ _rotate(_Some(count, turn)((torch.rand(count) * 2 - 1) * math.pi, 0))
    stretch = some(torch.exp2(torch.randn(count) * 0.2), 1)
    theta = theta @ _scale(stretch, 1 / stretch)
    theta = theta @ _rotate(_Some(count, turn)((torch.rand(count) * 2 - 1) * math.pi, 0))
    return theta @ _shift(some(torch.randn(count) * 0.25, 0), some(torch.randn(count) * 0.25, 0))


def draw_colour(count: int, p: float) -> Tensor:
    """[count, 4, 4]: brightness, contrast, luma flip, hue, saturation of colours in [−1, 1]."""
    some = _Some(count, p)
    eye, grey = torch.eye(4), torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    along = torch.outer(grey, grey)
    colour = eye.repeat(count, 1, 1)
    colour[:, :3, 3] = some(torch.randn(count) * 0.2, 0)[:, None]
    contrast = some(torch.exp2(torch.randn(count) * 0.5), 1)
    colour = torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones(count)], dim=1)) @ colour
    flip = some(torch.randint(2, (count,)) * 1.0, 0)
    colour = (eye - 2 * along * flip[:, None, None]) @ colour
    angle = some((torch.rand(count) * 2 - 1) * math.pi, 0)[:, None, None]
    cross = torch.zeros(4, 4)
    cross[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    point = torch.diag(torch.tensor([0.0, 0, 0, 1]))
    plane = eye - along - point
    colour = (along + point + plane * torch.cos(angle) + cross * torch.sin(angle)) @ colour
    saturation = some(torch.exp2(torch.randn(count)), 1)[:, None, None]
    return (along + point + plane * saturation) @ colour


class _Some:
    """Keeps a drawn value with probability p, else puts the neutral one."""

    def __init__(self, count: int, p: float) -> None:
        self._count, self._p = count, p

    def __call__(self, drawn: Tensor, neutral: float) -> Tensor:
        return torch.where(torch.rand(self._count) < self._p, drawn, torch.full((self._count,), float(neutral)))


def _scale(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotate(angle: Tensor) -> Tensor:
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)


def _shift(x: Tensor, y: Tensor) -> Tensor:
    theta = torch.eye(3).repeat(len(x), 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = x, y
    return theta
