"""Content of an x1 of any size, its finest levels tile by tile: the same numbers within float rounding.

Squeeze-and-excitation looks at the whole map (its mean), so the blocks that work at H and H/2 are gone through once for
each of them: its mean is found with the gates before it known, then its gate, and a last pass writes the features. That
is a twelfth more work for a full network, and nothing at H or H/2 is held but the skip features themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.backbone import Bottleneck
from models.encoder import Content, Encoder
from models.moments import Moments
from models.tiling import Window, tiles

CELL = 8
"""Pixels of x1 per cell of H/8 × W/8; no stride of the finest blocks is coarser."""


def content_tiled(encoder: Encoder, x1: Tensor, tile: int) -> Content:
    """As `Encoder.content` in eval mode, for one x1 [1, C, H, W]; inference only.

    Args:
        tile: side of a tile in cells of 8 pixels.
    """
    fine = _Fine(encoder, x1, tile)
    taps = fine.taps()
    units = encoder.config.tap_units
    x = fine.last
    for unit in range(fine.count - 1, units["c2"] + 1):
        if unit >= fine.count:
            x = encoder.body[unit](x)
        taps |= {name: x for name, tap in units.items() if tap == unit}
    return encoder.content_of_taps(taps)


class _Fine:
    """The input layer, the blocks at H/2, and the one that goes to H/4."""

    def __init__(self, encoder: Encoder, x1: Tensor, tile: int) -> None:
        config = encoder.config
        self._x1, self._side = x1, tile * CELL
        self._height, self._width = x1.shape[2:]
        self._first = encoder.translation if config.translation else encoder.input_layer
        self.count = config.body_units[0] + 1
        self._blocks = [block for block in list(encoder.body)[: self.count] if isinstance(block, Bottleneck)]
        # In pixels of x1: the input layer 1, a block two convolutions of at most 2 each.
        reach = 1 + 4 * self.count
        if config.translation:  # two strides, blocks of two convolutions at H/4, and up again
            reach += 3 + 8 * config.res_blocks + 8
        self._rim = -(-reach // CELL) * CELL
        self._gates: list[Tensor] = []
        self._skip_taps = config.skip_taps

    def taps(self) -> dict[str, Tensor]:
        """c256 and c128, whole, where skip connections take them; then `last` is the feature behind all blocks."""
        for i, block in enumerate(self._blocks):
            mean, stride = Moments(), 4 if i == self.count - 1 else 2
            for window, seen in self._tiles():
                residual = block.residual(self._run(seen)[-1])
                mean.add(_shrunk(window, stride).of(residual, origin=_shrunk(seen, stride)))
            self._gates.append(block.excite.gate(mean.mean))
        wanted = {"c256": 1, "c128": 2, "last": 4}  # with their strides
        wanted = {name: n for name, n in wanted.items() if name == "last" or name in self._skip_taps}
        wholes: dict[str, Tensor] = {}
        for window, seen in self._tiles():
            maps = self._run(seen)
            parts = {"c256": maps[0], "c128": maps[-2], "last": maps[-1]}
            for name, stride in wanted.items():
                part, place = parts[name], _shrunk(window, stride)
                if name not in wholes:
                    size = part.shape[1], self._height // stride, self._width // stride
                    wholes[name] = part.new_empty(1, *size)
                place.of(wholes[name]).copy_(place.of(part, origin=_shrunk(seen, stride)))
        self.last = wholes.pop("last")
        return wholes

    def _tiles(self) -> list[tuple[Window, Window]]:
        """Each tile, and what is run for it."""
        windows = tiles(self._height, self._width, self._side)
        return [(window, window.grown(self._rim, self._height, self._width)) for window in windows]

    def _run(self, seen: Window) -> list[Tensor]:
        """Feature behind the input layer and behind each block whose gate is known."""
        maps = [self._first(seen.of(self._x1))]
        for block, gate in zip(self._blocks, self._gates, strict=False):
            maps.append(torch.addcmul(block.shortcut_layer(maps[-1]), block.residual(maps[-1]), gate))
        return maps


def _shrunk(window: Window, stride: int) -> Window:
    return Window(*(edge // stride for edge in window))
