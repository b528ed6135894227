"""Skip connections from encoder to generator (StyleGANEX §3.2, §4.2), with attention to the editing vector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import ModelConfig
from models.layers import full_precision
from models.moments import Moments


class AdaIN(nn.Module):
    """Instance norm whose scale and shift come from a label: x [B, C, H, W], label [B, D]."""

    def __init__(self, channels: int, label_dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(label_dim, 2 * channels)
        with torch.no_grad():
            self.style.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, x: Tensor, label: Tensor, moments: Moments | None = None) -> Tensor:
        """`moments`: of the whole map, where x is a part of it."""
        gamma, beta = self.style(label)[:, :, None, None].chunk(2, dim=1)
        normed = F.instance_norm(x, eps=1e-5) if moments is None else moments.normalize(x, eps=1e-5)
        return torch.addcmul(beta, normed, gamma)


class SkipFusion(nn.Module):
    """Brings one encoder feature E_k into the generator before block k.

    Args:
        skip_channels: of E_k.
        channels: of the generator's feature at this place.
    """

    def __init__(self, config: ModelConfig, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(nn.Conv2d(skip_channels, channels, 3, padding=1), nn.LeakyReLU(0.01))
        self.fusion_out = nn.Conv2d(2 * channels, channels, 3, padding=1)
        if config.skip_to_rgb:
            self.fusion_skip = nn.Conv2d(3 + channels, 3, 3, padding=1)
        if config.attention:
            layers: list[nn.Module] = [nn.Linear(config.style_dim, channels), nn.LeakyReLU(0.2)]
            for _ in range(config.attention):
                layers += [nn.Linear(channels, channels), nn.LeakyReLU(0.2)]
            self.linear = nn.Sequential(*layers)
            self.norm = AdaIN(2 * channels, channels)
            self.conv = nn.Conv2d(2 * channels, 1, 3, padding=1)
        self.skip_to_rgb = config.skip_to_rgb
        self.attention = config.attention > 0

    def forward(
        self, x: Tensor, rgb: Tensor, skip: Tensor, direction: Tensor | None, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """New feature and running RGB.

        Args:
            x: [B, C, H, W], the generator's feature.
            rgb: [B, 3, H, W], the running image.
            skip: [1 or B, skip_channels, H, W], E_k.
            direction: [1 or B, style_dim], the editing vector at this layer. None: no edit, no attention. An edit of
                strength 0 is a vector of zeros, which does attend.
            moments: see `attend`.
        """
        y = self.transform(skip)
        if self.attention and direction is not None:
            y = self.attend(x, y, direction, moments)
        y = y.expand(x.shape[0], -1, -1, -1)
        if self.skip_to_rgb:
            with full_precision(x):
                rgb = self.fusion_skip(torch.cat([rgb, y.to(rgb.dtype)], dim=1))
        return self.fusion_out(torch.cat([x, y], dim=1)), rgb

    def attend(self, x: Tensor, y: Tensor, direction: Tensor, moments: Moments | None = None) -> Tensor:
        """The transformed skip feature y, weighted by where the edit `direction` matters (StyleGANEX §4.2).

        Args:
            moments: of the whole map's `compare`, where x and y are parts of it.
        """
        normed = self.norm(self.compare(x, y), self.linear(direction), moments)
        return y * torch.tanh(torch.relu(self.conv(normed)))

    @staticmethod
    def compare(x: Tensor, y: Tensor) -> Tensor:
        """What the attention looks at, [B, 2·C, H, W]."""
        return torch.cat([x, (x - y).abs()], dim=1)
