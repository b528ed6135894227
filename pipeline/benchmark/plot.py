"""The result as one SVG picture: stages against the reference, and what makes a clip dearer. No plotting library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

OURS, REFERENCE, INK, FAINT = "#1f6f8b", "#c9c2b6", "#2b2b2b", "#e4e1db"
WIDTH, PANEL, GAP, BAR = 900, 220, 46, 13


def svg(result: Mapping[str, Any]) -> str:
    """A picture 900 units wide, as text."""
    machine = result["machine"]
    name = machine["gpus"][0] if machine["gpus"] else machine["cpu"]
    title = f"{result['setup']['model']} on {name}, {result['setup']['threads']} threads, torch {machine['torch']}"
    parts = [_text(20, 26, title, size=15, weight="bold")]
    top = 60
    rows = [row for row in result["comparisons"] if row["group"] != "stage" or row["median_s"] >= 2e-5]
    first = {key: rows[0][key] for key in ("device", "precision")} if rows else {}
    rows = [row for row in rows if row["device"] == first["device"] and row["precision"] == first["precision"]]
    seen: set[str] = set()
    rows = [row for row in rows if not (row["name"] in seen or seen.add(row["name"]))]
    if rows:
        parts += _bars(rows, top)
        top += 30 + len(rows) * (2 * BAR + 9) + GAP
    costs: Sequence[Mapping[str, Any]] = result.get("cost", ())
    panels = [(grows, [row for row in costs if row["grows"] == grows]) for grows in ("length", "frame size", "faces")]
    if costs:
        for k, (grows, points) in enumerate(panel for panel in panels if panel[1]):
            parts += _line(grows, points, 20 + k * (WIDTH - 20) / 3, top)
        top += PANEL + GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:g}" width="{WIDTH}" height="{top:g}" '
        f'font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _bars(rows: Sequence[Mapping[str, Any]], top: float) -> list[str]:
    """Milliseconds per frame, ours over the reference, one pair per row."""
    left, room = 130, WIDTH - 130 - 170
    longest = max(max(row["median_s"], row["reference_s"]) for row in rows)
    parts = [
        _text(20, top, "milliseconds per frame", weight="bold"),
        _rect(left + 110, top - 9, 10, 10, OURS),
        _text(left + 125, top, "ours (times faster)"),
        _rect(left + 250, top - 9, 10, 10, REFERENCE),
        _text(left + 265, top, "the plain formulation, one thread of stages"),
    ]
    y = top + 16
    for row in rows:
        parts.append(_text(left - 8, y + BAR + 3, row["name"], anchor="end"))
        for value, color, note in (
            (row["median_s"], OURS, f" ({row['ratio']:.2f}×)"),
            (row["reference_s"], REFERENCE, ""),
        ):
            width = max(value / longest * room, 1)
            parts += [_rect(left, y, width, BAR - 1, color)]
            parts.append(_text(left + width + 6, y + BAR - 3, f"{_number(value * 1e3)}{note}", size=11))
            y += BAR
        y += 9
    return parts


def _line(grows: str, rows: Sequence[Mapping[str, Any]], left: float, top: float) -> list[str]:
    """ms/frame against what grows; against the length also the peak of memory, where it was measured."""
    values = {"length": "frames", "faces": "faces"}
    xs = [row["width"] * row["height"] / 1e6 if grows == "frame size" else row[values[grows]] for row in rows]
    label = {"length": "frames in the clip", "frame size": "megapixels of a frame", "faces": "faces"}[grows]
    parts = [_text(left, top, f"ms/frame by {grows}", weight="bold")]
    parts += _curve(xs, [row["seconds_per_frame"] * 1e3 for row in rows], left, top, OURS, _number)
    if all(row["peak_gib"] is not None for row in rows):
        parts += _curve(xs, [row["peak_gib"] for row in rows], left, top, INK, "{:.2f} GiB".format, dashed=True)
    parts.append(_text(left + 120, top + PANEL + 4, label, anchor="middle", size=11))
    return parts


def _curve(
    xs: Sequence[float],
    ys: Sequence[float],
    left: float,
    top: float,
    color: str,
    form: Callable[[float], str],
    *,
    dashed: bool = False,
) -> list[str]:
    """A line through the points; both axes begin at 0, so that flat looks flat. A dashed one lies lower."""
    width, height = 225.0, PANEL - 45.0
    base = top + 15 + height
    ceiling = max(ys) * (2.4 if dashed else 1.25)
    points = [
        (left + 10 + x / max(xs) * (width - 30), base - y / ceiling * height) for x, y in zip(xs, ys, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    parts = [
        f'<line x1="{left:.1f}" y1="{base:.1f}" x2="{left + width:.1f}" y2="{base:.1f}" stroke="{FAINT}"/>',
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"{dash}/>',
    ]
    for k, ((x, y), own, value) in enumerate(zip(points, xs, ys, strict=True)):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>')
        if not dashed:
            parts.append(_text(x, base + 14, f"{own:.3g}", anchor="middle", size=10))
        if not dashed or k in (0, len(points) - 1):
            parts.append(_text(x, y - 8, form(value), anchor="middle", size=10))
    return parts


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'
