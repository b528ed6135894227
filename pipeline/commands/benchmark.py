"""Measure the network against a plain formulation of itself, pair by pair in one run."""

from __future__ import annotations

import argparse
import json

from pipeline.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--model", default="lite_toon", help="name, path, or full|lite|tiny with random weights")
    parser.add_argument("--size", default="256x256", metavar="WxH", help="network input in pixels, multiples of 8")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all cores")
    parser.add_argument("--repeat", type=int, default=5, help="pairs per row")
    parser.add_argument("--no-memory", action="store_true", help="leave out peaks of memory (two more processes)")


def run(arguments: argparse.Namespace) -> int:
    """Print the table or JSON; exit status 0."""
    import os

    from pipeline.benchmark.network import Setup, compare, table
    from pipeline.resources import choose_device

    sides = arguments.size.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 and int(side) % 8 == 0 for side in sides):
        raise ConfigError(f"--size {arguments.size}: not a size", "give WxH in pixels, multiples of 8, e.g. 336x400")
    for name in ("repeat", "threads"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise ConfigError(f"--{name} {value}: too few", "give 1 or more")
    setup = Setup(
        model=arguments.model,
        width=int(sides[0]),
        height=int(sides[1]),
        precision=arguments.precision,
        device=choose_device(arguments.device),
        threads=arguments.threads or os.cpu_count() or 1,
        repeat=arguments.repeat,
        memory=not arguments.no_memory,
    )
    result = compare(setup)
    print(json.dumps(result, indent=2, ensure_ascii=False) if arguments.json else table(result))
    return 0
