"""What a check found: the unit of the report, of the table and of JUnit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.metrics.series import ranges_text

Status = Literal["passed", "failed", "reported", "not measured"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One metric in one region of one shot."""

    metric: str
    status: Status
    """reported: measured, but the settings give it no limit."""
    shot: int | None = None
    """None: the whole clip."""
    region: str = "frame"
    value: float | None = None
    """Of the whole shot."""
    limit: float | None = None
    """For `value`."""
    unit: str = ""
    frames: tuple[int, ...] = ()
    """Input frames that are to blame."""
    note: str = ""
    """What a person should know: the worst single value, or why it was not measured."""

    @property
    def text(self) -> str:
        """One line for people."""
        where = "clip" if self.shot is None else f"shot {self.shot}, {self.region}"
        value = "" if self.value is None else f" {self.value:.3g}{f' {self.unit}' if self.unit else ''}"
        limit = "" if self.limit is None else f" (limit {self.limit:g})"
        frames = f"; frames {ranges_text(self.frames)}" if self.frames else ""
        return f"{self.metric} in {where}:{value}{limit}{frames}{f'; {self.note}' if self.note else ''}"
