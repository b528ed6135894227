"""Pass 1 alone: find shots and faces, encode every face's w+, into a folder that renders read."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.settings import add_settings, overrides_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The clip, the folder, and every setting."""
    parser.add_argument("input", help="video, image, folder of images, or pattern such as shot.%%04d.png")
    parser.add_argument("-o", "--output", help="folder; default output/{stem}.analysis")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0."""
    from pipeline.analyze import analyze
    from pipeline.config import load_config

    config = load_config(arguments.config, overrides_from(arguments))
    output = Path(arguments.output) if arguments.output else None
    print(analyze(arguments.input, output, config=config, progress=not arguments.quiet))
    return 0
