"""Several processes that share the work on one set.

What they run stands outside `__main__`: a spawned process does not import `PACKAGE.__main__` again.
"""

from __future__ import annotations

import multiprocessing

from tqdm import tqdm

from models.training.heads.dataset import Order, write_samples


def write_set(order: Order, workers: int = 1) -> None:
    """Write what is missing of a set, `workers` processes of one core each; the first shows its progress."""
    jobs = [(order, worker, max(1, workers)) for worker in range(max(1, workers))]
    if len(jobs) == 1:
        _write_share(jobs[0])
        return
    with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
        pool.map(_write_share, jobs)


def _write_share(job: tuple[Order, int, int]) -> None:
    order, worker, workers = job
    total = len(range(worker, order.count, workers))
    for _ in tqdm(write_samples(order, worker, workers), total=total, unit="sample", disable=worker > 0):
        pass
