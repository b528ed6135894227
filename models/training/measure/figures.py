"""What is measured, in one form: named numbers with their limits, and tables; as JSON and as Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One number."""

    name: str
    value: float
    unit: str = ""
    least: float | None = None
    """Limits, where there are any."""
    most: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Literal["", "pass", "FAIL"]:
        """Against the limits; empty where there are none."""
        if self.least is None and self.most is None:
            return ""
        low = -float("inf") if self.least is None else self.least
        high = float("inf") if self.most is None else self.most
        return "pass" if low <= self.value <= high else "FAIL"

    @property
    def limit(self) -> str:
        """The limits in words."""
        parts = [f"{sign} {value:g}" for sign, value in (("≥", self.least), ("≤", self.most)) if value is not None]
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def markdown(self) -> str:
        """As it stands in a card."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return f"{self.title}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


@dataclass(slots=True)
class Report:
    """All about one weight file."""

    model: str
    facts: dict[str, Any]
    """What was measured on what: sha256, samples, held-out heads, …"""
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str = "", **more: Any) -> None:
        """One figure."""
        self.figures.append(Figure(name, float(value), unit, **more))

    def to_dict(self) -> dict[str, Any]:
        """Plain values. Numbers have six significant digits."""
        figures = {
            figure.name: {
                key: value
                for key, value in (asdict(figure) | {"value": float(f"{figure.value:.6g}")}).items()
                if key != "name" and value not in ("", None)
            }
            | ({"verdict": figure.verdict} if figure.verdict else {})
            for figure in self.figures
        }
        tables = [asdict(table) for table in self.tables]
        return {"model": self.model, **self.facts, "figures": figures, "tables": tables}

    def markdown(self) -> str:
        """Tables to paste into a card."""
        rows = [
            (f.name, f"{_short(f.value)} {f.unit}".strip(), f.limit, f.verdict, f.note)
            for f in self.figures
        ]  # fmt: skip
        main = Table(f"**{self.model}**, {self.facts['heads']}", ("", "value", "limit", "", "note"), rows)
        return "\n".join(table.markdown() for table in (main, *self.tables))

    def write(self, path: Path) -> None:
        """JSON, complete or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
