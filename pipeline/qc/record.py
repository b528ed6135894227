"""What the render wrote down about itself, read back: OUTPUT.report.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.fingerprint import report_path
from pipeline.frame_log import ADDED, FACE_COLUMNS, FRAME_COLUMNS

Table = dict[str, list[Any]]
_AGAIN = "render it again with `report.enabled: true`"


@dataclass(frozen=True, slots=True)
class Record:
    """A report with its table of frames."""

    report: dict[str, Any]
    """As `RunReport.to_json` writes it, without the table."""
    frames: Table
    """Columns of `frame_log.FRAME_COLUMNS`."""
    faces: Table
    """Columns of `frame_log.FACE_COLUMNS`."""

    @property
    def times_s(self) -> list[float]:
        """Seconds of each row of `frames`, from the first."""
        base, pts = Fraction(self.report["clip"]["time_base"]), self.frames["pts"]
        return [float((value - pts[0]) * base) for value in pts]


def read_record(output: Path) -> Record:
    """Read the report beside a finished output.

    Raises:
        ConfigError: there is none, or it is not one of this version.
    """
    path = report_path(output)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: no report beside the output ({error.strerror})", _AGAIN) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a report: {error}", _AGAIN) from error
    if not isinstance(data, dict) or not isinstance(data.get("clip"), dict):
        raise ConfigError(f"{path}: not the report of a render", _AGAIN)
    tables = data.pop("per_frame", None) or {}
    frames = _table(path, tables.get("frames"), tuple(FRAME_COLUMNS))
    faces = _table(path, tables.get("faces"), tuple(FACE_COLUMNS))
    for name, kind in (("config", dict), ("shots", list), ("decisions", dict)):
        if not isinstance(data.get(name), kind):
            raise ConfigError(f"{path}: {name} is missing or not what a render writes", _AGAIN)
    try:
        Fraction(data["clip"]["time_base"])
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise ConfigError(f"{path}: clip.time_base is missing or no fraction", _AGAIN) from error
    return Record(data, frames, faces)


def _table(path: Path, columns: Any, names: tuple[str, ...]) -> Table:
    table = dict(columns) if isinstance(columns, dict) else {}
    rows = table.get("index")
    if isinstance(rows, list):
        table = {name: [None] * len(rows) for name in ADDED} | table
    lists: list[Any] = [table.get(name) for name in names]
    if not all(isinstance(column, list) and len(column) == len(lists[0]) for column in lists):
        raise ConfigError(f"{path}: it has no table of frames, or one of another version", _AGAIN)
    return dict(zip(names, lists, strict=True))
