"""What the report beside an output tells of how to compare it."""

import json

import pytest

from pipeline.metrics.told import Told, read_told

FRAMES = {"index": [4, 5, 6, 7, 8, 9], "touched": [1, 1, 0, 0, 1, 1]}
FACES = {"index": [4, 5, 8, 8, 9, 9], "track_id": [0, 0, 0, 1, 1, 0]}


def told(tmp_path, data):
    text = data if isinstance(data, str) else json.dumps(data)
    (tmp_path / "out.mp4.report.json").write_text(text, encoding="utf-8")
    return read_told(tmp_path / "out.mp4")


def test_range_shots_and_changes_of_what_was_drawn(tmp_path):
    read, shots = {"start": 4, "end": 10}, [{"first_frame": 4}, {"first_frame": 7}]
    data = {"config": {"read": read}, "shots": shots, "per_frame": {"frames": FRAMES, "faces": FACES}}
    assert told(tmp_path, data) == Told(4, 10, (4, 7), frozenset({6, 8}))


def test_a_track_that_comes_or_goes_is_a_change(tmp_path):
    frames = {"index": [0, 1, 2, 3], "touched": [1] * 4}
    faces = {"index": [0, 1, 1, 2, 2, 3], "track_id": [0, 1, 0, 0, 1, 2]}
    assert told(tmp_path, {"per_frame": {"frames": frames, "faces": faces}}).changes == {1, 3}


@pytest.mark.parametrize("data", [{}, {"config": None, "shots": None, "per_frame": None}, {"config": {"read": None}}])
def test_what_is_not_there_is_not_told(tmp_path, data):
    assert read_told(tmp_path / "none.mp4") == told(tmp_path, data) == Told()


@pytest.mark.parametrize("data", ["{", "[]", {"config": 3}, {"shots": [None]}, {"per_frame": {"frames": {}}}])
def test_a_damaged_report_is_named_and_ignored(tmp_path, data, caplog):
    assert told(tmp_path, data) == Told()
    assert "out.mp4.report.json: not read" in caplog.text
