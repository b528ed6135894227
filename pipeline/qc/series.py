"""Numbers → what the page draws: plots over time and boxes per shot, one value or null per frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.metrics.report import FlickerReport
from pipeline.qc.latents import Distances
from pipeline.qc.record import Record

Row = list[float | None]
MOST_POINTS = 8000
"""Points of a line; of longer clips each point stands for several frames."""
MOST_FACES = 4
"""Faces of a shot that get a line of their own."""


@dataclass(slots=True)
class Line:
    """One line of a plot."""

    label: str
    role: str
    """input, output, or face0 … face3: the colour."""
    values: Row
    """One per frame of the record."""


@dataclass(slots=True)
class Plot:
    """Lines over the frames of the clip."""

    key: str
    title: str
    unit: str
    lines: list[Line] = field(default_factory=list)
    pick: Callable[[Sequence[float]], float] = max
    """Of several frames, the value that one point shows."""
    dots: bool = False
    """Points, not a line."""
    scale: str = "zero"
    """Of the values: zero (from 0 on), tight (what there is), unit (0 to 1)."""
    note: str = ""
    """What a reader should know of the values."""

    @property
    def is_empty(self) -> bool:
        """Nothing was measured."""
        return not any(value is not None for line in self.lines for value in line.values)

    def data(self, step: int) -> dict[str, Any]:
        """For the page, with one point per `step` frames."""
        lines = [
            {"label": line.label, "role": line.role, "values": _thinned(line.values, step, self.pick)}
            for line in self.lines
        ]
        names = {name: getattr(self, name) for name in ("key", "title", "unit", "dots", "scale", "note")}
        return names | {"lines": lines}


@dataclass(frozen=True, slots=True)
class Box:
    """Five numbers of a shot: least, quartiles, most; for input and output."""

    shot: int
    first: int
    input: list[float]
    output: list[float]


def step_of(count: int) -> int:
    """Frames per point of a plot of `count` frames."""
    return max(math.ceil(count / MOST_POINTS), 1)


MEASURES = (
    ("change", "Frame difference", "input_change", "output_change", lambda v: v),
    ("warp", "Warp error", "input_warp", "output_warp", lambda v: math.sqrt(max(v, 0.0)) * 255),
    ("pop", "Pop (difference from both neighbours)", "input_pop", "output_pop", lambda v: v),
)
"""key, title, column of the input, column of the output, value → 8-bit levels."""


def measured_plots(record: Record, report: FlickerReport) -> list[Plot]:
    """What the metrics say of each frame: inside the rendered region where there is one, else of the rest."""
    plots = []
    for key, title, before, after, to_unit in MEASURES:
        values = _by_frame(report, (before, after))
        lines = [
            Line(role, role, [_unit(values[name].get(index), to_unit) for index in record.frames["index"]])
            for role, name in (("input", before), ("output", after))
        ]
        plots.append(Plot(key, title, "levels", lines))
    return [plot for plot in plots if not plot.is_empty]


def face_plots(record: Record, wplus: Distances | None = None) -> list[Plot]:
    """What is known of the faces: w+ distance, size, angle, score."""
    angles = [None if angle is None else math.degrees(angle) for angle in record.faces["angle"]]
    columns: list[tuple[str, str, str, Sequence[float | None]]] = [
        ("eyes", "Eye distance (sets the scale of the crop)", "px", record.faces["eye_distance"]),
        ("angle", "Crop angle", "°", angles),
        ("score", "Detector score", "", record.faces["score"]),
    ]
    if wplus is not None:
        columns.insert(0, ("wplus", "w+ distance to the shot's reference", "rms", wplus.values))
    slots = _slots(record)
    plots = []
    for key, title, unit, values in columns:
        plot = Plot(key, title, unit, _face_lines(record, slots, values))
        if key == "score":
            plot.pick, plot.dots, plot.scale = min, True, "unit"
        elif key == "wplus" and wplus is not None:
            plot.dots, plot.note = wplus.sparse, wplus.note
        else:
            plot.scale = "tight"
        plots.append(plot)
    return [plot for plot in plots if not plot.is_empty]


def boxes(record: Record, report: FlickerReport) -> list[dict[str, Any]]:
    """Per shot, how the values of each measure are spread."""
    found = []
    for key, title, before, after, to_unit in MEASURES[:2]:
        values = _by_frame(report, (before, after))
        shots = []
        for number, first in _first_frames(record):
            inside = [i for i, s in zip(record.frames["index"], record.frames["shot"], strict=True) if s == number]
            numbers = [_five(values[name], inside, to_unit) for name in (before, after)]
            if numbers[0] and numbers[1]:
                shots.append(asdict(Box(number, first, numbers[0], numbers[1])))
        if shots:
            found.append({"key": f"{key}_boxes", "title": f"{title} per shot", "unit": "levels", "shots": shots})
    return found


def _first_frames(record: Record) -> list[tuple[int, int]]:
    """(shot, its first frame), in order."""
    firsts: dict[int, int] = {}
    for index, shot in zip(record.frames["index"], record.frames["shot"], strict=True):
        firsts.setdefault(shot, index)
    return list(firsts.items())


def _by_frame(report: FlickerReport, names: Sequence[str]) -> dict[str, dict[int, float]]:
    """Column → frame → value; what is inside the rendered region is preferred."""
    found: dict[str, dict[int, float]] = {name: {} for name in names}
    for region in ("frame", "outside", "inside"):
        for series in report.series:
            if series.region == region:
                for frame, row in series.rows.items():
                    for name in names:
                        if name in row:
                            found[name][frame] = row[name]
    return found


def _five(values: dict[int, float], frames: Iterable[int], to_unit: Callable[[float], float]) -> list[float]:
    inside = [to_unit(values[frame]) for frame in frames if frame in values]
    return [_short(v) for v in np.percentile(inside, (0, 25, 50, 75, 100)).tolist()] if inside else []


def _slots(record: Record) -> list[int]:
    """Per row of faces, which line it belongs to: tracks of a shot are counted in order of their first frame."""
    shots = dict(zip(record.frames["index"], record.frames["shot"], strict=True))
    known: dict[int, dict[int, int]] = {}
    slots = []
    for index, track in zip(record.faces["index"], record.faces["track_id"], strict=True):
        tracks = known.setdefault(shots[index], {})
        slots.append(tracks.setdefault(track, len(tracks)))
    return slots


def _face_lines(record: Record, slots: Sequence[int], values: Sequence[float | None]) -> list[Line]:
    rows = {index: row for row, index in enumerate(record.frames["index"])}
    count = min(max(slots, default=0) + 1, MOST_FACES)
    lines = [Line("face" if count == 1 else f"face {n + 1}", f"face{n}", [None] * len(rows)) for n in range(count)]
    for index, slot, value in zip(record.faces["index"], slots, values, strict=True):
        if slot < count and value is not None:
            lines[slot].values[rows[index]] = _short(value)
    return lines


def _unit(value: float | None, to_unit: Callable[[float], float]) -> float | None:
    return None if value is None or not math.isfinite(value) else _short(to_unit(value))


def _short(value: float) -> float:
    """Four significant digits: more than a plot shows."""
    return float(f"{value:.4g}")


def _thinned(values: Row, step: int, pick: Callable[[Sequence[float]], float]) -> Row:
    if step == 1:
        return values
    parts = ([v for v in values[i : i + step] if v is not None] for i in range(0, len(values), step))
    return [pick(part) if part else None for part in parts]
