"""The image of a latent, tile by tile: the same numbers as the whole within float rounding, in bounded memory.

What works at H/8 × W/8 is done once, whole; from there on each tile takes the part of every map that its pixels depend
on, and nothing larger is held. Only the attention's instance norms look at whole maps: their moments are found first,
in one pass over coarser tiles for each connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.latent import Latent
from models.latent_batch import row, select
from models.moments import Moments
from models.steps import Steps
from models.styleganex import Noise, StyleGANEX
from models.tiling import ATTENTION_REACH, FUSION_REACH, Window, pyramid, tiles

SAME_BLOCKS = 3
"""Generator blocks (native sizes 8, 16, 32) that work at H/8 × W/8."""


class Tile(NamedTuple):
    """A finished part of an image."""

    sample: int
    """Of the batch."""
    window: Window
    """Its place in the image."""
    picture: Tensor
    """[1, 3, window.height, window.width] on the network's device, nominally in [−1, 1], not clamped."""


def synthesize_tiled(
    net: StyleGANEX,
    latent: Latent,
    edit: Tensor | None = None,
    noise: Noise = None,
    *,
    tile: int,
    out: Tensor | None = None,
) -> Tensor:
    """As `StyleGANEX.synthesize`, within 1e-4 in float32 for any tile; inference only.

    Args:
        tile: side of a tile in cells of H/8 × W/8, 32 pixels of a 1024 network's output each.
        out: [B, 3, 4H, 4W], any float type and device; None: float32 on the CPU, so that no device holds an image.

    Raises:
        ModelError: as `StyleGANEX.synthesize`.
    """
    for each in synthesize_tiles(net, latent, edit, noise, tile=tile):
        if out is None:
            out = torch.empty(_output_shape(net, latent, edit), dtype=torch.float32)
        each.window.of(out[each.sample : each.sample + 1]).copy_(each.picture)
    assert out is not None
    return out


def synthesize_tiles(
    net: StyleGANEX, latent: Latent, edit: Tensor | None = None, noise: Noise = None, *, tile: int
) -> Iterator[Tile]:
    """The same, as they are done: for writers that keep fewer bits or have no room for the whole."""
    codes = net.edited_codes(latent, edit)
    maps = net.noise_maps(noise)
    for sample in range(_batch(codes, latent)):
        one = select(latent, sample)
        direction = None if edit is None else row(edit, sample)
        steps = net.steps(row(codes, sample), direction)
        own = [None if each is None else row(each, sample) for each in maps]
        attends = direction is not None and net.config.attention > 0
        with torch.no_grad():
            drawing = _Drawing(steps, one, own, net.config.num_blocks, attends, tile)
            for window in drawing.windows():
                yield Tile(sample, window, drawing.draw(window))


def _batch(codes: Tensor, latent: Latent) -> int:
    return max(codes.shape[0], 1 if latent.feature is None else latent.feature.shape[0])


def _output_shape(net: StyleGANEX, latent: Latent, edit: Tensor | None) -> tuple[int, int, int, int]:
    height, width = (32, 32) if latent.feature is None else latent.feature.shape[2:]
    return _batch(net.edited_codes(latent, edit), latent), 3, *net.config.output_size(8 * height, 8 * width)


class _Drawing:
    """One sample."""

    def __init__(
        self,
        steps: Steps,
        latent: Latent,
        noise: Sequence[Tensor | None],
        num_blocks: int,
        attends: bool,
        side: int,
    ) -> None:
        self._steps, self._skips, self._noise = steps, latent.skips, noise
        self._levels, self._side = num_blocks - SAME_BLOCKS, side
        x, rgb = steps.start(latent.feature, latent.feature_rgb, noise[0])
        for k in range(SAME_BLOCKS):
            if k < len(self._skips):
                x, rgb = steps.fuse(k, x, rgb, self._skips[k])
            x, rgb = steps.block(k, x, rgb, noise[2 * k + 1 : 2 * k + 3])
        self._x, self._rgb = x, rgb
        self._height, self._width = x.shape[2:]
        fused = range(SAME_BLOCKS, min(len(self._skips), num_blocks))
        rim = FUSION_REACH + (ATTENTION_REACH if attends else 0)
        self._rims = tuple(rim if SAME_BLOCKS + level in fused else 0 for level in range(self._levels))
        self._moments: dict[int, Moments] = {}
        if attends:
            for k in fused:
                self._moments[k] = self._measure(k)

    def windows(self) -> Iterator[Window]:
        """The tiles of the image."""
        return self._tiles(self._levels)

    def draw(self, window: Window) -> Tensor:
        """[1, 3, h, w]: this part of the image."""
        return self._run(pyramid(window, self._height, self._width, self._rims))[1]

    def _tiles(self, level: int) -> Iterator[Window]:
        return tiles(self._height << level, self._width << level, self._side << level)

    def _measure(self, k: int) -> Moments:
        """Of what the attention before block k normalises; those of the blocks before must be known."""
        level, moments = k - SAME_BLOCKS, Moments()
        for window in self._tiles(level):
            # One place more around, for the convolution that stands between the skip feature and the comparison.
            seen = window.grown(1, self._height << level, self._width << level)
            x, _ = self._run(pyramid(seen, self._height, self._width, self._rims[:level]))
            compared = self._steps.compare(k, x, seen.of(self._skips[k]))
            moments.add(window.of(compared, origin=seen))
        return moments

    def _run(self, windows: Sequence[Window]) -> tuple[Tensor, Tensor]:
        """Feature and RGB in the last of the windows, which begin at level 0."""
        x, rgb = windows[0].of(self._x), windows[0].of(self._rgb)
        for level, (window, wanted) in enumerate(pairwise(windows)):
            k, seen = SAME_BLOCKS + level, window.doubled()
            if k < len(self._skips):
                x, rgb = self._steps.fuse(k, x, rgb, window.of(self._skips[k]), self._moments.get(k))
            noise = [self._noise_of(each, seen, level + 1) for each in self._noise[2 * k + 1 : 2 * k + 3]]
            x, rgb = self._steps.block(k, x, rgb, noise)
            rgb = wanted.of(rgb, origin=seen)
            x = wanted.of(x, origin=seen) if x.numel() else x
        return x, rgb

    def _noise_of(self, noise: Tensor | None, window: Window, level: int) -> Tensor | None:
        if noise is None:
            return None
        return pooled_part(noise, window, self._height << level, self._width << level)


def pooled_part(noise: Tensor, window: Window, height: int, width: int) -> Tensor:
    """A window of `adaptive_avg_pool2d(noise, (height, width))` without the rest: [1, 1, h, w]."""
    if noise.shape[2:] == (height, width):
        return window.of(noise)
    if window == Window.whole(height, width):
        return F.adaptive_avg_pool2d(noise, (height, width))
    rows = _means(window.top, window.bottom, height, noise.shape[2]).to(noise)
    columns = _means(window.left, window.right, width, noise.shape[3]).to(noise)
    return (rows @ noise[0, 0] @ columns.T)[None, None]


def _means(start: int, stop: int, count: int, available: int) -> Tensor:
    """[stop − start, available]: the means that adaptive pooling to `count` places takes of `available`."""
    place = torch.arange(start, stop)[:, None]
    first, last = place * available // count, -(-(place + 1) * available // count)
    source = torch.arange(available)
    return ((source >= first) & (source < last)) / (last - first)
