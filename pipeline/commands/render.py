"""Render one clip."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from pipeline.commands.settings import add_settings, overrides_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The clip, where it goes, and every setting."""
    parser.add_argument("input", help="video, image, folder of images, or pattern such as shot.%%04d.png")
    parser.add_argument("-o", "--output", help="file or folder; default output/{stem}_{task}{suffix}")
    parser.add_argument("--resume", action="store_true", help="do nothing when the output is finished and unchanged")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Render; exit status 0."""
    from pipeline.config import load_config
    from pipeline.resources import Loader
    from pipeline.run import default_output, is_current, render

    config, loader = load_config(arguments.config, overrides_from(arguments)), Loader()
    source = Path(arguments.input)
    output = Path(arguments.output) if arguments.output else default_output(source, config)
    if arguments.resume and is_current(source, output, config):
        logging.getLogger("pipeline").info("%s: finished and unchanged", output)
        return 0
    report = render(source, output, config=config, loader=loader, progress=not arguments.quiet)
    logging.getLogger("pipeline").info(
        "%s: %d frames, faces rendered in %d, %.2f frames/s", report.output, report.frames, report.rendered, report.fps
    )
    return 0
