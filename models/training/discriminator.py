"""StyleGAN2's discriminator (Karras et al. 2020, §3.2 and appendix): residual, minibatch standard deviation."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import EqualLinear
from models.ops import FIR, SQRT2, Blur


class EqualConv(nn.Module):
    """Equalised convolution; optionally bias and leaky ReLU (0.2) · √2. With `halve` the FIR filter goes before it.

    [B, in, H, W] → [B, out, H, W], or half the size.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, halve: bool = False, activate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if activate else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.blur = Blur(FIR, padding=1 + kernel_size // 2) if halve else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if self.blur is not None:
            y = F.conv2d(self.blur(x), weight, self.bias, stride=2)
        else:
            y = F.conv2d(x, weight, self.bias, padding=self.weight.shape[-1] // 2)
        return y if self.bias is None else F.leaky_relu(y, 0.2) * SQRT2


class DownBlock(nn.Module):
    """[B, in, H, W] → [B, out, H/2, W/2], residual."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualConv(in_channels, in_channels, 3)
        self.conv2 = EqualConv(in_channels, out_channels, 3, halve=True)
        self.skip = EqualConv(in_channels, out_channels, 1, halve=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / SQRT2


class Discriminator(nn.Module):
    """[B, 3, r, r] in [−1, 1] → logits [B].

    Args:
        channels: at sizes r, r/2, …, 4.
        group: samples over which the minibatch standard deviation is taken.
    """

    def __init__(self, channels: tuple[int, ...], group: int = 4) -> None:
        super().__init__()
        self.resolution = 4 << (len(channels) - 1)
        self.group = group
        self.from_rgb = EqualConv(3, channels[0], 1)
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(channels)))
        last = channels[-1]
        self.final = EqualConv(last + 1, last, 3)
        self.linear = nn.Sequential(EqualLinear(last * 16, last, activate=True), EqualLinear(last, 1))

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(self.from_rgb(image))
        x = self.final(torch.cat([x, minibatch_deviation(x, self.group)], dim=1))
        return self.linear(x.flatten(1))[:, 0]


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """[B, 1, H, W]: mean standard deviation over groups of samples (Karras et al. 2018, §3)."""
    count = x.shape[0]
    size = next(size for size in range(min(group, count), 0, -1) if count % size == 0)
    grouped = x.view(size, -1, *x.shape[1:])
    deviation = (grouped.float().var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.to(x.dtype).repeat(size).view(count, 1, 1, 1).expand(-1, -1, *x.shape[2:])
