"""One picture drawn with several seeds, as one grid: what a sketch, a label map or a random style may become."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.resources import Loader
from pipeline.run import stream
from stages.contact_sheet import contact_sheet
from stages.media_probe import probe
from stages.output import check_output

MOST = 100


def render_variants(source: Path, output: Path, config: RunConfig, count: int, loader: Loader | None = None) -> range:
    """Render a still image once per seed `config.seed`, `config.seed` + 1, … and write all of them into one picture.

    Args:
        output: a .png or .jpg file. Its cells have the size that a single render would have, as long as they fit.
        count: how many, 1 to 100.
        loader: keeps the models between calls.

    Returns:
        The seeds, row by row.

    Raises:
        UserError: not an image, a task that draws no random numbers, or whatever a single render would raise.
    """
    if not 1 <= count <= MOST:
        raise ConfigError(f"variants: {count}", f"ask for 1 to {MOST}")
    task = config.task
    if not task.uses_seed:
        raise ConfigError(f"variants: every seed gives the same picture in task {task.kind}", "leave --variants out")
    if config.latents.save is not None:
        raise ConfigError("variants: there are several pictures, and one --save-latents file", "leave one of them out")
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"{output}: variants become one picture", "name a .png file")
    check_output(source, output, overwrite=config.write.overwrite)
    if (kind := probe(source).kind) != "image":
        raise ConfigError(f"{source}: variants of a {kind}", "give one image, or render the clip once per --seed")
    loader = loader or Loader()
    seeds = range(config.seed, config.seed + count)
    pictures = [_picture(source, config.model_copy(update={"seed": seed}), loader) for seed in seeds]
    columns = math.ceil(math.sqrt(count))
    starts = range(0, count, columns)
    contact_sheet(
        output,
        [pictures[start : start + columns] for start in starts],
        captions=[[f"seed {seed}" for seed in seeds[start : start + columns]] for start in starts],
        cell_px=max(pictures[0].shape[:2]),
    )
    return seeds


def _picture(source: Path, config: RunConfig, loader: Loader) -> NDArray[np.uint8]:
    with contextlib.closing(stream(source, config=config, loader=loader)) as frames:
        return next(frames).image
