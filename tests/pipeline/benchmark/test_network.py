"""The network's rows: pairs, floors and exact results, at tiny size."""

from __future__ import annotations

import pytest
import torch

from models.config import SIZES
from pipeline.benchmark.floors import Rates, Work, count
from pipeline.benchmark.measure import Pairs, in_pairs
from pipeline.benchmark.network import compare, load
from pipeline.benchmark.rows import Setup

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_row_per_part_with_exact_results_for_any_batch() -> None:
    setup = Setup(model="tiny", width=64, height=40, batch=2, threads=1, repeat=1)
    net = load(setup)
    rows = compare(setup, net, net, Rates(1e9, 1e12))
    assert [row.name for row in rows] == ["video frame", "encoder", "generator"]
    for row in rows:
        assert row.ratio == pytest.approx(row.reference_s / row.median_s)
        assert row.fps == pytest.approx(1 / row.median_s)
        assert row.max_error is not None
        assert row.floor_s is not None
        # Not the same formulation, so not the same bits; the same numbers within rounding.
        assert 0 < row.max_error < 1e-5
        assert row.floor == "arithmetic"
        assert row.peak_gib is None
    assert rows[0].floor_s == pytest.approx(sum(row.floor_s or 0 for row in rows[1:]))
    assert rows[2].output == "64×40"


def test_the_work_of_a_frame() -> None:
    """It grows with the pixels; a batch shares one reading of the weights."""
    one = count(SIZES["tiny"], 64, 64)
    four = count(SIZES["tiny"], 128, 128)
    assert 3.9 < four["encoder"].flops / one["encoder"].flops < 4.1
    assert 3.5 < four["generator"].flops / one["generator"].flops < 4.1
    shared = count(SIZES["tiny"], 64, 64, batch=8)
    assert shared["generator"].flops == one["generator"].flops
    assert shared["generator"].bytes < one["generator"].bytes


def test_the_higher_of_the_two_floors_counts() -> None:
    rates = Rates(matmul=100.0, copy=10.0)
    assert rates.floor(Work(300.0, 10.0)) == (3.0, "arithmetic")
    assert rates.floor(Work(300.0, 50.0)) == (5.0, "bandwidth")


def test_pairs_are_measured_in_turns() -> None:
    order: list[str] = []
    pairs = in_pairs(lambda: order.append("a"), lambda: order.append("b"), 2, torch.device("cpu"))
    assert order == ["a", "b"] * 3
    assert len(pairs.ours_s) == 2


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    assert Pairs((2.0, 20.0, 9.0), (1.0, 10.0, 3.0)).ratio == 2.0
