"""Where the time goes: one meter per stage, written by the stage's own thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class StageMeter:
    """Counts what a stage did and how long it took."""

    name: str
    upstream: StageMeter | None
    items: int = 0
    """Items that the stage has yielded."""
    delivered: int = 0
    """Items that the consumer has taken; smaller than `items` by what lies in the queue."""
    spent_s: float = 0.0
    """Seconds inside the stage, including what its upstream took on the same thread."""
    waited_s: float = 0.0
    """Seconds that the consumer waited for this stage's queue; 0 where there is none."""
    buffered: int = 0
    """Depth of the queue behind the stage; 0: it runs on its consumer's thread."""

    @property
    def position(self) -> int:
        """Number of the newest item that went into the stage (or, for the source, that is being made), from 0."""
        return self.items if self.upstream is None else max(self.upstream.delivered - 1, 0)

    @property
    def busy_s(self) -> float:
        """Seconds of the stage's own work: without its upstream's, and without waiting for a queue."""
        if self.upstream is None:
            return self.spent_s
        return max(self.spent_s - (self.upstream.waited_s if self.upstream.buffered else self.upstream.spent_s), 0.0)

    @property
    def fps(self) -> float:
        """Items per second of the stage's own work."""
        return self.items / self.busy_s if self.busy_s > 0 else 0.0


def side_by_side(lanes: Sequence[Sequence[StageMeter]]) -> list[StageMeter]:
    """One meter per stage for equal stages on several threads: all their items, in the time that they took on average.

    The first of each lane, the wait for its turn, is left out.
    """
    return [
        StageMeter(
            together[0].name,
            None,
            items=sum(meter.items for meter in together),
            spent_s=sum(meter.busy_s for meter in together) / len(together),
        )
        for together in zip(*(lane[1:] for lane in lanes), strict=True)
    ]


def thread_rates(meters: list[StageMeter]) -> list[tuple[str, float]]:
    """(stages, items per busy second) of each thread: what the pipeline could reach if that thread never waited."""
    rates: list[tuple[str, float]] = []
    group: list[StageMeter] = []
    for meter in meters:
        group.append(meter)
        if meter.buffered or meter is meters[-1]:
            busy = sum(m.busy_s for m in group)
            rates.append(("+".join(m.name for m in group), group[-1].items / busy if busy > 0 else 0.0))
            group = []
    return rates
