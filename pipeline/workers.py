"""How many frames are in the network at once on a CPU, and how many threads each of them has.

A small network's layers are too short for several threads: waking them costs as much as they save, and the last bits
of a sum depend on their number. So each frame has one thread, whatever the machine, and several frames go at once. A
large network, whose frames each take gigabytes, takes them one by one with every thread.
"""

from __future__ import annotations

import os

import torch

from models.config import ModelConfig
from models.footprint import whole_bytes
from models.memory import held_memory
from pipeline.config import RunConfig

SMALL = 256 << 20
"""Bytes for a window of 512 × 512 that a small network's generator takes at most; lite takes about 140 MB."""
MOST = 16
"""Workers by default: beyond, reading and writing are the slowest part."""
CELLS = 64


def plan_workers(config: RunConfig, net: ModelConfig, alone: bool) -> tuple[int, int]:
    """(workers, threads of each) on a CPU.

    Args:
        alone: one network must see every frame in turn.
    """
    threads = config.threads or os.cpu_count() or 1
    if config.workers is not None and not alone:
        return config.workers, max(1, threads // config.workers)
    needed = whole_bytes(net, CELLS, CELLS, net.num_skips, net.attention > 0)
    if needed > SMALL or config.task.optimization:
        return 1, threads
    if alone or config.compile or not config.buffers.synthesize:
        return 1, 1
    most = min(threads, MOST)
    if config.memory is not None:  # as many as keep windows of ordinary size whole
        most = min(most, (config.memory - held_memory(torch.device("cpu"))) // (4 * needed))
    return max(1, most), 1
