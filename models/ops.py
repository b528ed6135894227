"""Filters and norms without weights of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT2 = math.sqrt(2.0)
BINOMIAL = (1.0, 2.0, 1.0)
"""Smoothing where StyleGANEX keeps the size and dilates instead of upsampling."""
FIR = (1.0, 3.0, 3.0, 1.0)
"""StyleGAN2's resampling filter."""


def separable_kernel(taps: Sequence[float], gain: float = 1.0) -> Tensor:
    """[1, 1, k, k] float32: the outer product of the taps, normalised to a sum of `gain`."""
    # The device is named so that the constant is real even in a network built on the meta device.
    line = torch.tensor(taps, dtype=torch.float32, device="cpu")
    kernel = torch.outer(line, line)
    return (kernel * (gain / kernel.sum()))[None, None]


class Blur(nn.Module):
    """Depthwise convolution [B, C, H, W] with one fixed symmetric kernel, zero padded."""

    kernel: Tensor

    def __init__(self, taps: Sequence[float], *, padding: int, dilation: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", separable_kernel(taps, gain), persistent=False)
        self.padding = padding
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, -1, -1, -1)
        return F.conv2d(x, kernel, padding=self.padding, dilation=self.dilation, groups=channels)


class Upsample(nn.Module):
    """×2 by zero insertion and the FIR filter: [B, C, H, W] → [B, C, 2H, 2W] (StyleGAN2)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", separable_kernel(FIR, gain=4.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, -1, -1, -1)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class PixelNorm(nn.Module):
    """x · rsqrt(mean over channels of x² + 1e-8), for z [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
