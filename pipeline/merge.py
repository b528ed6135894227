"""The report of a joined clip, from the reports of its parts."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.fingerprint import report_path
from pipeline.frame_log import ADDED, SOURCES
from pipeline.report import RunReport, ShotReport

log = logging.getLogger(__name__)


def merge_reports(parts: Sequence[Path], source: Path, output: Path) -> RunReport | None:
    """One report for `output`, from those beside its parts, in their order; None where one of them is missing.

    A part is right without its report: where one cannot be used, a warning names it, and there is none of the whole.
    Seconds are those of all parts together. Stages and threads are left to the parts.
    """
    report = RunReport(str(source), str(output))
    for part in parts:
        path = report_path(part)
        try:
            _add(report, json.loads(path.read_text(encoding="utf-8")))
        except OSError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning(
                "%s: not a report of this release (%r), so %s gets none; render that part again to have one",
                *(path, error, output),
            )
            return None
    return report


def _add(report: RunReport, table: dict[str, Any]) -> None:
    """Put a part's report behind those before it."""
    if not report.config:
        read, write = table["config"]["read"], table["config"]["write"]
        whole = {"read": read | {"start": 0, "end": None}, "write": write | {"picture_only": False}}
        report.config = table["config"] | whole
        report.model, report.clip, report.versions = table["model"], table["clip"], table["versions"]
        report.wplus = table.get("wplus", "")
    report.frames += table["frames"]
    report.rendered += table["rendered"]
    report.seconds += table["seconds"]
    report.warnings += [text for text in table["warnings"] if text not in report.warnings]
    _add_shots(report, table["shots"])
    _add_decisions(report, table["decisions"])
    _add_frames(report, table["per_frame"])


def _add_shots(report: RunReport, shots: Sequence[dict[str, Any]]) -> None:
    for entry in shots:
        if not report.shots or report.shots[-1].number != entry["number"]:
            report.shots.append(ShotReport(**entry))
            continue
        shot = report.shots[-1]
        shot.frames += entry["frames"]
        shot.rendered += entry["rendered"]
        shot.max_faces_seen = max(shot.max_faces_seen, entry["max_faces_seen"])
        shot.track_ids += [track for track in entry["track_ids"] if track not in shot.track_ids]


def _add_decisions(report: RunReport, decisions: dict[str, list[list[int]]]) -> None:
    for name, ranges in decisions.items():
        held = report.decisions.setdefault(name, [])
        for first, last in ranges:
            if held and held[-1][1] == first - 1:
                held[-1][1] = last
            else:
                held.append([first, last])


def _add_frames(report: RunReport, tables: dict[str, dict[str, list[Any]]]) -> None:
    names = [source.value for source in SOURCES]
    for name, column in report.per_frame.frames.items():
        column.extend(tables["frames"][name])
    for name, column in report.per_frame.faces.items():
        faces = tables["faces"]
        values = faces.get(name, [None] * len(faces["index"])) if name in ADDED else faces[name]
        if name == "source":
            values = [names.index(value) for value in values]
        column.extend(float("nan") if value is None else value for value in values)
