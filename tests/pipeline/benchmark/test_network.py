"""What the benchmark reports, at tiny size."""

from __future__ import annotations

import json

import pytest
import torch

from pipeline.benchmark.measure import Pairs, in_pairs
from pipeline.cli import main
from pipeline.errors import ConfigError

CALL = ["benchmark", "--model", "tiny", "--size", "64x40", "--repeat", "1", "--threads", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_json_has_a_row_per_part_with_pairs_and_exact_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CALL, "--json", "--no-memory"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["comparisons"]] == ["video frame", "encoder", "generator"]
    for row in result["comparisons"]:
        assert {"median_s", "reference_s", "ratio", "threads", "device", "precision"} <= row.keys()
        assert row["ratio"] == pytest.approx(row["reference_s"] / row["median_s"])
        # Not the same formulation, so not the same bits; the same numbers within rounding.
        assert 0 < row["max_error"] < 1e-5
        assert row["floor_s"] > 0
    assert result["machine"]["matmul_gflops"] > 0


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CALL, "--no-memory"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 5
    assert "64×40 → 64×40" in lines[4]


@pytest.mark.parametrize("wrong", [["--size", "60x64"], ["--size", "64"], ["--repeat", "0"]])
def test_wrong_arguments(wrong: list[str]) -> None:
    with pytest.raises(ConfigError):
        main([*CALL, *wrong])


def test_pairs_are_measured_in_turns() -> None:
    order: list[str] = []
    pairs = in_pairs(lambda: order.append("a"), lambda: order.append("b"), 2, torch.device("cpu"))
    assert order == ["a", "b"] * 3
    assert len(pairs.ours_s) == 2


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    assert Pairs((2.0, 20.0, 9.0), (1.0, 10.0, 3.0)).ratio == 2.0
