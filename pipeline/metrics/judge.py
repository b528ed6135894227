"""Series → verdicts: sums them up per shot, compares with the limits and names the frames that stand out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.config import Check, FlickerConfig
from pipeline.metrics.meter import Measured
from pipeline.metrics.series import Series, frames_between, outliers, peaks, runs
from pipeline.metrics.verdict import Status, Verdict

Values = NDArray[np.float64]


class _Rule(NamedTuple):
    metric: str
    output: str
    """Column of the output."""
    input: str | None
    """The same of the input; None: the metric has no such partner."""
    ratio: bool
    """The shot's value is output over input, not the output's mean."""
    to_unit: Callable[[Values], Values]
    """From the column to the unit of single values."""
    floor: float
    """Of the input's values, in that unit: less counts as no change."""
    unit: str
    """Of single values."""
    between: bool
    """Values belong to pairs of neighbours, not to frames."""
    pace: str | None = None
    """Column of the input, an energy: a frame must rise by as much more as its root there is above the usual one."""


def _same(values: Values) -> Values:
    return values


def _root_levels(values: Values) -> Values:
    return np.sqrt(values) * 255


RULES = (
    _Rule("frame_difference_ratio", "output_change", "input_change", True, _same, 1.0, "", True),
    _Rule("frame_difference_error", "change_error", "input_change", False, _same, 1.0, "levels", True),
    _Rule("warping_error", "output_warp", "input_warp", True, _root_levels, 1.0, "levels", True),
    _Rule("high_frequency_energy", "output_energy", "input_energy", True, np.sqrt, 1.0, "levels", False),
    _Rule("pop", "output_pop", "input_pop", False, _same, 0.5, "levels", False, "input_energy"),
    _Rule("tint", "output_tint", "input_tint", False, _same, 0.3, "levels", False),
    _Rule("shake", "shake", None, False, _same, 0.0, "px", True),
    _Rule("color_offset", "color_offset", None, False, _same, 0.0, "levels", True),
    _Rule("landmark_jitter", "output_jitter", "input_jitter", True, _same, 0.002, "eye distances", False),
)
LEAST_CHANGE = 0.25
"""In levels (and squared for energies): an input that changes less stands still, and a ratio to it says nothing."""


def judge(measured: Measured, config: FlickerConfig, lossless: bool) -> list[Verdict]:
    """Every verdict on pixels and landmarks, shot by shot."""
    found = [*_counts(measured, config)]
    for series in measured.series:
        if series.region != "frame":
            found += _still(series, config, lossless)
            found += _frozen(series, config)
        else:
            found += _timing(series, config)
        for rule in RULES:
            verdict = _by_rule(series, rule, getattr(config, rule.metric))
            if verdict is not None:
                found.append(verdict)
    return found


def _counts(measured: Measured, config: FlickerConfig) -> Iterator[Verdict]:
    allowed = config.timing.allowed
    for metric, frames in (("missing_frames", measured.missing), ("extra_frames", measured.extra)):
        status: Status = "failed" if len(frames) > allowed else "passed"
        note = "numbers of output frames" if frames and metric == "extra_frames" else ""
        yield Verdict(metric, status, value=len(frames), limit=allowed, unit="frames", frames=tuple(frames), note=note)


def _still(series: Series, config: FlickerConfig, lossless: bool) -> Iterator[Verdict]:
    frames, values = series.column("static_max" if lossless else "static_mean")
    if not frames:
        return
    limit = config.static.lossless if lossless else config.static.lossy
    bad = tuple(frame for frame, value in zip(frames, values, strict=True) if value > limit)
    note = f"{len(frames)} repeated input frames, " + ("largest difference" if lossless else "mean of the worst")
    worst = float(values.max())
    yield Verdict(
        "static", "failed" if bad else "passed", series.shot, series.region, worst, limit, "levels", bad, note
    )


def _frozen(series: Series, config: FlickerConfig) -> Iterator[Verdict]:
    frames, (moved, drawn) = series.columns("input_motion", "output_motion")
    if not frames or moved.sum() < LEAST_CHANGE * len(frames):
        return
    usual = float(np.median(drawn / (moved + 1.0)))
    still = (moved > config.frozen.moving) & (drawn < config.frozen.share * usual * moved)
    flagged = [frame for frame, bad in zip(frames, still, strict=True) if bad]
    yield Verdict(
        "frozen", "failed" if flagged else "passed", series.shot, series.region, float(len(flagged)), 0.0, "frames",
        tuple(flagged), "the output stands still while the input moves" if flagged else "",
    )  # fmt: skip


def _timing(series: Series, config: FlickerConfig) -> Iterator[Verdict]:
    """Runs of frames that look like a neighbour of their input frame, each long or clear enough to be believed.

    The first frame of a run is to blame; those after it only follow.
    """
    blamed: list[tuple[int, int]] = []
    worst, notes = 0.0, []
    for step in (s for n in range(1, config.timing.reach + 1) for s in (-n, n)):
        frames, values = series.column(f"lag{step:+d}")
        ahead = {frame: float(value) for frame, value in zip(frames, values, strict=True) if value > 0}
        for first, last in runs(ahead):
            gain = sum(ahead[n] for n in range(first, last + 1)) / max(last - first + 1, 3)
            if gain > config.timing.evidence and not any(a <= first <= b for a, b in blamed):
                blamed.append((first, last))
                when = f"{abs(step)} frame{'s' * (abs(step) > 1)} {'later' if step > 0 else 'earlier'}"
                notes.append(f"frames {first} to {last} show the input of {when}")
            worst = max(worst, gain)
    if any(name.startswith("lag") for row in series.rows.values() for name in row):
        yield Verdict(
            "timing", "failed" if blamed else "passed", series.shot, "frame", worst, config.timing.evidence, "",
            tuple(sorted(first for first, _ in blamed)), "; ".join(notes),
        )  # fmt: skip


def _pace(energy: Values) -> Values:
    """How many times each root is above the usual one, at least 1: where the input jerks, its flow is less exact."""
    jerk = np.sqrt(energy)
    return np.maximum(jerk / max(float(np.median(jerk)), LEAST_CHANGE), 1.0)


def _by_rule(series: Series, rule: _Rule, check: Check) -> Verdict | None:
    names = [name for name in (rule.output, rule.input, rule.pace) if name is not None]
    frames, columns = series.columns(*names)
    if not frames:
        return None
    single = rule.to_unit(columns[0])
    reference = rule.to_unit(columns[1]) if rule.input is not None else None
    value = float(single.mean())
    measurable = True
    if rule.ratio:
        bottom = float(columns[1].sum())
        measurable = bool(np.mean(rule.to_unit(columns[1])) >= LEAST_CHANGE * rule.floor)
        value = float(columns[0].sum()) / max(bottom, 1e-12)
    flagged = np.zeros(len(frames), np.bool_)
    if check.frame is not None:
        flagged |= single > check.frame
    if check.outlier is not None:
        rise = check.rise * (_pace(columns[-1]) if rule.pace is not None else np.ones(len(frames)))
        flagged |= outliers(single, reference, check.outlier, rise, rule.floor)
    numbers = [frame for frame, bad in zip(frames, flagged, strict=True) if bad]
    if rule.between:
        blamed = frames_between(numbers, set(frames))
    else:
        blamed = peaks(numbers, dict(zip(frames, single.tolist(), strict=True)))
    over = measurable and check.mean is not None and value > check.mean
    if over and rule.ratio and reference is not None:  # a ratio of two errors that nobody sees is no fault
        over = bool(np.sqrt(np.square(single).mean()) > np.sqrt(np.square(reference).mean()) + check.rise)
    status: Status = "failed" if over or blamed else "passed"
    if status == "passed" and check.mean is None and check.frame is None and check.outlier is None:
        status = "reported"
    worst = int(np.argmax(single))
    note = f"worst single value {single[worst]:.3g}{' ' + rule.unit if rule.unit else ''} at frame {frames[worst]}"
    if not measurable:
        note = f"the input hardly changes, so a ratio says nothing; {note}"
    return Verdict(
        rule.metric, status, series.shot, series.region, value if measurable else None, check.mean,
        "" if rule.ratio else rule.unit, tuple(blamed), note,
    )  # fmt: skip
