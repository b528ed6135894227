"""Values over time of one shot and region, and robust ways to find the frames that stand out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
FEWEST = 6
"""Values below which a median says nothing, so that nothing stands out."""

CLEARLY = 1.25
"""A value that stands out is at least this many times the usual one, however little the others scatter."""


@dataclass(slots=True)
class Series:
    """Everything measured in one region of one shot."""

    shot: int
    region: str
    """inside, outside or frame."""
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    """Input frame number → column → value; a pair's values stand at its later frame."""

    def put(self, frame: int, **values: float) -> None:
        """Add values to a frame's row."""
        self.rows.setdefault(frame, {}).update(values)

    def column(self, name: str) -> tuple[list[int], Values]:
        """Frame numbers that have this column, ascending, and its values."""
        frames = sorted(frame for frame, row in self.rows.items() if name in row)
        return frames, np.array([self.rows[frame][name] for frame in frames], np.float64)

    def columns(self, *names: str) -> tuple[list[int], list[Values]]:
        """Frame numbers that have all of these columns, ascending, and their values."""
        frames = sorted(frame for frame, row in self.rows.items() if all(name in row for name in names))
        return frames, [np.array([self.rows[frame][name] for frame in frames], np.float64) for name in names]


def outliers(
    values: Values, reference: Values | None, deviations: float, rise: Values | float, floor: float
) -> NDArray[np.bool_]:
    """Values far above what is usual in the shot.

    With a reference (the same measure of the input), the quotient value / max(reference, floor) is judged, so that a
    quick movement of the input excuses an equal one of the output. A value stands out when its quotient is more than
    `deviations` · 1.4826 · MAD above the median quotient, and itself more than `rise` above what the median predicts.
    """
    if len(values) < FEWEST:
        return np.zeros(len(values), np.bool_)
    base = np.ones(len(values)) if reference is None else np.maximum(reference, floor)
    quotients = values / base
    usual = float(np.median(quotients))
    spread = 1.4826 * float(np.median(np.abs(quotients - usual)))
    plain = (
        usual if reference is None else max(usual, 1.0)
    )  # a style that softens everything may still follow the input
    line = np.maximum(usual + deviations * spread, plain * CLEARLY)
    return (quotients > line) & (values > usual * base + rise)


def frames_between(flagged: Iterable[int], pairs: Collection[int]) -> list[int]:
    """Flagged pairs → the frames to blame.

    A pair is named by its later frame. A single flagged pair is a step: its later frame. A frame that is wrong alone
    shows in the pair before and the pair after it, so of a run of flagged pairs the last one's later frame is innocent,
    unless no pair follows. Of a flagged pair that follows none both frames are suspect.

    Args:
        flagged: later frames of the flagged pairs.
        pairs: later frames of all pairs of the shot.
    """
    blamed: set[int] = set()
    for first, last in runs(flagged):
        end = last if first == last or last + 1 not in pairs else last - 1
        begin = first if first - 1 in pairs else first - 1
        blamed.update(range(begin, end + 1))
    return sorted(blamed)


def peaks(flagged: Iterable[int], values: dict[int, float], share: float = 0.7) -> list[int]:
    """Flagged frames without those that are only the skirts of a higher neighbour (below `share` of it)."""
    names = sorted(flagged)
    return [n for n in names if values[n] >= share * max(values.get(n + step, 0.0) for step in (-1, 0, 1))]


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending whole numbers as [first, last] ranges."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found


def ranges_text(numbers: Iterable[int], most: int = 12) -> str:
    """E.g. ``3, 7–9``."""
    texts = [str(first) if first == last else f"{first}–{last}" for first, last in runs(numbers)]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
