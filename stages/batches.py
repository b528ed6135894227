"""Grouping for the network: frames into batches, windows of equal size together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items in order; the last may be shorter."""
    while group := list(islice(items, size)):
        yield group


def by_shape(shapes: Sequence[Hashable]) -> list[list[int]]:
    """Positions of equal shapes together, in order of first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for position, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(position)
    return list(groups.values())
