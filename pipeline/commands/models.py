"""List the models, or get a published one."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `models`."""
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, and what is here")
    fetch = commands.add_parser("fetch", help="download a published file, after showing its licence")
    fetch.add_argument("name")
    fetch.add_argument("--accept-licence", action="store_true", help="do not ask")
    convert = commands.add_parser("convert", help="write a checkpoint as safetensors, without training state")
    convert.add_argument("source")
    convert.add_argument("target")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0."""
    from models import fetch, zoo

    match arguments.command:
        case "list":
            print(zoo.listing())
        case "fetch":
            print(fetch.fetch(arguments.name, accepted=arguments.accept_licence))
        case _:
            zoo.convert(Path(arguments.source), Path(arguments.target))
    return 0
