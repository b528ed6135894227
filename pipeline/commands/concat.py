"""Join the parts that `render --shard-dir` wrote: pictures by stream copy, sound and all else from the source."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of parts, and the output."""
    parser.add_argument("folder", help="what --shard-dir named")
    parser.add_argument("-o", "--output", required=True, help="video file")
    parser.add_argument("--source", help="where the clip lies now, if not where the parts were rendered from")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--verify", action="store_true", help="check the finished file with ffprobe")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0; 1 when --verify finds something."""
    from pipeline.shards import concat

    problems = concat(
        arguments.folder,
        arguments.output,
        source=arguments.source,
        overwrite=arguments.overwrite,
        check=arguments.verify,
    )
    print(arguments.output)
    return 1 if problems else 0
