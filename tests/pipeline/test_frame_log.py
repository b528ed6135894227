"""The table of frames in report.json."""

import json

import numpy as np
import pytest

from pipeline.frame_log import FrameLog
from pipeline.report import Recorder, RunReport
from stages.geometry import Similarity
from stages.types import Face, FaceFrame, FaceSource, OutputFrame
from tests.helpers import frames_of, moving, write_clip


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return frames_of(write_clip(tmp_path_factory.mktemp("log") / "in.mp4", moving(5, 32, 32)))


def finished(frame, shot=0, *faces):
    return OutputFrame((), frame.layout, frame.color, 0, FaceFrame(frame, shot, faces, len(faces)), bool(faces))


def face(track, source=FaceSource.DETECTED, score=0.9):
    points = np.zeros((68, 2), np.float32)
    square, apart = Similarity(1, 2, 3, -0.125), 0.5 if track == 1 else None
    return Face(track, source, points, score, (10.25, 20.5), 31.123456789, 0.25, square, apart)


def test_rows_of_frames_and_faces(frames):
    report = RunReport("in.mp4", "out.mp4")
    recorder = Recorder(report)
    recorder.add(finished(frames[0]))
    recorder.add(finished(frames[1], 0, face(0), face(1, FaceSource.FILLED, 0.0)))
    recorder.add(finished(frames[2], 1, face(2)))
    data = json.loads(report.to_json())
    assert data["frames"] == 3
    table = data["per_frame"]
    assert table["frames"] == {
        "index": [0, 1, 2],
        "pts": [frame.pts for frame in frames[:3]],
        "shot": [0, 0, 1],
        "num_seen": [0, 2, 1],
        "touched": [0, 1, 1],
        "corrupt": [0, 0, 0],
    }
    faces = table["faces"]
    assert faces["index"] == [1, 1, 2]
    assert faces["track_id"] == [0, 1, 2]
    assert faces["source"] == ["detected", "filled", "detected"]
    assert faces["score"] == [0.9, 0.0, 0.9]
    assert faces["x"][0] == 10.25
    assert faces["eye_distance"][0] == pytest.approx(31.1235)
    assert faces["angle"][0] == -0.125
    assert faces["outside"][0] == 0.25
    assert faces["wplus_distance"] == [None, 0.5, None]


def test_a_number_that_is_none_becomes_null(frames):
    log = FrameLog()
    log.add(finished(frames[0], 0, face(0, score=float("nan"))))
    assert json.loads(log.to_json())["faces"]["score"] == [None]


def test_a_hundred_bytes_per_frame_and_no_picture(frames):
    log = FrameLog()
    item = finished(frames[0], 0, face(0))
    for _ in range(1000):
        log.add(item)
    assert len(log) == 1000
    size = sum(column.itemsize * len(column) for table in (log.frames, log.faces) for column in table.values())
    assert size <= 100 * 1000
