"""Which frames a person should look at first: those that the metrics name, then those that deviate most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.metrics.config import Check, FlickerConfig
from pipeline.metrics.judge import RULES
from pipeline.metrics.report import FlickerReport
from pipeline.metrics.series import FEWEST, Values

USUAL_OUTLIER = 8.0
"""Robust deviations that a value at its limit counts as, where the settings name a limit instead."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A frame worth a look."""

    frame: int
    deviation: float
    """Robust deviations (1.4826 · MAD) above what is usual in its shot, in the worst metric; 0: none is above."""
    metric: str
    """The metric with that deviation."""
    failed: tuple[str, ...] = ()
    """Metrics past their limits that name this frame."""


def suspects(report: FlickerReport, config: FlickerConfig, count: int = 10) -> list[Suspect]:
    """Up to `count` frames, the worst first; frames named by failed metrics come before those that only deviate.

    A single wrong frame shows in the frames beside it as well, so a neighbour of a frame in the list is left out,
    unless a failed metric names it too.
    """
    highest: dict[int, tuple[float, str]] = {}
    for frame, deviation, metric in _deviations(report, config):
        highest[frame] = max(highest.get(frame, (0.0, "")), (deviation, metric))
    named = report.bad_frames
    found = [
        Suspect(frame, *highest.get(frame, (0.0, "")), tuple(named.get(frame, ())))
        for frame in sorted(highest.keys() | named.keys())
    ]
    found.sort(key=lambda suspect: (-len(suspect.failed), -suspect.deviation, suspect.frame))
    chosen: list[Suspect] = []
    for suspect in found:
        beside = any(abs(suspect.frame - other.frame) == 1 for other in chosen)
        if len(chosen) < count and (suspect.failed or not beside):
            chosen.append(suspect)
    return chosen


def _deviations(report: FlickerReport, config: FlickerConfig) -> Iterator[tuple[int, float, str]]:
    for series in report.series:
        for rule in RULES:
            names = [rule.output] if rule.input is None else [rule.output, rule.input]
            frames, columns = series.columns(*names)
            if len(frames) < FEWEST:
                continue
            values = rule.to_unit(columns[0])
            base = np.ones(len(values)) if rule.input is None else np.maximum(rule.to_unit(columns[1]), rule.floor)
            for frame, deviation in zip(frames, _above(values, base, getattr(config, rule.metric)), strict=True):
                if deviation > 0:
                    yield frame, deviation, rule.metric


def _above(values: Values, base: Values, check: Check) -> list[float]:
    """Deviations above what is usual, in the terms of `metrics.series.outliers`.

    The spread has a floor, so that what nobody sees does not stand out: a value `rise` above the usual one counts as
    just at its limit.
    """
    if check.outlier is not None:
        visible = check.rise / check.outlier
    elif check.frame is not None:
        visible = check.frame / USUAL_OUTLIER
    else:
        return [0.0] * len(values)
    quotients = values / base
    usual = float(np.median(quotients))
    spread = 1.4826 * float(np.median(np.abs(quotients - usual)))
    return ((values - usual * base) / np.maximum(spread * base, max(visible, 1e-9))).tolist()
