"""The result as markdown, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GROUPS = {"network": "Network", "stage": "Stages, each on its own", "pipeline": "Whole pipeline"}


def markdown(result: Mapping[str, Any]) -> str:
    """Every table; times are medians per frame, ratios medians over pairs in one run."""
    lines = [_machine(result["machine"], result["setup"]), ""]
    lines += [
        f"Floors on {rate['device']}, {rate['precision']}: matmul {rate['matmul_gflops']:.0f} GFLOP/s, "
        f"copy {rate['copy_gb_per_s']:.1f} GB/s."
        for rate in result["rates"]
    ]
    for group, title in GROUPS.items():
        rows = [row for row in result["comparisons"] if row["group"] == group]
        if rows:
            lines += ["", f"### {title}", "", *_comparisons(rows)]
    for each in result.get("pipeline", ()):
        lines += [
            "",
            f"{each['device']}, {each['precision']}: the pipeline runs at {each['of_slowest']:.2f} of the rate of its "
            f"slowest thread's own work ({each['slowest_thread']}); the network's thread waited "
            f"{each['network_waited']:.1%} of the time.",
        ]
    if memory := result.get("peak_memory_gib"):
        lines += [
            "",
            f"Peak memory of the network, a process each: {memory['ours']:.2f} GiB, reference "
            f"{memory['reference']:.2f} GiB (× {memory['ratio']:.2f}).",
        ]
    if result.get("cost"):
        lines += ["", "### Cost of a clip", "", *_costs(result["cost"])]
    return "\n".join(lines)


def _machine(machine: Mapping[str, Any], setup: Mapping[str, Any]) -> str:
    memory = f", {machine['memory_gib']:.0f} GiB" if machine["memory_gib"] else ""
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"])
    compiled = ", compiled" if setup["compiled"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores{memory}{gpus}; {machine['system']}, Python {machine['python']}, "
        f"torch {machine['torch']}; model {setup['model']}, {setup['threads']} threads{compiled}."
    )


def _comparisons(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    heading = ["", "input", "device", "precision", "batch", "ms/frame", "fps", "reference", "ratio", "of the floor"]
    peaks = any(row["peak_gib"] is not None for row in rows)
    errors = any(row["max_error"] is not None for row in rows)
    yield from _table_head([*heading, *["peak"] * peaks, *["max error"] * errors])
    for row in rows:
        floor = "–" if row["floor_fraction"] is None else f"{row['floor_fraction']:.0%} {row['floor']}"
        cells = [
            row["name"],
            row["input"] if row["output"] == row["input"] else f"{row['input']} → {row['output']}",
            row["device"],
            row["precision"],
            str(row["batch"]),
            _ms(row["median_s"]),
            _fps(row["fps"]),
            f"{_ms(row['reference_s'])} ms",
            f"{row['ratio']:.2f}",
            floor,
        ]
        if peaks:
            cells.append("–" if row["peak_gib"] is None else f"{row['peak_gib']:.2f} GiB")
        if errors:
            cells.append("–" if row["max_error"] is None else f"{row['max_error']:.1e}")
        yield "| " + " | ".join(cells) + " |"


def _costs(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield from _table_head(["grows", "frame", "frames", "faces", "seconds", "ms/frame", "fps", "peak"])
    for row in rows:
        peak = "–" if row["peak_gib"] is None else f"{row['peak_gib']:.2f} GiB"
        cells = [row["grows"], f"{row['width']}×{row['height']}", str(row["frames"]), str(row["faces"])]
        cells += [f"{row['seconds']:.2f}", _ms(row["seconds_per_frame"]), _fps(row["fps"]), peak]
        yield "| " + " | ".join(cells) + " |"


def _table_head(names: Sequence[str]) -> Iterable[str]:
    yield "| " + " | ".join(names) + " |"
    yield "| " + " | ".join(["---"] * len(names)) + " |"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.{0 if seconds >= 1 else 1 if seconds >= 0.01 else 2}f}"


def _fps(fps: float) -> str:
    return f"{fps:.0f}" if fps >= 1000 else f"{fps:.3g}"
