"""The outcome of a comparison: verdicts and series, as an object, as JSON and as a table."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.metrics.series import Series, ranges_text
from pipeline.metrics.verdict import Verdict


@dataclass(slots=True)
class FlickerReport:
    """What `measure` returns."""

    source: str
    result: str
    frames: int = 0
    """Input frames compared."""
    shots: list[int] = field(default_factory=list)
    """First input frame of each shot."""
    matte: str = ""
    """Where inside and outside came from."""
    verdicts: list[Verdict] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    seconds: float = 0.0
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[Verdict]:
        """Verdicts past their limits."""
        return [verdict for verdict in self.verdicts if verdict.status == "failed"]

    @property
    def passed(self) -> bool:
        """No verdict failed."""
        return not self.failures

    @property
    def bad_frames(self) -> dict[int, list[str]]:
        """Input frame → the metrics that name it, the likeliest cause first.

        Frames that are missing, or from which on the wrong moment is shown, explain what follows them; then the frames
        that most metrics name.
        """
        named: dict[int, list[str]] = {}
        for verdict in self.failures:
            for frame in verdict.frames if verdict.metric != "extra_frames" else ():
                metrics = named.setdefault(frame, [])
                if verdict.metric not in metrics:
                    metrics.append(verdict.metric)
        return dict(sorted(named.items(), key=_rank))

    def to_json(self) -> str:
        """Everything, as JSON text. Series: per shot and region, one list per column, null where not measured."""
        data = {
            "input": self.source,
            "output": self.result,
            "passed": self.passed,
            "frames": self.frames,
            "shots": self.shots,
            "matte": self.matte,
            "seconds": round(self.seconds, 3),
            "bad_frames": {str(frame): metrics for frame, metrics in self.bad_frames.items()},
            "verdicts": [_rounded(asdict(verdict)) for verdict in self.verdicts],
            "series": [_series(series) for series in self.series],
            "config": self.config,
        }
        return json.dumps(data, indent=None, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def table(self) -> str:
        """A table for a terminal, then what failed and which frames are to blame."""
        head = ("metric", "shot", "region", "value", "limit", "")
        rows = [head, *(_row(verdict) for verdict in self.verdicts)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        right = (False, True, False, True, True, False)
        lines = [
            "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        lines += ["", f"{self.frames} frames in {self.seconds:.1f} s; inside and outside by {self.matte}"]
        for verdict in self.verdicts:
            if verdict.status == "failed":
                lines.append(f"FAILED: {verdict.text}")
        lines += [f"frame {n}: {', '.join(metrics)}" for n, metrics in list(self.bad_frames.items())[:10]]
        lines.append(
            "passed" if self.passed else f"failed: frames {ranges_text(self.bad_frames) or 'none in particular'}"
        )
        return "\n".join(lines)


def _rank(named: tuple[int, list[str]]) -> tuple[bool, int, int]:
    frame, metrics = named
    return not {"missing_frames", "timing"} & set(metrics), -len(metrics), frame


def _row(verdict: Verdict) -> tuple[str, ...]:
    value = "" if verdict.value is None else f"{verdict.value:.3g}"
    limit = "" if verdict.limit is None else f"{verdict.limit:g}"
    shot = "clip" if verdict.shot is None else str(verdict.shot)
    mark = verdict.status if verdict.status != "not measured" else f"not measured: {verdict.note}"
    return verdict.metric, shot, verdict.region, f"{value} {verdict.unit}".strip() if value else "", limit, mark


def _series(series: Series) -> dict[str, Any]:
    frames = sorted(series.rows)
    names = sorted({name for row in series.rows.values() for name in row})
    columns = {name: [_number(series.rows[frame].get(name)) for frame in frames] for name in names}
    return {"shot": series.shot, "region": series.region, "frames": frames, "columns": columns}


def _rounded(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: _number(value) if isinstance(value, float) else value for key, value in entry.items()}


def _number(value: float | None) -> float | None:
    """Six significant digits; JSON knows no infinity."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
