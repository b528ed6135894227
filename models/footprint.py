"""How many bytes the parts of a network take for an image of some size, estimated from above."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.config import ModelConfig
from models.fast_batch import Target
from models.fast_generator import KEPT
from models.layers import StyledConv, UpConv
from models.styleganex import StyleGANEX
from models.tiled_generator import SAME_BLOCKS
from models.tiling import ATTENTION_REACH, FUSION_REACH, Window, pyramid


def encoding_bytes(config: ModelConfig, height: int, width: int) -> int:
    """What the encoder takes for an x1 of height × width at most: five maps at H."""
    return 4 * 5 * config.body_widths[0] * height * width


def drawing_bytes(config: ModelConfig, windows: Sequence[Window], skips: int, attends: bool) -> int:
    """What the blocks of native size 64 and above hold at once at most, through these windows from level 0 on.

    An estimate from above: of the layers' own maps in the plain formulation, a tenth added for scratch space, and one
    weight as Winograd's convolution wants it.
    """
    most, widest = 0, config.generator_channels[SAME_BLOCKS]
    for level in range(len(windows) - 1):
        k, area, above = SAME_BLOCKS + level, windows[level].area, 4 * windows[level].area
        inner, outer = config.generator_channels[k : k + 2]
        if k < skips:  # feature, skip, both together, result; the comparison, normed twice
            most = max(most, area * inner * (5 + 6 * attends))
        most = max(most, 2 * area * inner + above * (4 * outer + 9))
    return int(4.4 * most) + 4 * 36 * 2 * widest**2


def whole_bytes(config: ModelConfig, height: int, width: int, skips: int, attends: bool) -> int:
    """`drawing_bytes` of a whole image for a feature of height × width."""
    return drawing_bytes(config, [Window.whole(height << n, width << n) for n in _levels(config)], skips, attends)


def tile_bytes(config: ModelConfig, side: int, skips: int, attends: bool) -> int:
    """`drawing_bytes` of a tile with all its surroundings."""
    rims = tuple((FUSION_REACH + attends * ATTENTION_REACH) * (SAME_BLOCKS + n < skips) for n in _levels(config)[:-1])
    margin, scale = 32, 1 << len(rims)
    window = Window(*(edge * scale for edge in (margin, margin + side, margin, margin + side)))
    return drawing_bytes(config, pyramid(window, side + 2 * margin, side + 2 * margin, rims), skips, attends)


def held_bytes(config: ModelConfig, height: int, width: int, *, result: bool) -> int:
    """What a tiled image takes for as long as it is drawn, besides its tiles, for a feature of height × width.

    The skip features, the first blocks' maps (five at once at most), and the image itself where `result` is set.
    """
    cells = height * width
    sizes = {"c256": 64, "c128": 16, "c1": 4}  # places of a tap per cell
    taps = dict(zip(config.skip_taps, config.skip_channels, strict=True))
    places = sum(sizes.get(tap, 1) * channels for tap, channels in taps.items())
    image = picture_bytes(config, height, width) if result else 0
    return 4 * cells * (places + 5 * config.generator_channels[0]) + image


def picture_bytes(config: ModelConfig, height: int, width: int) -> int:
    """A finished picture, float32, for a feature of height × width."""
    return 4 * 3 * height * width * 4 ** (config.num_blocks - SAME_BLOCKS)


def kept_bytes(net: StyleGANEX) -> int:
    """Weights that the fast formulation keeps in other shapes at most, where a network lies and in its precision.

    For float32 on a CPU nothing is counted: what is worth keeping there is small (models/winograd.py).
    """
    constant = net.generator.constant
    target = Target.of(constant.device, net.precision)
    if target.by_sample:
        return 0
    styled = sum(
        layer.conv.weight.numel() * (4 if target.fused and isinstance(layer.conv, UpConv) else 1)
        for layer in net.generator.modules()
        if isinstance(layer, StyledConv)
    )
    plain = [net.fusion] if net.encoder is None else [net.fusion, net.encoder.body]
    others = sum(part.weight.numel() for each in plain for part in each.modules() if isinstance(part, nn.Conv2d))
    float32 = 0 if net.encoder is None else 4 * others  # w+ is found in float32 in every precision
    # One set of the generator's weights for each w+ that is kept, and one without any.
    return float32 + constant.new_empty(0, dtype=target.dtype).element_size() * (styled * (KEPT + 1) + others)


def _levels(config: ModelConfig) -> range:
    return range(config.num_blocks - SAME_BLOCKS + 1)
