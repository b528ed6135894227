"""Measure network, stages and pipeline against a plain formulation of the same network, pair by pair in one run."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import get_args

from models.precision import Precision
from pipeline.benchmark import PARTS
from pipeline.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write benchmark.json, .md and .svg there")
    parser.add_argument("--model", default="lite_toon", help="name, path, or full|lite|tiny with random weights")
    parser.add_argument("--size", nargs="+", default=["256x256"], metavar="WxH", help="network inputs, multiples of 8")
    parser.add_argument("--batch-size", nargs="+", type=int, default=[1], metavar="N", help="frames per pass")
    parser.add_argument("--precision", nargs="+", choices=get_args(Precision), default=["fp32"])
    parser.add_argument(
        "--device", nargs="+", default=["auto"], help="auto (the GPU where there is one, and the CPU), cpu, cuda:0, …"
    )
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; default: all cores")
    parser.add_argument("--repeat", type=int, default=5, help="pairs per row")
    parser.add_argument("--frames", type=int, default=24, help="of the clip for stages and pipeline")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=(),
        help="default: all; the network alone for random weights",
    )
    parser.add_argument("--compile", action="store_true", help="our side through torch.compile")
    parser.add_argument("--quick", action="store_true", help="less than a minute: two pairs, small clips")
    parser.add_argument("--no-memory", action="store_true", help="leave out what needs processes of its own")


def run(arguments: argparse.Namespace) -> int:
    """Print the tables or JSON; exit status 0."""
    import os

    from pipeline.benchmark.plan import Plan, measure
    from pipeline.benchmark.tables import markdown

    for name in ("repeat", "threads", "frames"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise ConfigError(f"--{name} {value}: too few", "give 1 or more")
    if min(arguments.batch_size) < 1:
        raise ConfigError(f"--batch-size {min(arguments.batch_size)}: too few", "give 1 or more")
    plan = Plan(
        model=arguments.model,
        sizes=tuple(_size(text) for text in arguments.size),
        batches=tuple(arguments.batch_size),
        precisions=tuple(arguments.precision),
        devices=_devices(arguments.device),
        threads=arguments.threads or os.cpu_count() or 1,
        repeat=arguments.repeat,
        parts=tuple(arguments.parts),
        frames=arguments.frames,
        memory=not arguments.no_memory,
        quick=arguments.quick,
        compiled=arguments.compile,
    )
    if arguments.output is not None:
        _make_folder(arguments.output)
    if not arguments.verbose:  # what each of many runs says of its output
        logging.getLogger("stages").setLevel(logging.WARNING)
    result = measure(plan)
    text = markdown(result)
    if arguments.output is not None:
        _write(arguments.output, result, text)
    print(json.dumps(result, indent=2, ensure_ascii=False) if arguments.json else text)
    return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"-o {folder}: {error.strerror or error}", "name a folder that can be made") from error


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 and int(side) % 8 == 0 for side in sides):
        raise ConfigError(f"--size {text}: not a size", "give WxH in pixels, multiples of 8, e.g. 336x400")
    return int(sides[0]), int(sides[1])


def _devices(wanted: list[str]) -> tuple[str, ...]:
    from pipeline.resources import choose_devices

    found: list[str] = []
    for device in wanted:
        found += [*choose_devices("auto"), "cpu"] if device == "auto" else [",".join(choose_devices(device))]
    return tuple(dict.fromkeys(found))


def _write(folder: Path, result: dict[str, object], text: str) -> None:
    """Each under another name first: nothing half-written stands under the final one."""
    from pipeline.benchmark.plot import svg

    files = {
        "benchmark.json": json.dumps(result, indent=2, ensure_ascii=False) + "\n",
        "benchmark.md": text + "\n\n![plot](benchmark.svg)\n",
        "benchmark.svg": svg(result),
    }
    for name, content in files.items():
        part = folder / f"{name}.part"
        part.write_text(content, encoding="utf-8")
        part.replace(folder / name)
