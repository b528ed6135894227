"""What inversion step II minimises, piece by piece (StyleGANEX §4.2; schedule, jitter: StyleGAN2, appendix D)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.latent import Latent
from models.noise_maps import noise_regularizer
from models.perceptual import Distance
from models.styleganex import StyleGANEX

PEAK_RATE = 0.05
NOISE_WEIGHT = 1e3
DESCENT = 0.75
"""t from which on the learning rate goes down and w+ is left unjittered."""


def learning_rate(t: float, peak: float = PEAK_RATE) -> float:
    """Of both optimisers at t = step/steps in [0, 1): peak · `rise` · `descent`."""
    return peak * rise(t) * descent(t)


def rise(t: float) -> float:
    """min(1, t/0.05)."""
    return min(1.0, t / 0.05)


def descent(t: float) -> float:
    """½(1 − cos(π·min(1, (1 − t)/0.25))): 1 until t = 0.75, then down to 0."""
    return 0.5 * (1 - math.cos(math.pi * min(1.0, (1 - t) / (1 - DESCENT))))


def jitter_scale(t: float) -> float:
    """Standard deviation of the noise on w+ at t, in units of `wplus_spread`: 0.05·0.2·max(0, 1 − t/0.75)²."""
    return 0.05 * 0.2 * max(0.0, 1 - t / DESCENT) ** 2


def wplus_spread(net: StyleGANEX, seed: int = 0, count: int = 1000) -> float:
    """σ_w = sqrt(Σ‖w_i − w̄‖²/count) over `count` mapped z ~ N(0, 1), w̄ their mean."""
    device = next(net.parameters()).device
    z = torch.randn(count, net.config.style_dim, generator=torch.Generator().manual_seed(seed)).to(device)
    with torch.no_grad():
        w = net.mapping(z)
    return float((w - w.mean(dim=0)).square().sum().div(count).sqrt())


def inversion_loss(
    net: StyleGANEX,
    latent: Latent,
    noise: Sequence[Tensor] | None,
    target: Tensor,
    distance: Distance,
    noise_weight: float = NOISE_WEIGHT,
) -> Tensor:
    """Loss of step II: distance(G(latent, noise), target), averaged to one size, + noise_weight·regulariser.

    Args:
        noise: [B, 1, h, w] per styled convolution, or None: zero noise and no regulariser.
        target: [B, 3, h, w] in [−1, 1].

    Returns:
        [B], differentiable in everything that `latent` and `noise` hold.
    """
    image, wanted = match_sizes(net.synthesize(latent, noise=noise), target)
    loss = distance(image, wanted)
    return loss if noise is None else loss + noise_weight * noise_regularizer(noise)


def match_sizes(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Average both to the smaller's size along each axis (the output 4× for a 1024 network and its input)."""
    size = (min(image.shape[2], target.shape[2]), min(image.shape[3], target.shape[3]))
    return average_to(image, size), average_to(target, size)


def average_to(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Area average of [B, C, H, W] to (h, w)."""
    height, width = image.shape[2:]
    if (height, width) == size:
        return image
    if height % size[0] or width % size[1]:
        return F.adaptive_avg_pool2d(image, size)
    # The same numbers, and a gradient that is deterministic on a GPU.
    return F.avg_pool2d(image, (height // size[0], width // size[1]))


def psnr(image: Tensor, target: Tensor) -> Tensor:
    """[B], dB: peak signal-to-noise ratio of pictures in [−1, 1] after clamping; inf for equal ones."""
    image, target = match_sizes(image.clamp(-1, 1), target.clamp(-1, 1))
    return 10 * torch.log10(4 / (image - target).square().mean(dim=(1, 2, 3)))
