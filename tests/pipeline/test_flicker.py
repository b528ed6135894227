"""The command `flicker`: exit status, JSON on stdout, JUnit beside it."""

import json
import xml.etree.ElementTree as ET

import pytest

from run_pipeline import run
from tests.helpers import write_clip
from tests.pipeline.metrics.makers import FAULTS, FAULTY, clip, render


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flicker")
    source = clip()
    good = render(source)
    files = {"in": source, "good": good, "bad": FAULTS["shown_before"](good, FAULTY)}
    return {name: str(write_clip(folder / f"{name}.mp4", frames)) for name, frames in files.items()}


def test_a_good_render_exits_0_with_a_table(clips, capsys):
    assert run(["flicker", clips["in"], clips["good"]]) == 0
    table = capsys.readouterr().out
    assert table.rstrip().endswith("passed")
    assert "tl_id" in table
    assert "not measured: weights missing" in table


def test_a_bad_one_exits_1_and_names_metric_and_frame(clips, capsys, tmp_path):
    junit = tmp_path / "junit.xml"
    assert run(["flicker", clips["in"], clips["bad"], "--json", "--junit", str(junit)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["passed"]
    assert next(iter(report["bad_frames"])) == str(FAULTY)
    suite = ET.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert int(suite.attrib["failures"]) > 0


def test_thresholds_decide(clips, capsys, tmp_path):
    strict = tmp_path / "strict.yaml"
    strict.write_text("frame_difference_ratio: {mean: 0.1}")
    assert run(["flicker", clips["in"], clips["good"], "--config", str(strict)]) == 1
    assert "FAILED: frame_difference_ratio" in capsys.readouterr().out


def test_mistakes_are_two_lines_and_exit_2(clips, capsys, tmp_path):
    assert run(["flicker", clips["in"], str(tmp_path / "none.mp4")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert run(["flicker", clips["in"], clips["good"], "--config", str(tmp_path / "none.yaml")]) == 2
    assert run(["flicker", clips["in"], clips["good"], "--matte", str(tmp_path / "none.png")]) == 2
    for bounds in (["--start", "-3"], ["--start", "8", "--end", "5"], ["--end", "0"]):
        capsys.readouterr()
        assert run(["flicker", clips["in"], clips["good"], *bounds]) == 2
        assert "no such range" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "complaint"), [("none/j.xml", "no folder"), (".", "is a folder")])
def test_a_file_that_cannot_be_written_is_known_before_measuring(clips, capsys, tmp_path, monkeypatch, name, complaint):
    monkeypatch.setattr("pipeline.metrics.measure", lambda *_, **__: pytest.fail("it was measured"))
    assert run(["flicker", clips["in"], clips["good"], "--junit", str(tmp_path / name)]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_equivariance_of_a_model_is_reported(sample_clip, tmp_path, capsys):
    copy = str(sample_clip)
    assert run(["flicker", copy, copy, "--end", "2", "--model", "lite_toon", "--json"]) in (0, 1)
    verdicts = {v["metric"]: v for v in json.loads(capsys.readouterr().out)["verdicts"]}
    assert verdicts["eq_t"]["status"] == verdicts["eq_r"]["status"] == "reported"
    assert verdicts["eq_t"]["value"] > 25
    assert verdicts["eq_r"]["value"] > 25
