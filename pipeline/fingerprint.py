"""What decides an output, as one number: so that nothing is rendered twice, and nothing stale is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from models.lockfile import sha256_of
from pipeline.config import RunConfig
from pipeline.resources import weights_sha256
from stages.analysis import FILES
from stages.sequence import is_sequence, list_images

IRRELEVANT = {
    **dict.fromkeys(("analysis", "buffers", "report", "threads", "workers", "batch_size", "memory"), True),
    "write": {"overwrite": True},
    "latents": {"save": True},
}
"""Settings that do not change the output. (What an analysis holds does; where it lies does not.)"""


def is_current(source: Path, output: Path, config: RunConfig) -> bool:
    """True when `output` is there and its report says that it was made from what it would be made from now.

    Loads no network.
    """
    try:
        made_from = json.loads(report_path(output).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError):
        return False
    if not output.exists() or (config.latents.save is not None and not config.latents.save.exists()):
        return False
    try:
        return fingerprint(source, config, weights_sha256(config)) == made_from
    except OSError:  # a file that the settings name is gone: the render will say so
        return False


def report_path(output: Path) -> Path:
    """OUTPUT.report.json."""
    return output.with_name(f"{output.name}.report.json")


def fingerprint(source: Path, config: RunConfig, weights: str) -> str:
    """sha256 over what decides the output: the input's content, the configuration and the weights, by their digest."""
    digest = hashlib.sha256(config.model_dump_json(exclude=IRRELEVANT).encode())
    digest.update(weights.encode())
    before = [config.analysis / name for name in sorted(FILES)] if config.analysis is not None else []
    before += [config.latents.source] if config.latents.source is not None else []
    before += [config.refine] if config.refine is not None else []
    for path in [*_files(source), *config.task.files, *before]:
        digest.update(path.name.encode() + bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def source_sha256(source: Path) -> str:
    """Of a clip's content: of the file, or of the names and contents of a sequence's images."""
    digest = hashlib.sha256()
    for path in _files(source):
        digest.update((path.name.encode() if is_sequence(source) else b"") + bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def _files(source: Path) -> list[Path]:
    return list_images(source) if is_sequence(source) else [source]
