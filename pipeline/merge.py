"""The report of a joined clip, from the reports of its parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.fingerprint import report_path
from pipeline.frame_log import SOURCES
from pipeline.report import RunReport, ShotReport


def merge_reports(parts: Sequence[Path], source: Path, output: Path) -> RunReport | None:
    """One report for `output`, from those beside its parts, in their order; None where one of them is missing.

    Seconds are those of all parts together. Stages and threads are left to the parts.
    """
    try:
        tables = [json.loads(report_path(part).read_text(encoding="utf-8")) for part in parts]
    except (OSError, ValueError):
        return None
    first = tables[0]
    read, write = first["config"]["read"], first["config"]["write"]
    whole = {"read": read | {"start": 0, "end": None}, "write": write | {"picture_only": False}}
    report = RunReport(str(source), str(output), config=first["config"] | whole)
    report.model, report.clip, report.versions = first["model"], first["clip"], first["versions"]
    for table in tables:
        report.frames += table["frames"]
        report.rendered += table["rendered"]
        report.seconds += table["seconds"]
        report.warnings += [text for text in table["warnings"] if text not in report.warnings]
        _add_shots(report, table["shots"])
        _add_decisions(report, table["decisions"])
        _add_frames(report, table["per_frame"])
    return report


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
        values = tables["faces"][name]
        if name == "source":
            values = [names.index(value) for value in values]
        column.extend(float("nan") if value is None else value for value in values)
