"""What the report of a render tells of how to compare it with its source: OUTPUT.report.json, where there is one."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pipeline.fingerprint import report_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """Numbers of input frames."""

    start: int = 0
    end: int | None = None
    cuts: tuple[int, ...] = ()
    """First frame of each shot; empty: nobody says."""
    changes: frozenset[int] = frozenset()
    """Frames in which other faces were drawn than in the frame before: one of both was passed untouched, or a track
    came or went."""


class _Range(BaseModel):
    start: int = 0
    end: int | None = None


class _Config(BaseModel):
    read: _Range | None = None


class _Shot(BaseModel):
    first_frame: int


class _Frames(BaseModel):
    index: list[int]
    touched: list[bool]


class _Faces(BaseModel):
    index: list[int]
    track_id: list[int]


class _Tables(BaseModel):
    frames: _Frames
    faces: _Faces


class _Report(BaseModel):
    config: _Config | None = None
    shots: list[_Shot] | None = None
    per_frame: _Tables | None = None


def read_told(output: Path) -> Told:
    """Read the report beside an output. Without one nothing is told; a damaged one is ignored, with a warning."""
    path = report_path(output)
    try:
        report = _Report.model_validate_json(path.read_bytes())
    except OSError:
        return Told()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        log.warning("%s: not read: %s: %s; the whole clip is compared, shots are detected", path, where, first["msg"])
        return Told()
    read = (report.config and report.config.read) or _Range()
    cuts = tuple(shot.first_frame for shot in report.shots or ())
    return Told(read.start, read.end, cuts, _changes(report.per_frame) if report.per_frame else frozenset())


def _changes(tables: _Tables) -> frozenset[int]:
    drawn: dict[int, set[int]] = {}
    for index, track in zip(tables.faces.index, tables.faces.track_id, strict=False):
        drawn.setdefault(index, set()).add(track)
    frames = zip(tables.frames.index, tables.frames.touched, strict=False)
    states = [(index, drawn.get(index, set()) if touched else None) for index, touched in frames]
    return frozenset(after[0] for before, after in itertools.pairwise(states) if before[1] != after[1])
