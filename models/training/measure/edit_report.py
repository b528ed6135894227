"""Editing directions: figures and the cross-table of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.styleganex import StyleGANEX
from models.training.measure.edits import READ_AS, STRENGTHS, UNITS, EditMeter, Sweep, change_of
from models.training.measure.figures import Report, Table
from models.training.measure.held_out import Head, Picture
from models.training.measure.readers import ATTRIBUTES, MIN_R2, AttributeReader, Trust
from models.training.samples import Samples


def add_edits(
    report: Report,
    net: StyleGANEX,
    names: Sequence[str],
    heads: Sequence[Head],
    plain: Sequence[Picture],
    samples: Samples,
    known: Sequence[int],
    units: Mapping[str, float],
) -> None:
    """What each of the directions `names` does.

    Args:
        plain: the heads at strength 0.
        samples, known: what the attribute reader learns from.
        units: see `Material.units`.
    """
    reader = AttributeReader(samples, known)
    for name in ATTRIBUTES:
        trust = reader.trust[name]
        note = f"MAE {trust.mae:.2f} {UNITS[name]}, cross-validated on {trust.scenes} scenes"
        report.add(f"R² of the {name} reader", trust.r2, least=MIN_R2, note=note)
    meter = EditMeter(reader, heads)
    sweeps = {name: meter.sweep(net, names, name, plain) for name in names}
    for sweep in sweeps.values():
        _add_verdict(report, sweep, reader.trust)
    report.tables.append(_means(sweeps))
    strengths = {name: [_strength(head, name, units.get(name)) for head in heads] for name in names}
    report.tables.append(_cross(meter, sweeps, strengths))
    for name in names:
        found = meter.likeness(net, names, name, strengths[name], plain)
        if found is not None:
            note = f"against the renderer's own edit of {found.heads} heads; 1 is all of it"
            report.add(f"{name}: share of the true change", found.share, note=note)
            report.add(f"{name}: cosine to the true change", found.cosine, note="1: nothing else changes")


def _add_verdict(report: Report, sweep: Sweep, trust: Mapping[str, Trust]) -> None:
    reading = READ_AS.get(sweep.direction)
    if reading is None:
        return
    if reading in trust and not trust[reading].sufficient:
        note = f"not judged: the reader's R² {trust[reading].r2:.2f} is below {MIN_R2}"
        report.add(f"{sweep.direction}: monotone", float("nan"), note=note)
        return
    means = ", ".join(f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" for value in sweep.means(reading))
    note = f"{reading} at {STRENGTHS[0]:g} … {STRENGTHS[-1]:g}: {means} {UNITS[reading]}"
    report.add(f"{sweep.direction}: monotone", float(sweep.monotone()), "(1: yes)", least=1.0, note=note)
    report.add(f"{sweep.direction}: heads on which it rises from end to end", 100 * sweep.share_rising(), "%")


def _means(sweeps: Mapping[str, Sweep]) -> Table:
    rows = []
    for name, sweep in sweeps.items():
        reading = READ_AS.get(name)
        if reading is not None:
            rows.append((f"{name} ({reading}, {UNITS[reading]})", *(f"{v:.2f}" for v in sweep.means(reading))))
    return Table("Mean reading over the strengths:", ("direction", *(f"{s:+g}" for s in STRENGTHS)), rows)


def _cross(meter: EditMeter, sweeps: Mapping[str, Sweep], strengths: Mapping[str, Sequence[float]]) -> Table:
    """Change of every reading from strength 0 on; below each the renderer's own edit by the same instruments.

    Args:
        strengths: of the renderer's edit of each head; 0 where it has none.
    """
    rows, zero = [], STRENGTHS.index(0.0)
    for name, sweep in sweeps.items():
        for place, strength in enumerate(STRENGTHS):
            if strength > 0:
                change = {key: _mean(row[:, place] - row[:, zero]) for key, row in sweep.readings.items()}
                rows.append((f"{name} {strength:+g}", *(f"{change[key]:+.2f}" for key in UNITS)))
        true, count = meter.true_change(name)
        if count:
            usual = np.mean(np.abs([strength for strength in strengths[name] if strength]))
            label = f"renderer's {name}, {usual:+.2g} ({count})"
            rows.append((label, *(f"{true[key]:+.2f}" for key in UNITS)))
    header = ("edit", *(f"{name} ({unit})" for name, unit in UNITS.items()))
    return Table("What each edit changes, mean over the heads (the renderer's at its mean strength):", header, rows)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _strength(head: Head, edit: str, unit: float | None) -> float:
    """From the head to its variant; without a known unit its sign."""
    if edit not in head.attributes:
        return 0.0
    change = change_of(head, edit)
    return change / unit if unit else float(np.sign(change))
