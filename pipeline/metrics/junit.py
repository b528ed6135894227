"""Verdicts as JUnit XML, which build servers and render-farm dashboards show."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.metrics.report import FlickerReport
from pipeline.metrics.verdict import Verdict


def to_junit(report: FlickerReport) -> str:
    """One suite per comparison, one case per metric, shot and region; not measured counts as skipped."""
    failures = len(report.failures)
    skipped = sum(verdict.status == "not measured" for verdict in report.verdicts)
    counts = {"tests": str(len(report.verdicts)), "failures": str(failures), "errors": "0"}
    counts["time"] = f"{report.seconds:.3f}"
    root = ET.Element("testsuites", {"name": "flicker"} | counts)
    suite = ET.SubElement(root, "testsuite", {"name": _clean(report.result), "skipped": str(skipped)} | counts)
    for verdict in report.verdicts:
        _add_case(suite, verdict)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def check_target(path: Path) -> None:
    """See that a file can be made under this name, before the work that goes into it.

    Raises:
        ConfigError: its folder is missing or cannot be written, or the name is that of a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder", "name a file in it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path.parent}: no folder that can be written", "make it, or name another one")


def write_text(path: Path, text: str) -> None:
    """Write under the final name only when all of it is there."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _add_case(suite: ET.Element, verdict: Verdict) -> None:
    where = "clip" if verdict.shot is None else f"shot {verdict.shot}.{verdict.region}"
    case = ET.SubElement(suite, "testcase", classname=f"flicker.{where}", name=verdict.metric, time="0")
    text = _clean(verdict.text)
    if verdict.status == "failed":
        failure = ET.SubElement(case, "failure", message=text, type=verdict.metric)
        failure.text = text
    elif verdict.status == "not measured":
        ET.SubElement(case, "skipped", message=_clean(verdict.note))
    else:
        ET.SubElement(case, "system-out").text = text


def _clean(text: str) -> str:
    """Without the control characters that XML 1.0 forbids; a file name may hold them."""
    return "".join(c if c >= " " or c in "\t\n" else "�" for c in text)
