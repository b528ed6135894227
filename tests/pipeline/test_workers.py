"""Frames side by side on a CPU: how many, and on how many threads each."""

from __future__ import annotations

import pytest

from models.config import SIZES
from pipeline import load_config
from pipeline.workers import MOST, plan_workers

SEQUENTIAL = {"buffers.synthesize": 0}
OPTIMIZED = {"task": {"kind": "inversion", "optimize": {"steps": 1}}}


@pytest.mark.parametrize(
    ("size", "settings", "alone", "plan"),
    [
        ("lite", {"threads": 6}, False, (6, 1)),
        ("lite", {"threads": 100}, False, (MOST, 1)),
        ("lite", {"threads": 6} | SEQUENTIAL, False, (1, 1)),
        ("lite", {"threads": 6, "compile": True}, False, (1, 1)),
        ("lite", {"threads": 6}, True, (1, 1)),  # a latent file: the same bits as without one
        ("lite", {"threads": 6} | OPTIMIZED, True, (1, 6)),
        ("lite", {"threads": 6, "memory": "1MiB"}, False, (1, 1)),
        ("lite", {"threads": 6, "memory": "64GiB"}, False, (6, 1)),
        ("lite", {"threads": 6, "workers": 2}, False, (2, 3)),
        ("tiny", {"threads": 2}, False, (2, 1)),
        ("full", {"threads": 6}, False, (1, 6)),
        ("full", {"threads": 6, "workers": 3}, False, (3, 2)),
        ("full", {"threads": 2, "workers": 4}, False, (4, 1)),
        ("full", {"threads": 6, "workers": 3}, True, (1, 6)),
    ],
)
def test_plan(size: str, settings: dict[str, object], alone: bool, plan: tuple[int, int]) -> None:
    assert plan_workers(load_config(None, settings), SIZES[size], alone) == plan
