"""Many clips from one YAML file: validate all, render each, let none stop the others, skip what is done."""

from __future__ import annotations

import glob
import json
import logging
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.config import RunConfig, merge_task, parse_config, read_yaml
from pipeline.errors import ConfigError, UserError
from pipeline.fingerprint import is_current
from pipeline.resources import Loader
from pipeline.run import render
from stages.media_probe import probe
from stages.output import check_output

log = logging.getLogger(__name__)
DEFAULT_OUTPUT = "output/{stem}_{task}{suffix}"
Status = Literal["done", "skipped", "failed", "ready", "missing", "changed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One render of a batch."""

    name: str
    """Running number, over all files of all globs, and stem of the input: `3-shot_010`."""
    source: Path
    output: Path
    config: RunConfig


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job."""

    name: str
    source: str
    output: str
    status: Status
    frames: int = 0
    seconds: float = 0.0
    error: str = ""
    """One line what went wrong, and the remedy where there is one."""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A batch file, read and expanded."""

    path: Path
    jobs: tuple[Job, ...]

    @property
    def summary_path(self) -> Path:
        """Where the results of the last run lie: FILE.summary.json."""
        return self.path.with_name(f"{self.path.stem}.summary.json")


class Executor(Protocol):
    """Where jobs run. Results may come in any order; a job's failure is a result, never an exception."""

    def run(self, jobs: Sequence[Job], resume: bool) -> Iterator[JobResult]:
        """Run the jobs; with `resume`, skip those whose output is there and made from the same things."""
        ...


class LocalExecutor:
    """One job after another in this process; models are loaded once."""

    def __init__(self, progress: bool = False) -> None:
        self._progress = progress

    def run(self, jobs: Sequence[Job], resume: bool) -> Iterator[JobResult]:
        """In the order of the file."""
        loader = Loader()
        for number, job in enumerate(jobs, start=1):
            log.info("job %d of %d: %s → %s", number, len(jobs), job.source, job.output)
            yield run_job(job, loader, resume, self._progress)


def load_batch(path: Path) -> BatchFile:
    """Read a batch file.

    Keys: `defaults` (any settings of a render), `output` (a template with {stem} {name} {task} {model} {job} {suffix}),
    `jobs` (each `input`: a path or glob, optionally `output`, and any settings). `latents.save` may hold the same
    tokens. These paths are relative to the file.

    Raises:
        ConfigError: not a batch file, or a job's settings are wrong (named by its position).
    """
    data = read_yaml(path)
    if unknown := sorted(set(data) - {"defaults", "output", "jobs"}):
        raise ConfigError(f"{path}: {unknown[0]}: no such key in a batch file", "use defaults, output and jobs")
    if not isinstance(data.get("jobs"), list) or not data["jobs"]:
        raise ConfigError(f"{path}: jobs: expected a list of jobs", "write `jobs:` and below it `- input: clip.mov`")
    jobs: list[Job] = []
    for position, entry in enumerate(data["jobs"], start=1):
        where = f"{path}: job {position}"
        template = data.get("output") or DEFAULT_OUTPUT
        jobs += _expand(path, where, len(jobs) + 1, entry, data.get("defaults") or {}, template)
    _check_distinct(path, jobs)
    return BatchFile(path, tuple(jobs))


def _expand(path: Path, where: str, first: int, entry: Any, defaults: dict[str, Any], template: str) -> Iterator[Job]:
    if not isinstance(entry, dict) or "input" not in entry:
        raise ConfigError(f"{where}: no input", "write `- input: clip.mov`")
    settings = {key: value for key, value in entry.items() if key not in ("input", "output")}
    config = parse_config(_merge(defaults, settings), {}, where)
    pattern = str(path.parent / entry["input"])
    found = sorted(glob.glob(pattern)) if glob.has_magic(entry["input"]) else []
    sources = [Path(name) for name in found or [pattern]]  # what nothing fits fails as a job, like a missing file
    for number, source in enumerate(sources, start=first):
        suffix = ".mp4" if source.is_dir() else source.suffix
        tokens = {"stem": source.stem, "name": source.name, "task": config.task.kind, "suffix": suffix}
        tokens |= {"model": Path(config.model).stem if config.model else "default", "job": str(number)}
        own, save = config, config.latents.save
        try:
            output = str(entry.get("output", template)).format_map(tokens)
            if save is not None:
                latents = config.latents.model_copy(update={"save": path.parent / str(save).format_map(tokens)})
                own = config.model_copy(update={"latents": latents})
        except (KeyError, ValueError, IndexError) as error:
            known = ", ".join(tokens)
            raise ConfigError(f"{where}: output: {error}: no such token", f"use {known} in braces") from error
        yield Job(f"{number}-{source.stem}", source, path.parent / output, own)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Sections are merged key by key; a task of another kind replaces the default one whole."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = merge_task(old, value) if key == "task" else {**old, **value}
        else:
            merged[key] = value
    return merged


def _check_distinct(path: Path, jobs: Iterable[Job]) -> None:
    seen: dict[Path, str] = {}
    for job in jobs:
        for target in (job.output, *filter(None, [job.config.latents.save])):
            if (key := target.absolute()) in seen:
                raise ConfigError(
                    f"{path}: jobs {seen[key]} and {job.name} would both write {target}",
                    "put {job} or {name} into the output template",
                )
            seen[key] = job.name


def check(file: BatchFile) -> list[JobResult]:
    """Try everything that can be known before rendering: inputs, outputs, weights, detectors."""
    loader = Loader()
    return [_checked(job, loader) for job in file.jobs]


def _checked(job: Job, loader: Loader) -> JobResult:
    try:
        check_output(job.source, job.output, overwrite=True)
        job.config.latents.check_save(overwrite=True)
        probe(job.source)
        loader.load(job.config)
    except UserError as error:
        return _result(job, "failed", error=str(error))
    return _result(job, "ready")


def run(file: BatchFile, jobs: Sequence[Job], executor: Executor, resume: bool = False) -> list[JobResult]:
    """Run jobs and keep FILE.summary.json up to date after each, so that a crash loses nothing."""
    results = {result["name"]: JobResult(**result) for result in _last_summary(file)}
    ours: list[JobResult] = []
    for result in executor.run(jobs, resume):
        ours.append(result)
        results[result.name] = result
        names = [job.name for job in file.jobs if job.name in results]
        text = json.dumps([asdict(results[name]) for name in names], indent=2)
        file.summary_path.write_text(text + "\n", encoding="utf-8")
    return ours


def run_job(job: Job, loader: Loader, resume: bool, progress: bool) -> JobResult:
    """Render one job; whatever goes wrong becomes its result."""
    started = time.perf_counter()
    try:
        if resume and is_current(job.source, job.output, job.config):
            return _result(job, "skipped")
        # An output that is there belongs to an earlier run of this batch: it is replaced, atomically.
        config = job.config.model_copy(update={"write": job.config.write.model_copy(update={"overwrite": True})})
        report = render(job.source, job.output, config=config, loader=loader, progress=progress)
    except UserError as error:
        log.error("%s: %s", job.name, error)
        return _result(job, "failed", seconds=time.perf_counter() - started, error=str(error))
    except Exception as error:
        log.exception("%s: a bug in the pipeline", job.name)
        line = traceback.format_exception_only(error)[0].strip()
        return _result(job, "failed", seconds=time.perf_counter() - started, error=line)
    return _result(job, "done", frames=report.frames, seconds=time.perf_counter() - started)


def status(file: BatchFile) -> list[JobResult]:
    """What is known of every job without rendering: done, failed, changed (made from other things) or missing."""
    last = {result["name"]: result for result in _last_summary(file)}
    results: list[JobResult] = []
    for job in file.jobs:
        before = last.get(job.name, {})
        try:
            current = is_current(job.source, job.output, job.config)
            state: Status = "done" if current else "changed" if job.output.exists() else "missing"
        except UserError as error:
            results.append(_result(job, "failed", error=str(error)))
            continue
        if state != "done" and before.get("status") == "failed":
            state = "failed"
        results.append(_result(job, state, frames=before.get("frames", 0), error=before.get("error", "")))
    return results


def failed_jobs(file: BatchFile) -> list[Job]:
    """The jobs that failed in the last run."""
    failed = {result["name"] for result in _last_summary(file) if result["status"] == "failed"}
    return [job for job in file.jobs if job.name in failed]


def _last_summary(file: BatchFile) -> list[dict[str, Any]]:
    try:
        return json.loads(file.summary_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file.summary_path}: cannot be read", "delete it; it is written anew") from error


def _result(job: Job, status: Status, *, frames: int = 0, seconds: float = 0.0, error: str = "") -> JobResult:
    return JobResult(job.name, str(job.source), str(job.output), status, frames, seconds, error)


def table(results: Sequence[JobResult]) -> str:
    """A summary to read."""
    rows = [("job", "status", "frames", "seconds", "output or error")]
    for r in results:
        rows.append((r.name, r.status, str(r.frames), f"{r.seconds:.1f}", r.error or r.output))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows]
    counts = {s: sum(r.status == s for r in results) for s in dict.fromkeys(r.status for r in results)}
    return "\n".join([*lines, ", ".join(f"{n} {s}" for s, n in counts.items())])
