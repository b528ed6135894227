"""Render one clip."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.settings import add_settings, overrides_from

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.resources import Loader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The clip, where it goes, and every setting."""
    parser.add_argument("input", help="video, image, folder of images, or pattern such as shot.%%04d.png")
    parser.add_argument("-o", "--output", help="file or folder; default output/{stem}_{task}{suffix}")
    parser.add_argument("--resume", action="store_true", help="do nothing when the output is finished and unchanged")
    parser.add_argument("--shard-dir", metavar="FOLDER", help="write --start to --end as one part for `concat`, here")
    parser.add_argument("--variants", type=int, metavar="N", help="an image drawn with N seeds, as one grid")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Render; exit status 0."""
    from pipeline.config import load_config
    from pipeline.fingerprint import is_current
    from pipeline.resources import Loader
    from pipeline.run import default_output, render

    config, loader = load_config(arguments.config, overrides_from(arguments)), Loader()
    source = Path(arguments.input)
    if arguments.variants is not None:
        return _variants(source, arguments, config, loader)
    if arguments.shard_dir is not None:
        return _shard(source, arguments, config, loader)
    output = Path(arguments.output) if arguments.output else default_output(source, config)
    if arguments.resume and is_current(source, output, config):
        logging.getLogger("pipeline").info("%s: finished and unchanged", output)
        return 0
    report = render(source, output, config=config, loader=loader, progress=not arguments.quiet)
    logging.getLogger("pipeline").info(
        "%s: %d frames, faces rendered in %d, %.2f frames/s", report.output, report.frames, report.rendered, report.fps
    )
    return 0


def _shard(source: Path, arguments: argparse.Namespace, config: RunConfig, loader: Loader) -> int:
    from pipeline.shards import render_shard

    part = render_shard(
        source,
        arguments.shard_dir,
        config=config,
        output=arguments.output,
        resume=arguments.resume,
        loader=loader,
        progress=not arguments.quiet,
    )
    logging.getLogger("pipeline").info("%s: done", part)
    return 0


def _variants(source: Path, arguments: argparse.Namespace, config: RunConfig, loader: Loader) -> int:
    from pipeline.variants import render_variants

    output = Path(arguments.output or f"output/{source.stem}_{config.task.kind}_variants.png")
    seeds = render_variants(source, output, config, arguments.variants, loader)
    logging.getLogger("pipeline").info("%s: seeds %d to %d", output, seeds[0], seeds[-1])
    return 0
