"""One stream over several equal chains of stages, each on a thread of its own, in order again behind them."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from pipeline.flow import prefetch

A = TypeVar("A")
B = TypeVar("B")
Chain = Callable[[Generator[A, None, None]], Generator[B, None, None]]
"""Stages that give one item for each that they take, in order."""
_IN_FLIGHT = 2
"""Groups that a chain may hold: one that it works on, one that waits."""


def spread(items: Generator[A, None, None], chains: Sequence[Chain[A, B]], group: int) -> Generator[B, None, None]:
    """Deal groups of `group` items to the chains in turn and yield the results in the order of the items.

    What an item becomes must not depend on its neighbours in the stream: which chain sees which item depends on
    nothing but `group` and the number of chains. At most two groups per chain are held. An error of any chain or of
    `items` is raised here; leaving early stops and joins every thread and closes every chain.
    """
    inboxes: list[queue.SimpleQueue[tuple[Any, bool]]] = [queue.SimpleQueue() for _ in chains]
    streams = [prefetch(chain(_from(inbox)), group * _IN_FLIGHT) for chain, inbox in zip(chains, inboxes, strict=True)]
    turns: deque[tuple[int, int]] = deque()
    try:
        with contextlib.closing(items):
            turn = 0
            while part := list(islice(items, group)):
                for item in part:
                    inboxes[turn].put((item, False))
                turns.append((turn, len(part)))
                turn = (turn + 1) % len(chains)
                if len(turns) == _IN_FLIGHT * len(chains):
                    yield from _take(streams, *turns.popleft())
        _end(inboxes)
        while turns:
            yield from _take(streams, *turns.popleft())
    finally:
        _end(inboxes)  # a chain that waits for an item would never be joined
        for stream in streams:
            stream.close()


def _from(inbox: queue.SimpleQueue[tuple[A, bool]]) -> Generator[A, None, None]:
    while True:
        item, end = inbox.get()
        if end:
            return
        yield item


def _take(streams: Sequence[Generator[B, None, None]], turn: int, count: int) -> Iterator[B]:
    for _ in range(count):
        yield next(streams[turn])


def _end(inboxes: Sequence[queue.SimpleQueue[tuple[Any, bool]]]) -> None:
    for inbox in inboxes:
        inbox.put((None, True))
