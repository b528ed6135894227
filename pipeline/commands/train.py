"""Train a model."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe."""
    parser.add_argument("--config", required=True, help="YAML file, e.g. configs/train_lite.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE")
