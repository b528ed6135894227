"""Times in pairs, peaks of memory, and what the machine could do at best."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from models import memory


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds of two ways to do one thing, measured in turns in one run."""

    reference_s: tuple[float, ...]
    ours_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over the pairs of reference / ours: what slows the machine for a while slows both of a pair."""
        return statistics.median(a / b for a, b in zip(self.reference_s, self.ours_s, strict=True))


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Wall-clock time of one call, the device's queue included."""
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def in_pairs(reference: Callable[[], object], ours: Callable[[], object], repeat: int, device: torch.device) -> Pairs:
    """Run both once unmeasured, then `repeat` times in turns."""
    for call in (reference, ours):
        seconds(call, device)
    rows = [(seconds(reference, device), seconds(ours, device)) for _ in range(repeat)]
    return Pairs(tuple(row[0] for row in rows), tuple(row[1] for row in rows))


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int | None = None) -> float:
    """Floating-point operations per second of a large product of matrices, the best of five.

    Args:
        size: rows and columns; None: 2048 on a CPU, 8192 on a GPU.
    """
    side = size or (2048 if device.type == "cpu" else 8192)
    a = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / min(seconds(lambda: a @ a, device) for _ in range(5))


def copy_rate(device: torch.device, numbers: int = 1 << 25) -> float:
    """Bytes per second read and written by a large copy, the best of five."""
    a = torch.ones(numbers, device=device)
    b = torch.empty_like(a)
    return 8 * numbers / min(seconds(lambda: b.copy_(a), device) for _ in range(5))


def peak_memory(work: Callable[..., None], *arguments: object) -> float:
    """GiB of resident memory at most, of a fresh process that does `work`, a function that can be imported."""
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, work, arguments))
    child.start()
    sender.close()
    try:
        return float(receiver.recv())
    finally:
        child.join()


def _child(sender: multiprocessing.connection.Connection, work: Callable[..., None], arguments: tuple) -> None:
    work(*arguments)
    sender.send(memory.peak_memory() / 2**30)
