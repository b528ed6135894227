"""A network within a memory budget: batch and tile follow from it, and from what the allocator says on the way.

Any budget gives the same image within 1e-4 before quantisation (float32). Where the whole fits, it is drawn as a whole,
bit for bit as without a budget: tiles begin only beyond.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from models.encoder import Content
from models.errors import ModelError
from models.footprint import encoding_bytes, held_bytes, kept_bytes, picture_bytes, tile_bytes, whole_bytes
from models.latent import Latent
from models.latent_batch import cat, join_contents, map_tensors
from models.memory import free_memory, held_memory, is_out_of_memory
from models.styleganex import Noise, StyleGANEX
from models.tiled_generator import synthesize_tiled

log = logging.getLogger(__name__)
T = TypeVar("T")

SHARE = 0.6
"""Of the memory that is free when a render begins, how much the network may take; the rest is for frames on their way
through the other stages, and for everybody else."""
SMALLEST_TILE, LARGEST_TILE = 4, 64
"""Sides in cells of H/8 × W/8. Below, the surroundings that each tile needs cost more than they save; above, they cost
next to nothing already (5 % at 64)."""
LARGEST_ENCODED = 32
"""As much for the encoder's tiles, which need surroundings of 2 cells."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How images of one size are drawn."""

    cells: int
    """Longer side of the feature, H/8 or W/8."""
    batch: int
    """Samples at once."""
    tile: int | None
    """Side of a tile in cells, one sample at a time; None: whole images."""

    def smaller(self) -> Plan | None:
        """The next thing to try with less memory; None: there is nothing."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        side = next((side for side in _sides(self.cells) if self.tile is None or side < self.tile), None)
        return None if side is None else replace(self, tile=side)


def _sides(cells: int) -> list[int]:
    """Tiles for an image of so many cells, largest first: powers of two below its longer side."""
    powers = (1 << power for power in reversed(range(cells.bit_length() + 1)))
    return [side for side in powers if SMALLEST_TILE <= side <= LARGEST_TILE and side < cells]


class Budget:
    """Runs a network's halves in as little memory as it is allowed.

    Args:
        net: in eval mode, on its device; what is free there is measured now.
        limit: bytes that the process may hold (on a GPU: have allocated there), weights and all; None: SHARE of what is
            free.
        batch: samples at once at most.
        sharing: networks that work at the same time within the limit, this one among them; each takes an equal part.
        queued: finished pictures that wait behind the network; they count towards the limit.
    """

    def __init__(
        self, net: StyleGANEX, limit: int | None = None, batch: int = 1, sharing: int = 1, queued: int = 0
    ) -> None:
        self._net, self._limit, self._batch = net, limit, batch
        self._device = next(net.parameters()).device
        self._held = held_memory(self._device) + sharing * kept_bytes(net)
        free = free_memory(self._device)
        self._room = None if free is None else int(SHARE * free) // sharing
        if limit is not None:
            self._room = (limit - self._held) // sharing
        self._plans: dict[tuple[int, int, bool], Plan] = {}
        self._encoded, self._queued = batch, queued if limit is not None else 0
        self._encoder_sides: dict[tuple[int, int], list[int | None]] = {}

    def in_parts(self, count: int, run: Callable[[slice], T]) -> list[tuple[slice, T]]:
        """The encoder over `count` inputs, as many at once as there is memory for.

        Raises:
            ModelError: there is none for a single one.
        """
        done: list[tuple[slice, T]] = []
        start = 0
        while start < count:
            part = slice(start, min(start + self._encoded, count))
            result = self._tried(run, part)
            if result is not None:
                done.append((part, result))
                start = part.stop
            elif self._encoded > 1:
                self._encoded = max(1, min(self._encoded, part.stop - start) // 2)
                log.warning("out of memory: the encoder goes on with %d frames at once", self._encoded)
            else:
                raise _encoder_error()
        return done

    def encode_content(self, x1: Tensor) -> Content:
        """As StyleGANEX.encode_content, in as many passes as the memory asks for, a single x1 in tiles if need be.

        Raises:
            MemoryError, RuntimeError: out of memory with several, for `in_parts`.
            ModelError: not enough for the smallest tile.
        """
        config = self._net.config
        if not (config.has_feature or config.num_skips):
            return self._net.encode_content(x1)
        if x1.shape[0] > 1:
            one = encoding_bytes(config, x1.shape[2], x1.shape[3])
            rows = x1.shape[0] if self._room is None else max(1, self._room // one)
            if rows >= x1.shape[0]:
                return self._net.encode_content(x1)
            return join_contents([self.encode_content(part) for part in x1.split(rows)])
        key = x1.shape[2], x1.shape[3]
        sides = self._encoder_sides.setdefault(key, self._sides_for(*key))
        while True:
            side = sides[0]
            content = self._tried(self._net.encode_content, x1) if side is None else None
            if side is not None:
                content = self._tried(self._net.encode_content_tiled, x1, side)
            if content is not None:
                return content
            if len(sides) == 1:
                raise _encoder_error()
            del sides[0]
            pixels = (sides[0] or 0) * 8
            log.warning("out of memory: the encoder goes on in tiles of %d×%d pixels", pixels, pixels)

    def _sides_for(self, height: int, width: int) -> list[int | None]:
        """What to try for x1: None is the whole, then tiles in cells."""
        cells = max(height, width) // 8
        sides = [side for side in _sides(cells) if side <= LARGEST_ENCODED]
        if self._room is None or encoding_bytes(self._net.config, height, width) <= self._room or not sides:
            return [None, *sides]
        return [*sides]

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """As StyleGANEX.synthesize, float32; on the network's device, from tiles on the CPU.

        Raises:
            ModelError: not enough memory for the smallest tile; or as StyleGANEX.synthesize.
        """
        height, width = (32, 32) if latent.feature is None else latent.feature.shape[2:]
        attends = edit is not None and self._net.config.attention > 0 and bool(latent.skips)
        key = height, width, attends
        if key not in self._plans:
            self._plans[key] = self._plan(height, width, len(latent.skips), attends)
        while True:
            plan = self._plans[key]
            image = self._tried(self._draw, plan, latent, edit, noise)
            if image is not None:
                return image
            smaller = plan.smaller()
            if smaller is None:
                raise self._too_little(height, width)
            log.warning("out of memory at %s: goes on with %s", _told(plan, self._net), _told(smaller, self._net))
            self._plans[key] = smaller

    def _tried(self, call: Callable[..., T], *arguments: object) -> T | None:
        """The result, or None where memory ran out; by then nothing of the attempt is held."""
        try:
            return call(*arguments)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _draw(self, plan: Plan, latent: Latent, edit: Tensor | None, noise: Noise) -> Tensor:
        if plan.tile is not None:
            return synthesize_tiled(self._net, latent, edit, noise, tile=plan.tile)
        codes = self._net.edited_codes(latent, edit)
        count = max(codes.shape[0], 1 if latent.feature is None else latent.feature.shape[0])
        maps = noise if noise is None or isinstance(noise, str) else list(noise)
        images = []
        for start in range(0, count, plan.batch):
            part = slice(start, start + plan.batch)
            own = maps if maps is None or isinstance(maps, str) else [_rows(each, part) for each in maps]
            image = self._net.synthesize(
                map_tensors(latent, lambda x, part=part: _some(x, part)), _rows(edit, part), own
            )
            images.append(image.float())
        return cat(images)

    def _plan(self, height: int, width: int, skips: int, attends: bool) -> Plan:
        config, cells, room = self._net.config, max(height, width), self._room
        room = None if room is None else room - self._queued * picture_bytes(config, height, width)
        whole = whole_bytes(config, height, width, skips, attends)
        if room is None or whole <= room:
            return Plan(cells, self._batch if room is None else max(1, min(self._batch, room // max(1, whole))), None)
        fixed = held_bytes(config, height, width, result=self._device.type == "cpu")
        for side in _sides(cells):
            if fixed + tile_bytes(config, side, skips, attends) <= room:
                plan = Plan(cells, 1, side)
                log.info("images of %d×%d cells are drawn in %s", width, height, _told(plan, self._net))
                return plan
        if self._limit is not None:
            raise self._too_little(height, width)
        smallest = Plan(cells, 1, next(reversed(_sides(cells)), None))
        log.warning("little memory is free: images are drawn in %s", _told(smallest, self._net))
        return smallest

    def _too_little(self, height: int, width: int) -> ModelError:
        config = self._net.config
        needed = held_bytes(config, height, width, result=self._device.type == "cpu")
        needed += tile_bytes(config, SMALLEST_TILE, config.num_skips, config.attention > 0) + self._held
        needed += self._queued * picture_bytes(config, height, width)
        columns, rows = (side * 8 for side in (width, height))
        given = "" if self._limit is None else f"memory: {self._limit / 2**30:.2f} GiB: "
        return ModelError(
            f"{given}not enough memory for the smallest tile of a window of {columns}x{rows} pixels, "
            f"which takes about {needed / 2**30:.2f} GiB with the {self._held / 2**30:.2f} GiB held already",
            "allow more with --memory, or make the window smaller (crop.window_px, crop.max_pixels)",
        )


def _encoder_error() -> ModelError:
    return ModelError(
        "out of memory in the encoder, with a single window",
        "make the window smaller (crop.window_px, crop.max_pixels), or use a machine with more memory",
    )


def _told(plan: Plan, net: StyleGANEX) -> str:
    if plan.tile is None:
        return f"{plan.batch} whole images at once" if plan.batch > 1 else "whole images"
    side = plan.tile * net.config.resolution // 32
    return f"tiles of {side}×{side} pixels"


def _some(tensor: Tensor, part: slice) -> Tensor:
    return tensor if tensor.shape[0] == 1 else tensor[part]


def _rows(tensor: Tensor | None, part: slice) -> Tensor | None:
    return None if tensor is None else _some(tensor, part)
