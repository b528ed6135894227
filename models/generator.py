"""The generator G: StyleGAN2 whose sizes 4 … 32 all work at H/8 × W/8 (StyleGANEX §3.1, spec §2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import ModelConfig
from models.layers import EqualLinear, ModulatedConv, RescaledUpConv, StyledConv, ToRGB, UpConv
from models.ops import PixelNorm

Fuse = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(feature, running RGB) → the same with an encoder feature brought in."""


class Generator(nn.Module):
    """w+ and a first-layer feature → image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.feature_index = config.feature_index
        widths, style_dim = config.generator_channels, config.style_dim
        self.mapping = nn.Sequential(
            PixelNorm(),
            *(
                EqualLinear(style_dim, style_dim, lr_multiplier=0.01, activate=True)
                for _ in range(config.mapping_layers)
            ),
        )
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.conv1 = StyledConv(ModulatedConv(widths[0], widths[0], style_dim, dilation=8), widths[0])
        self.to_rgb1 = ToRGB(widths[0], style_dim, native_size=4)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for size, in_channels, channels in zip(config.sizes[1:], widths[:-1], widths[1:], strict=True):
            dilation = max(1, 32 // size)
            if size > 32:
                first = UpConv(in_channels, channels, style_dim)
            else:
                first = RescaledUpConv(in_channels, channels, style_dim, dilation=dilation)
            second = ModulatedConv(channels, channels, style_dim, dilation=dilation)
            self.convs.extend([StyledConv(first, channels), StyledConv(second, channels)])
            self.to_rgbs.append(ToRGB(channels, style_dim, native_size=size))
        self.noises = nn.Module()
        for i in range(config.num_noises):
            size = config.sizes[(i + 1) // 2]
            self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, size, size))

    @property
    def stored_noise(self) -> tuple[Tensor, ...]:
        """The checkpoint's noise maps [1, 1, s, s], s = 4, 8, 8, 16, 16, …"""
        return tuple(self.noises.buffers())

    def forward(
        self,
        wplus: Tensor,
        feature: Tensor | None = None,
        feature_rgb: Tensor | None = None,
        noise: Sequence[Tensor | None] | None = None,
        fusions: Sequence[Fuse] = (),
    ) -> Tensor:
        """[B, 3, 4H, 4W] for a 1024 network, not clamped.

        Args:
            wplus: [1 or B, L, style_dim].
            feature: [B, C, H/8, W/8]; None: the constant, brought to 32 × 32.
            feature_rgb: [B, 3, H/8, W/8]; used where the feature enters at the second layer.
            noise: one map [1 or B, 1, h, w] or None per styled convolution; None: zero noise.
            fusions: what happens before block 0, 1, …
        """
        maps = noise if noise is not None else [None] * (len(self.convs) + 1)
        x, rgb = self.start(wplus, feature, feature_rgb, maps[0])
        for k in range(len(self.to_rgbs)):
            if k < len(fusions):
                x, rgb = fusions[k](x, rgb)
            x, rgb = self.block(k, x, rgb, wplus, maps[2 * k + 1 : 2 * k + 3])
        return rgb

    def start(
        self, wplus: Tensor, feature: Tensor | None, feature_rgb: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Feature and RGB before block 0, [B, ·, H/8, W/8]."""
        if feature is not None and feature_rgb is not None and self.feature_index == 1:
            return feature, feature_rgb
        if feature is None:
            feature = F.adaptive_avg_pool2d(self.constant, 32).expand(wplus.shape[0], -1, -1, -1)
        x = self.conv1(feature, wplus[:, 0], noise)
        return x, self.to_rgb1(x, wplus[:, 1], None)

    def block(
        self, k: int, x: Tensor, rgb: Tensor, wplus: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """Feature and running RGB after block k, from those before it; local: what lies far away changes nothing."""
        x = self.convs[2 * k](x, wplus[:, 2 * k + 1], noise[0])
        x = self.convs[2 * k + 1](x, wplus[:, 2 * k + 2], noise[1])
        return x, self.to_rgbs[k](x, wplus[:, 2 * k + 3], rgb)
