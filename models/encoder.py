"""The encoder E (StyleGANEX §3.2): pSp's gradual style encoder, fully convolutional, with a first-layer feature.

An x1 of any size gives what depends on the place (f and the skip features); an aligned crop x2 gives w+.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone import input_layer, ir_se_body
from models.config import ALIGNED_SIZE, ModelConfig
from models.layers import EqualLinear
from models.translation import translation_network


class Content(NamedTuple):
    """What x1 alone decides; see Latent for shapes."""

    feature: Tensor | None
    skips: tuple[Tensor, ...]
    feature_rgb: Tensor | None


class StyleHead(nn.Module):
    """Feature map [B, C, h, w] → one style vector [B, style_dim].

    Args:
        stride: of the map against the input; a 256 × 256 input is brought to 1 × 1 before the pooling.
    """

    def __init__(self, config: ModelConfig, stride: int) -> None:
        super().__init__()
        convs: list[nn.Module] = []
        in_channels = config.pyramid_channels
        for _ in range(int(math.log2(ALIGNED_SIZE // stride))):
            convs += [nn.Conv2d(in_channels, config.head_channels, 3, stride=2, padding=1), nn.LeakyReLU(0.01)]
            in_channels = config.head_channels
        self.convs = nn.Sequential(*convs)
        self.linear = EqualLinear(config.head_channels, config.style_dim)
        self.max_pooling = config.max_pooling

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs(x)
        return self.linear(y.amax(dim=(2, 3)) if self.max_pooling else y.mean(dim=(2, 3)))


class Encoder(nn.Module):
    """Input [B, C, H, W], H and W multiples of 8."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        c_first, c_quarter, c_eighth = config.body_widths[:3]
        if config.translation:
            self.translation = translation_network(
                config.input_channels, config.translation_channels, c_first, config.res_blocks
            )
        else:
            self.input_layer = input_layer(config.input_channels, c_first)
        self.body = ir_se_body(config)
        # c3 (H/16) gives w_0 … w_2, p2 (H/8) w_3 … w_6, p1 (H/4) the rest.
        strides = [16 if i < 3 else 8 if i < 7 else 4 for i in range(config.num_heads)]
        self.styles = nn.ModuleList(StyleHead(config, stride) for stride in strides)
        self.lateral_c2 = nn.Conv2d(c_eighth, config.pyramid_channels, 1)
        self.lateral_c1 = nn.Conv2d(c_quarter, config.pyramid_channels, 1)
        if config.has_feature:
            self.feature_layer = nn.Conv2d(3 * c_eighth, config.generator_channels[0], 1)
            self.feature_rgb_layer = nn.Conv2d(3 * c_eighth, 3, 1)

    def forward(self, x1: Tensor) -> tuple[Content, Tensor]:
        """Content and style offsets from one pass."""
        taps = self._trunk(x1)
        return self.content_of_taps(taps), self.style_of_taps(taps)

    def content(self, x1: Tensor) -> Content:
        """Content alone; the last group of the body and the style heads are left out."""
        if not self.config.has_feature and not self.config.num_skips:
            return Content(None, (), None)
        return self.content_of_taps(self._trunk(x1))

    def style(self, x: Tensor) -> Tensor:
        """[B, L, style_dim]: style vectors, as offsets from `latent_avg` where the model starts from it."""
        return self.style_of_taps(self._trunk(x))

    def _trunk(self, x: Tensor) -> dict[str, Tensor]:
        x = self.translation(x) if self.config.translation else self.input_layer(x)
        taps = {"c256": x}
        units = self.config.tap_units
        for unit in range(units["c2"] + 1):
            x = self.body[unit](x)
            taps |= {name: x for name, tap in units.items() if tap == unit}
        return taps

    def content_of_taps(self, taps: dict[str, Tensor]) -> Content:
        """Content from the trunk's features."""
        skips = tuple(taps[name] for name in self.config.skip_taps)
        if not self.config.has_feature:
            return Content(None, skips, None)
        stacked = torch.cat([taps["c21"], taps["c22"], taps["c2"]], dim=1)
        return Content(self.feature_layer(stacked), skips, self.feature_rgb_layer(stacked))

    def style_of_taps(self, taps: dict[str, Tensor]) -> Tensor:
        """Style vectors from the trunk's features."""
        c3 = taps["c2"]
        for block in list(self.body)[self.config.tap_units["c2"] + 1 :]:
            c3 = block(c3)
        levels = [c3]
        for lateral in (self.lateral_c2(taps["c2"]), self.lateral_c1(taps["c1"])):
            size = (lateral.shape[2], lateral.shape[3])
            levels.append(F.interpolate(levels[-1], size, mode="bilinear", align_corners=True) + lateral)
        codes = [head(levels[0 if i < 3 else 1 if i < 7 else 2]) for i, head in enumerate(self.styles)]
        return torch.stack(codes, dim=1).expand(-1, self.config.num_styles, -1)
