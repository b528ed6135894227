"""Show the stages and every setting with its value; run nothing."""

from __future__ import annotations

import argparse

from pipeline.commands.settings import add_settings, overrides_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting."""
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print; exit status 0."""
    from pipeline.config import load_config
    from pipeline.explain import explain

    print(explain(load_config(arguments.config, overrides_from(arguments))))
    return 0
