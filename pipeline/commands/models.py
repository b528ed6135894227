"""List the models, get a published one, check what is here, convert to safetensors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `models`."""
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what there is, what is here, and what each is for")
    listing.add_argument("--json", action="store_true", help="one JSON array")
    fetch = commands.add_parser("fetch", help="download a published file, after showing its licence")
    fetch.add_argument("name")
    fetch.add_argument("--accept-licence", action="store_true", help="do not ask")
    fetch.add_argument(
        "--safetensors",
        action="store_true",
        help="convert it afterwards and delete the .pt file: smaller, no code inside",
    )
    verify = commands.add_parser(
        "verify", help="compare every weight file with its recorded sha256; exit 1 on a change"
    )
    verify.add_argument("--record", action="store_true", help="take files without a record as they are now")
    convert = commands.add_parser("convert", help="write a checkpoint as safetensors, without training state")
    convert.add_argument("source")
    convert.add_argument("target")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0; 1 where `verify` finds a file that is not what it was."""
    match arguments.command:
        case "list":
            print(_list(arguments.json))
        case "fetch":
            print(_fetch(arguments.name, arguments.accept_licence, arguments.safetensors))
        case "verify":
            return _verify(arguments.record)
        case _:
            from models.inventory import convert

            convert(Path(arguments.source), Path(arguments.target))
    return 0


def _list(as_json: bool) -> str:
    from models.inventory import listing
    from models.registry import USER_SUPPLIED
    from models.zoo import weights_dir

    lines = listing()
    if as_json:
        return json.dumps([asdict(line) for line in lines], indent=2)
    rows = [("name", "task", "size", "where", "what for", "licence")]
    for line in lines:
        extra = [f"style {line.style}"] if line.style and line.style not in line.name else []
        extra += [f"directions {line.directions}"] if line.directions else []
        size = _size(line.size) if line.where != "not here" or line.size is None else f"≈ {_size(line.size)}"
        purpose = "; ".join([*filter(None, [line.purpose]), *extra])
        rows.append((line.name, line.task or "?", size, line.where, purpose, line.licence or "?"))
    own = [f"  {kind.kind}: {kind.purpose} ({', '.join(kind.tasks)}); {kind.holds}" for kind in USER_SUPPLIED]
    return "\n".join(
        [
            *_columns(rows),
            "",
            f"fetched files lie in {weights_dir()} ($STYLEGANEX_WEIGHTS); get one with `models fetch NAME`",
            "files of your own that --model, --generator and --direction take:",
            *own,
        ]
    )


def _fetch(name: str, accepted: bool, safetensors: bool) -> Path:
    from models.fetch import fetch
    from models.inventory import convert
    from models.registry import published

    path = fetch(name, accepted)
    entry = published(name)
    if safetensors and entry is not None and entry.kind == "network" and path.suffix != ".safetensors":
        target = path.with_suffix(".safetensors")
        convert(path, target)
        path.unlink()
        return target
    return path


def _verify(record: bool) -> int:
    from models.inventory import verify

    results = list(verify(record))
    print("\n".join(_columns([("file", "verdict", ""), *((r.name, r.verdict, r.note) for r in results)])))
    return 1 if any(r.verdict in ("changed", "unreadable") for r in results) else 0


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _size(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
