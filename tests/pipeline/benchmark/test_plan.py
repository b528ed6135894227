"""One call of `benchmark`: what it measures, prints and writes, at tiny size."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.benchmark import PARTS, cost
from pipeline.benchmark.clips import ClipPlan
from pipeline.benchmark.plan import Plan
from pipeline.benchmark.plot import svg
from pipeline.benchmark.whole import clip_task
from pipeline.cli import main
from pipeline.errors import ConfigError
from run_pipeline import run

CALL = ["benchmark", "--model", "tiny", "--size", "64x40", "--repeat", "1", "--threads", "1", "--device", "cpu"]
STAGES = [
    "read",
    "shots",
    "track",
    "settle",
    "style",
    "crop",
    "invert",
    "edit",
    "synthesize",
    "steady",
    "composite",
    "write",
]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a call that measures everything, with clips as small as faces are still found in."""
    folder, threads = tmp_path_factory.mktemp("benchmark") / "new", torch.get_num_threads()
    small = {"length": (ClipPlan(160, 160, 2), ClipPlan(160, 160, 4)), "faces": (ClipPlan(480, 320, 1, 2),)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "QUICK", small)
        assert main([*CALL, "--quick", "--frames", "2", "--parts", *PARTS, "-o", str(folder), "--quiet"]) == 0
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def result(written: Path) -> dict[str, Any]:
    return json.loads((written / "benchmark.json").read_text(encoding="utf-8"))


def test_a_row_for_each_part_stage_and_the_whole(result: dict[str, Any]) -> None:
    rows = result["comparisons"]
    assert [row["name"] for row in rows] == ["video frame", "encoder", "generator", *STAGES, "whole pipeline"]
    for row in rows:
        assert {"median_s", "reference_s", "ratio", "threads", "device", "precision"} <= row.keys()
        assert row["median_s"] > 0
    floors = {row["name"] for row in rows if row["floor_s"] is not None}
    assert floors == {"video frame", "encoder", "generator", "invert", "synthesize", "whole pipeline"}
    assert result["pipeline"][0]["slowest_thread"] in (
        "read+shots+track+settle+style+crop",
        "invert+edit+synthesize",
        "steady+composite+write",
    )
    assert 0 <= result["pipeline"][0]["network_waited"] <= 1
    assert 0 < result["pipeline"][0]["of_slowest"] <= 1.001


def test_the_machine_is_named(result: dict[str, Any]) -> None:
    assert {"cpu", "cores", "memory_gib", "gpus", "torch"} <= result["machine"].keys()
    assert result["machine"]["cpu"]
    assert result["rates"][0]["matmul_gflops"] > 0


def test_cost_of_clips(result: dict[str, Any]) -> None:
    assert [(row["grows"], row["frames"], row["faces"]) for row in result["cost"]] == [
        ("length", 2, 1),
        ("length", 4, 1),
        ("faces", 1, 2),
    ]
    for row in result["cost"]:
        assert row["seconds"] == pytest.approx(row["seconds_per_frame"] * row["frames"])


def test_tables_and_plot(written: Path, result: dict[str, Any]) -> None:
    text = (written / "benchmark.md").read_text(encoding="utf-8")
    for name in (*STAGES, "whole pipeline", "| length | 160×160 | 4 |", result["machine"]["cpu"]):
        assert name in text
    drawn = ET.parse(written / "benchmark.svg").getroot()
    labels = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"whole pipeline", "ms/frame by length"} <= set(labels)
    assert sorted(path.name for path in written.iterdir()) == ["benchmark.json", "benchmark.md", "benchmark.svg"]


def test_random_weights_are_measured_alone_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CALL, "--json", "--no-memory"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["group"] for row in shown["comparisons"]] == ["network"] * 3
    assert "cost" not in shown
    assert ET.fromstring(svg(shown)) is not None
    assert Plan(model="lite_toon").chosen == ("network", "pipeline", "cost")


def test_every_combination_has_its_setup() -> None:
    plan = Plan(sizes=((64, 64), (64, 128)), batches=(1, 2), precisions=("fp32", "bf16"), devices=("cuda", "cpu"))
    assert len(plan.setups) == 16
    assert [setup.device for setup in plan.setups] == ["cuda"] * 8 + ["cpu"] * 8
    assert (plan.setups[1].batch, plan.setups[2].height, plan.setups[4].precision) == (2, 128, "bf16")


@pytest.mark.parametrize(
    "wrong", [["--size", "60x64"], ["--size", "64"], ["--repeat", "0"], ["--batch-size", "0"], ["--device", "abacus"]]
)
def test_wrong_arguments(wrong: list[str]) -> None:
    with pytest.raises(ConfigError):
        main([*CALL, *wrong])


def test_a_model_that_takes_no_pictures_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark", "--model", "lite_sketch", "--device", "cpu"]) == 2
    assert "error: --model lite_sketch: takes drawings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "task"),
    [("tiny", "toonify"), ("lite_toon", "toonify"), ("lite_inversion", "inversion"), ("lite_edit", "inversion")],
)
def test_clips_are_rendered_with_what_a_model_can_do(model: str, task: str) -> None:
    assert clip_task(model) == task


def test_a_file_where_the_folder_would_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there"
    there.write_text("")
    assert run([*CALL, "-o", str(there)]) == 2
    assert f"error: -o {there}" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["lite_edit", "lite_sr"])
def test_the_pipeline_around_models_of_other_tasks(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["benchmark", "--model", model, "--device", "cpu", "--threads", "1", "--repeat", "1", "--frames", "1"]
    assert main([*arguments, "--parts", "pipeline", "--no-memory", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in shown["comparisons"]] == [*STAGES, "whole pipeline"]


def test_a_precision_that_cannot_be_is_known_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CALL, "--precision", "fp32", "fp16"]) == 2
    assert "fp16" in capsys.readouterr().err
