"""How much memory tensors take while something runs: exact, and the same on every machine."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the storages that operations make, for as long as a tensor on them is alive.

    Attributes:
        now, peak: bytes.
        limit: an operation that would make `now` larger raises as an allocator does; None: no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.limit = limit
        self._tensors: Counter[int] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.numel():
                self._count(leaf, leaf.untyped_storage().data_ptr() in given)
        return result

    def _count(self, tensor: Tensor, known: bool) -> None:
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if known and key not in self._tensors:
            return  # of a tensor that was there before
        if key not in self._tensors:
            if self.limit is not None and self.now + size > self.limit:
                raise torch.OutOfMemoryError(f"out of memory: tried to allocate {size} bytes")
            self.now += size
            self.peak = max(self.peak, self.now)
        self._tensors[key] += 1
        weakref.finalize(tensor, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._tensors[key] -= 1
        if not self._tensors[key]:
            del self._tensors[key]
            self.now -= size


@contextmanager
def live_bytes(limit: int | None = None) -> Iterator[LiveBytes]:
    """Within: what operations make is counted."""
    with LiveBytes(limit) as meter:
        yield meter
