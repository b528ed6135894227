"""Which batch sizes a compiled part knows, so that a smaller batch need not be compiled anew."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

MOST_SIZES = 8
"""Input sizes that PyTorch compiles for one part; what comes after runs uncompiled."""


class Sizes:
    """The input sizes of one part: rows of a batch, under everything else that its code depends on."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, set[int]] = {}
        self._made = 0

    def fit(self, kind: Hashable, count: int) -> int:
        """Rows to run `count` samples with: the fewest that are known and suffice, else `count` itself."""
        return min((rows for rows in self._rows.get(kind, ()) if rows >= count), default=count)

    def add(self, kind: Hashable, rows: int) -> bool:
        """Note a size; True where it is new, and compiled by its first call."""
        known = self._rows.setdefault(kind, set())
        new = rows not in known
        known.add(rows)
        self._made += new
        return new and self._made <= MOST_SIZES

    def forget(self, kind: Hashable, rows: int) -> None:
        """A batch of so many rows failed: smaller ones must not be widened to it again."""
        self._rows.get(kind, set()).discard(rows)

    @property
    def spent(self) -> bool:
        """True once more sizes came than are compiled."""
        return self._made > MOST_SIZES


def widen(tensor: Tensor, rows: int) -> Tensor:
    """[N, …] → [rows, …]: the last sample again and again; its results are thrown away."""
    count = tensor.shape[0]
    return tensor if count == rows else torch.cat([tensor, tensor[-1:].expand(rows - count, *tensor.shape[1:])])
