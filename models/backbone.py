"""The IR-SE body of the encoder (ArcFace's improved residual network with squeeze-and-excitation)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.config import ModelConfig


class SqueezeExcite(nn.Module):
    """Channel attention with reduction 16 (at least one hidden channel): [B, C, H, W] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 16)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True))

    def gate(self, pooled: Tensor) -> Tensor:
        """What channels of these means [B, C, 1, 1] are multiplied by."""
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))


class Bottleneck(nn.Module):
    """IR-SE bottleneck: [B, in, H, W] → [B, out, H/stride, W/stride]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            SqueezeExcite(out_channels),
        )
        if in_channels == out_channels:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)

    def residual(self, x: Tensor) -> Tensor:
        """What the squeeze-excite looks at and scales."""
        return self.res_layer[:-1](x)

    @property
    def excite(self) -> SqueezeExcite:
        """The squeeze-excite."""
        excite = self.res_layer[-1]
        assert isinstance(excite, SqueezeExcite)
        return excite


def input_layer(in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolution, batch norm, PReLU at full size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.PReLU(out_channels),
    )


def ir_se_body(config: ModelConfig) -> nn.ModuleList:
    """Four groups of bottlenecks, each starting with stride 2."""
    blocks: list[Bottleneck] = []
    in_channels = config.body_widths[0]
    for width, units in zip(config.body_widths, config.body_units, strict=True):
        for unit in range(units):
            blocks.append(Bottleneck(in_channels, width, stride=2 if unit == 0 else 1))
            in_channels = width
    return nn.ModuleList(blocks)


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Within: batch norms use the statistics of their input and leave the running ones alone. Not thread-safe."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
        yield
    finally:
        for norm, (training, tracking) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracking
