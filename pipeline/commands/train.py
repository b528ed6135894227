"""Train a model."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from pipeline.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe."""
    parser.add_argument("--config", required=True, help="YAML file, e.g. configs/train_lite.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="e.g. run.steps=500")


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on where the output folder's checkpoint is; exit status 0."""
    from pipeline.train import train_from_yaml

    settings = {}
    for text in arguments.set:
        setting, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: no value", "write it as --set SETTING=VALUE")
        settings[setting.strip()] = yaml.safe_load(value)
    train_from_yaml(Path(arguments.config), settings)
    return 0
