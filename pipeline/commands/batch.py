"""Render many clips from one YAML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file and what to do with it."""
    parser.add_argument("words", nargs="+", metavar="[status|retry] FILE")
    parser.add_argument("--check", action="store_true", help="check every job, run none; exit 2 when one cannot run")
    parser.add_argument("--resume", action="store_true", help="skip jobs that are finished and unchanged")
    parser.add_argument("--failed", action="store_true", help="retry: only jobs that failed last time (the default)")
    parser.add_argument("--executor", choices=["local"], default="local")
    parser.add_argument("--workers", type=int, default=1, help="of the executor; local has one")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0, 1 when a job failed, 2 when `--check` found one that cannot run."""
    from pipeline import batch

    verb, path = ("run", *arguments.words) if len(arguments.words) == 1 else arguments.words[:2]
    if verb not in ("run", "status", "retry") or len(arguments.words) > 2:
        raise ConfigError(f"batch {' '.join(arguments.words)}: not a command", "use batch [status|retry] FILE.yaml")
    file = batch.load_batch(Path(path))
    if verb == "status":
        print(batch.table(batch.status(file)))
        return 0
    if arguments.check:
        problems = batch.check(file)
        print(batch.table(problems))
        return 2 if any(result.status == "failed" for result in problems) else 0
    jobs = batch.failed_jobs(file) if verb == "retry" else file.jobs
    results = batch.run(file, jobs, batch.LocalExecutor(progress=not arguments.quiet), resume=arguments.resume)
    print(batch.table(results))
    return 1 if any(result.status == "failed" for result in results) else 0
