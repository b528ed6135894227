"""The command line: the first word picks a command, one file each in `pipeline/commands/`."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence

from models.allocator import settle_allocator

VERBS = (
    "analyze",
    "batch",
    "benchmark",
    "concat",
    "directions",
    "explain",
    "flicker",
    "models",
    "qc",
    "refine",
    "sample",
    "train",
)
"""Commands besides `render`, which is the one without a word."""


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit status. User errors are raised, for the caller to print."""
    named = bool(argv) and argv[0] in (*VERBS, "render")
    verb = argv[0] if named else "render"
    command = importlib.import_module(f"pipeline.commands.{verb}")
    summary = (command.__doc__ or "").partition("\n")[0]
    if verb == "render":
        summary += " Other commands: " + ", ".join(VERBS) + " (each with --help)."
    parser = argparse.ArgumentParser(prog=f"run_pipeline.py {verb if named else ''}".strip(), description=summary)
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    parser.add_argument("--log-json", action="store_true", help="one JSON object per log line")
    command.add_arguments(parser)
    arguments = parser.parse_args(argv[1:] if named else argv)
    _set_up_logging(arguments)
    settle_allocator()
    return command.run(arguments)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """time, level, logger, message."""
        entry = {"time": self.formatTime(record), "level": record.levelname.lower(), "logger": record.name}
        return json.dumps(entry | {"message": record.getMessage()})


def _set_up_logging(arguments: argparse.Namespace) -> None:
    level = logging.DEBUG if arguments.verbose else logging.WARNING if arguments.quiet else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if arguments.log_json else logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("models", "stages", "pipeline"):
        logging.getLogger(name).setLevel(level)
