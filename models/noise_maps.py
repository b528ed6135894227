"""Noise maps that are optimised together with a latent (StyleGAN2, appendix D; spec of StyleGANEX, step II)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import ModelConfig

SMALLEST_SIDE = 8
"""The regulariser halves a map until one side is this short."""


def noise_shapes(config: ModelConfig, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(h, w) of one map per styled convolution, conv1 first, for an input of height × width: max(32, s)/256 of it.

    Without a first-layer feature (pSp, StyleGAN2) the output has one size; give 256 × 256.
    """
    natives = [config.sizes[(i + 1) // 2] for i in range(config.num_noises)]
    return tuple((max(32, s) * height // 256, max(32, s) * width // 256) for s in natives)


def initial_noise(shapes: Sequence[tuple[int, int]], generator: torch.Generator) -> list[Tensor]:
    """N(0, 1) maps [1, 1, h, w] on the generator's device."""
    device = generator.device
    return [torch.randn(1, 1, height, width, generator=generator, device=device) for height, width in shapes]


def noise_regularizer(maps: Sequence[Tensor]) -> Tensor:
    """How far maps are from white noise: Σ mean(n·shift_x(n))² + mean(n·shift_y(n))², cyclic shifts by one.

    Summed over the maps and over every halving of them, down to the first whose shorter side is at most 8.

    Args:
        maps: [B, 1, h, w] each.

    Returns:
        [B], not yet weighted (1e3 in the spec).
    """
    total = maps[0].new_zeros(maps[0].shape[0])
    for noise in maps:
        level = noise
        while True:
            for axis in (3, 2):
                total = total + (level * level.roll(1, dims=axis)).mean(dim=(1, 2, 3)).square()
            if min(level.shape[2:]) <= SMALLEST_SIDE:
                break
            # The mean of 2 × 2 is bilinear interpolation at scale ½, and its gradient is deterministic on a GPU.
            level = F.avg_pool2d(level, 2)
    return total


def normalize_noise_(maps: Sequence[Tensor]) -> None:
    """Bring every map back to mean 0 and (unbiased) standard deviation 1, sample by sample, in place."""
    with torch.no_grad():
        for noise in maps:
            noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
            noise /= noise.std(dim=(1, 2, 3), keepdim=True)
