"""What people and machines are given: the table, JSON and JUnit."""

import json
import xml.etree.ElementTree as ET

import pytest

from pipeline.errors import ConfigError
from pipeline.metrics import FlickerConfig, load_flicker_config, measure_arrays
from pipeline.metrics.junit import to_junit, write_text
from pipeline.metrics.matte import Difference
from tests.pipeline.metrics.makers import FAULTS, clip, render
from tests.test_architecture import ROOT


@pytest.fixture(scope="module")
def reports():
    frames = clip(16)
    result = render(frames)
    return [measure_arrays(frames, y, matte=Difference()) for y in (result, FAULTS["jump_right"](result, 9))]


def test_the_thresholds_file_is_the_defaults_and_complete():
    path = ROOT / "configs" / "flicker.yaml"
    assert load_flicker_config(path) == FlickerConfig()
    text = path.read_text(encoding="utf-8")
    assert all(f"\n{name}:" in text for name in FlickerConfig.model_fields)


def test_mistakes_in_the_thresholds_file_are_named(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("shake: {mena: 0.1}")
    with pytest.raises(ConfigError) as error:
        load_flicker_config(path)
    assert "shake.mena" in error.value.what
    path.write_text("shake: {mean: -1}")
    with pytest.raises(ConfigError, match=r"shake\.mean"):
        load_flicker_config(path)


def test_json_says_what_failed_and_where(reports):
    passed, failed = (json.loads(report.to_json()) for report in reports)
    assert passed["passed"] is True
    assert failed["passed"] is False
    assert next(iter(failed["bad_frames"])) == "9"
    shake = next(v for v in failed["verdicts"] if (v["metric"], v["region"]) == ("shake", "inside"))
    assert (shake["status"], shake["frames"], shake["shot"]) == ("failed", [9], 0)
    inside = next(s for s in failed["series"] if s["region"] == "inside")
    assert inside["frames"] == list(range(1, 16))
    assert all(len(column) == 15 for column in inside["columns"].values())
    assert inside["columns"]["shake"][8] > 0.5


def test_table_has_a_line_per_verdict_and_names_the_frame(reports):
    table = reports[1].table()
    assert table.count("\n") > len(reports[1].verdicts)
    assert "FAILED: shake in shot 0, inside" in table
    assert "frame 9: " in table
    assert reports[0].table().endswith("passed")


def test_junit_counts_and_messages(reports):
    root = ET.fromstring(to_junit(reports[1]))
    suite = root.find("testsuite")
    assert suite is not None
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase")) == len(reports[1].verdicts)
    failures = suite.findall("testcase/failure")
    assert int(suite.attrib["failures"]) == len(failures) == len(reports[1].failures) > 0
    assert any("frames 9" in failure.attrib["message"] for failure in failures)
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped")) > 0


def test_junit_survives_odd_file_names(reports):
    report = reports[0]
    before, report.result = report.result, 'a<b>&"\x07.mp4'
    suite = ET.fromstring(to_junit(report)).find("testsuite")
    report.result = before
    assert suite is not None
    assert suite.attrib["name"] == 'a<b>&"\ufffd.mp4'


def test_files_are_whole_or_not_there(tmp_path):
    write_text(tmp_path / "a.xml", "one")
    write_text(tmp_path / "a.xml", "two")
    assert [p.name for p in tmp_path.iterdir()] == ["a.xml"]
    assert (tmp_path / "a.xml").read_text() == "two"
