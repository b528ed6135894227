"""Gather what is known of a render, and lay it out as one HTML file."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.errors import ConfigError
from pipeline.metrics import FlickerConfig, FlickerReport, measure
from pipeline.metrics.junit import check_target, write_text
from pipeline.qc.frames import Strip, read_strip
from pipeline.qc.latents import known_distances
from pipeline.qc.record import Record, read_record
from pipeline.qc.series import boxes, face_plots, measured_plots, step_of
from pipeline.qc.worst import Suspect, suspects
from stages.preview import spread
from stages.read import ReadConfig

CONTACT_FRAMES = 12
BASE64 = 4 / 3
"""Characters per byte of a picture in the page."""


def page_path(output: Path) -> Path:
    """OUTPUT.qc.html."""
    return output.with_name(f"{output.name}.qc.html")


def write_page(
    source: str | Path,
    output: str | Path,
    page: str | Path | None = None,
    *,
    metrics: bool = True,
    thresholds: FlickerConfig | None = None,
    side: int = 640,
    pictures_mb: float = 12.0,
) -> Path:
    """Make the page of a finished render from its two clips and the report beside the output.

    Args:
        page: the file; None: OUTPUT.qc.html.
        metrics: measure flicker; False leaves out its plots and the worst frames, and takes less time.
        thresholds: of the metrics.
        side: longer side of the embedded pictures, in pixels, at most.
        pictures_mb: megabytes of pictures, of which the page holds 4/3 as text. Where all frames do not fit, they
            become smaller and coarser; then every second, fourth … is embedded, and the page says so.

    Raises:
        UserError: no report beside the output, a clip that cannot be read, or a page that cannot be written.
    """
    source, output = Path(source), Path(output)
    target = Path(page) if page else page_path(output)
    if side < 16 or pictures_mb <= 0:
        raise ConfigError(
            f"pictures of {side} pixels in {pictures_mb:g} MB", "give 16 pixels or more, and more than 0 MB"
        )
    check_target(target)
    config = thresholds or FlickerConfig()
    record = read_record(output)
    flicker = measure(source, output, config) if metrics else FlickerReport(str(source), str(output))
    worst = suspects(flicker, config)
    around = {suspect.frame + step for suspect in worst for step in (-1, 0, 1)}
    indices = record.frames["index"]
    contact = [indices[row] for row in spread(0, len(indices), CONTACT_FRAMES)]
    read = record.report.get("config", {}).get("read", {})
    strip = read_strip(
        source,
        output,
        ReadConfig(start=read.get("start", 0), end=read.get("end")),
        side=side,
        budget=round(pictures_mb * 1e6 * BASE64),
        wanted={*around, *contact},
    )
    data = page_data(record, flicker, strip, worst, contact)
    _write(target, render_page(record, flicker, data))
    return target


def page_data(
    record: Record, flicker: FlickerReport, strip: Strip, worst: list[Suspect], contact: list[int]
) -> dict[str, Any]:
    """Everything that the page's script draws, as it goes into JSON."""
    frames, step = record.frames, step_of(len(record.frames["index"]))
    plots = [*measured_plots(record, flicker), *face_plots(record, known_distances(record))]
    shots = [shot["first_frame"] for shot in record.report.get("shots", [])]
    return {
        "rate": record.report["clip"].get("rate", "25"),
        "frames": {
            "index": frames["index"],
            "time": [round(time, 4) for time in record.times_s],
            "shot": frames["shot"],
            "seen": frames["num_seen"],
        },
        "step": step,
        "plots": [plot.data(step) for plot in plots],
        "boxes": boxes(record, flicker),
        "cuts": shots[1:],
        "decisions": record.report.get("decisions", {}),
        "strip": {
            "step": strip.step,
            "width": strip.width,
            "height": strip.height,
            "frames": [[frame.index, frame.before, frame.after] for frame in strip.frames],
        },
        "contact": contact,
        "worst": [
            {"frame": s.frame, "deviation": round(s.deviation, 1), "metric": s.metric, "failed": list(s.failed)}
            for s in worst
        ],
    }


def render_page(record: Record, flicker: FlickerReport, data: dict[str, Any]) -> str:
    """The HTML text; every value is escaped by the template."""
    report = record.report
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html")).render(
        report=report,
        name=Path(str(report.get("output", ""))).name,
        task=report.get("config", {}).get("task", {}).get("kind", ""),
        duration=(record.times_s or [0.0])[-1],
        flicker=flicker if flicker.frames else None,
        decisions={
            name: sum(last - first + 1 for first, last in ranges)
            for name, ranges in report.get("decisions", {}).items()
        },
        config=json.dumps(report.get("config", {}), indent=2, ensure_ascii=False),
        data=data,
        styles=[Markup(_asset(name)) for name in ("uplot/uPlot.min.css", "page.css")],
        scripts=[Markup(_asset(name)) for name in ("uplot/uPlot.iife.min.js", "viewer.js", "plots.js")],
    )


def _asset(name: str) -> str:
    return resources.files("pipeline.qc").joinpath(name).read_text(encoding="utf-8")


def _write(target: Path, text: str) -> None:
    try:
        write_text(target, text)
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}", "choose a folder that can be written") from error
