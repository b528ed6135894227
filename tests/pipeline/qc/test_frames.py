"""The strip stays bounded, keeps what must be kept, and pairs frames."""

import base64

import cv2
import numpy as np
import pytest

from pipeline.qc.frames import Strip, StripFrame, data_uri, read_strip
from stages.read import ReadConfig
from tests.helpers import copy_clip, moving, write_clip


def filled(count, most, budget=10**9, wanted=(), first=0):
    strip = Strip(most, budget, frozenset(wanted))
    for index in range(first, first + count):
        if strip.wants(index):
            strip.add(StripFrame(index, "x" * 10, "y" * 10))
            assert len(strip.frames) <= most + len(wanted)
    return strip


@pytest.mark.parametrize(("count", "step"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (1000, 128)])
def test_the_step_doubles_when_there_are_too_many(count, step):
    strip = filled(count, 8, first=5)
    assert strip.step == step
    assert [frame.index for frame in strip.frames] == list(range(5, 5 + count, step))


def test_bytes_are_a_limit_too():
    strip = filled(100, 1000, budget=200)
    assert strip.step == 16
    assert sum(frame.size for frame in strip.frames) <= 200


def test_wanted_frames_stay():
    strip = filled(100, 8, wanted=(33, 34, 35, 64))
    kept = [frame.index for frame in strip.frames]
    assert {33, 34, 35, 64} <= set(kept)
    assert kept == sorted(set(kept))


def decoded(uri):
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)


def test_a_picture_survives_with_its_colours():
    picture = moving(1, 96, 64)[0]
    back = decoded(data_uri(picture.astype(np.float32) / np.float32(255)))
    assert back.shape == picture.shape
    assert np.abs(back.astype(float) - picture).mean() < 6


def test_frames_of_both_clips_belong_together(tmp_path):
    frames = [np.full((48, 64, 3), 20 + 8 * n, np.uint8) for n in range(12)]
    source = write_clip(tmp_path / "in.mp4", frames)
    output = copy_clip(source, tmp_path / "out.mp4", {"start": 4, "end": 10})
    strip = read_strip(source, output, ReadConfig(start=4, end=10), side=32, most=3)
    assert [frame.index for frame in strip.frames] == [4, 6, 8]
    assert (strip.width, strip.height) == (32, 24)
    for frame in strip.frames:
        assert frame.after is not None
        for uri in (frame.before, frame.after):
            assert decoded(uri).mean() == pytest.approx(20 + 8 * frame.index, abs=3)
