"""Pictures from seeds: grids, folders, style mixing, and videos that wander from seed to seed and back."""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models.latent import Latent
from models.sampling import MAX_SEED, Sampler, looped
from pipeline.errors import ConfigError
from stages.generated import Picture, write_pictures
from stages.output import CONTAINERS
from stages.pixels import to_uint8
from stages.write import WriteConfig

log = logging.getLogger(__name__)

MAX_SEEDS = 100_000
MAX_GRID = 1 << 27
"""Pixels of the largest grid, which is held in memory: 11585 × 11585, 400 MB."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What all the commands below need."""

    sampler: Sampler
    output: Path
    """Checked by `check_output`."""
    write: WriteConfig
    tile: int | None = None
    """Pictures larger than this many pixels are reduced to it; None: as the network draws them."""
    progress: bool = False

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 16:
            raise ConfigError(f"tile {self.tile}: too small", "give at least 16 pixels")

    @property
    def side(self) -> int:
        """Height and width of a picture as it is written."""
        return min(self.sampler.size, self.tile or self.sampler.size)

    def pictures(self, codes: Iterable[Tensor], count: int) -> Iterator[Picture]:
        """uint8 [side, side, 3], one at a time, whatever the number: no batch, so no seed depends on another."""
        quiet = not (self.progress and sys.stderr.isatty())
        for wplus in tqdm(codes, total=count, unit="picture", disable=quiet, dynamic_ncols=True):
            picture = to_uint8(self.sampler.image(wplus)).permute(1, 2, 0).cpu().numpy()
            if self.side < self.sampler.size:
                picture = np.asarray(cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_AREA))
            yield np.ascontiguousarray(picture, np.uint8)


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-15,42" → numbers in the order given; ranges hold both ends.

    Raises:
        ConfigError: not of that form, beyond 2³² − 1, or more than 100,000.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED:
            raise ConfigError(f"seeds {text!r}: {part.strip()!r} is not a seed or a range", "write them as 0-15,42")
        if len(seeds) + last - first >= MAX_SEEDS:
            raise ConfigError(f"seeds {text!r}: more than {MAX_SEEDS}", "draw them in several runs")
        seeds += range(first, last + 1)
    return tuple(seeds)


def parse_grid(text: str | None, count: int) -> tuple[int, int]:
    """ "4x3" → (columns, rows); None: as square as `count` pictures allow, wider rather than taller.

    Raises:
        ConfigError: not of that form, or too small.
    """
    if text is None:
        columns = math.ceil(math.sqrt(count))
        return columns, math.ceil(count / columns)
    match = re.fullmatch(r"(\d+)[x×](\d+)", text.strip(), re.ASCII)
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not columns or not rows:
        raise ConfigError(f"grid {text!r}: not COLUMNSxROWS", "write it as 4x3")
    if columns * rows < count:
        raise ConfigError(f"grid {text}: {columns * rows} places for {count} seeds", "make it larger, or draw fewer")
    return columns, rows


def draw_grid(drawing: Drawing, seeds: Sequence[int], grid: tuple[int, int]) -> None:
    """One image, row by row; places that are left over stay white. A folder gets one image per seed instead."""
    codes, side = (drawing.sampler.wplus(seed) for seed in seeds), drawing.side
    pictures = drawing.pictures(codes, len(seeds))
    if not drawing.output.suffix:
        names = [f"seed{seed:04d}" for seed in seeds]
        write_pictures(pictures, drawing.output, (side, side), drawing.write, names=names)
        return
    columns, rows = grid
    _write_sheet(drawing, columns, rows, ((*divmod(i, columns), picture) for i, picture in enumerate(pictures)))


def draw_mixed(drawing: Drawing, rows: Sequence[int], columns: Sequence[int], layers: Sequence[int]) -> None:
    """One image: each row's seed, with the style inputs `layers` of each column's seed (StyleGAN §3.1).

    The first row and the first column show the seeds themselves.
    """
    sampler = drawing.sampler

    def codes() -> Iterator[Tensor]:
        heads = [sampler.wplus(seed) for seed in columns]
        yield from heads
        for seed in rows:
            wplus = sampler.wplus(seed)
            yield wplus
            yield from (Latent(wplus).mix_layers(head, layers).wplus for head in heads)

    width, height = len(columns) + 1, len(rows) + 1
    pictures = drawing.pictures(codes(), width * height - 1)
    _write_sheet(drawing, width, height, ((*divmod(i, width), picture) for i, picture in enumerate(pictures, start=1)))


def draw_loop(drawing: Drawing, seeds: Sequence[int], frames: int, rate: Fraction) -> int:
    """A video, or a folder of images, from seed to seed and back to the first, `frames` frames each; it loops.

    Returns:
        How many frames were written.
    """
    if len(seeds) < 2:
        raise ConfigError("interpolate: one seed leads nowhere", "give at least two, e.g. --seeds 0-3")
    if frames < 1:
        raise ConfigError(f"interpolate: {frames} frames from seed to seed", "give at least 1")
    if drawing.output.suffix and drawing.output.suffix.lower() not in CONTAINERS:
        raise ConfigError(f"{drawing.output}: one image cannot hold a video", "name a .mp4 or .mov file, or a folder")
    codes = looped([drawing.sampler.wplus(seed) for seed in seeds], frames)
    size = (drawing.side, drawing.side)
    pictures = drawing.pictures(codes, len(seeds) * frames)
    return write_pictures(pictures, drawing.output, size, drawing.write, rate)


def _write_sheet(
    drawing: Drawing, columns: int, rows: int, placed: Iterable[tuple[int, int, NDArray[np.uint8]]]
) -> None:
    side = drawing.side
    width, height = columns * side, rows * side
    if drawing.output.suffix.lower() in CONTAINERS or not drawing.output.suffix:
        raise ConfigError(f"{drawing.output}: a grid is one image", "name a .png file")
    if width * height > MAX_GRID:
        raise ConfigError(f"grid of {width}x{height} pixels: too large", "add --tile 256, or give a folder's name")

    def sheets() -> Iterator[Picture]:
        canvas = np.full((height, width, 3), 255, np.uint8)
        for row, column, picture in placed:
            canvas[row * side : (row + 1) * side, column * side : (column + 1) * side] = picture
        yield canvas

    write_pictures(sheets(), drawing.output, (width, height), drawing.write)
