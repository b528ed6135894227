"""The strip stays bounded, keeps what must be kept, and pairs frames."""

import base64

import cv2
import numpy as np
import pytest

from pipeline.qc.frames import Strip, StripFrame, data_uri, read_strip
from stages.read import ReadConfig
from tests.helpers import copy_clip, moving, write_clip


def filled(count, most, wanted=(), first=0):
    """A strip with room for `most` frames."""
    strip = Strip(20 * most, frozenset(wanted))
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
    back = decoded(data_uri(picture.astype(np.float32) / np.float32(255), 80))
    assert back.shape == picture.shape
    assert np.abs(back.astype(float) - picture).mean() < 6


def test_frames_of_both_clips_belong_together(tmp_path):
    frames = [np.full((48, 64, 3), 20 + 8 * n, np.uint8) for n in range(12)]
    source = write_clip(tmp_path / "in.mp4", frames)
    output = copy_clip(source, tmp_path / "out.mp4", {"start": 4, "end": 10})
    strip = read_strip(source, output, ReadConfig(start=4, end=10), side=32, budget=10**6)
    assert [frame.index for frame in strip.frames] == [4, 5, 6, 7, 8, 9]
    assert (strip.width, strip.height) == (32, 24)
    for frame in strip.frames:
        assert frame.after is not None
        for uri in (frame.before, frame.after):
            assert decoded(uri).mean() == pytest.approx(20 + 8 * frame.index, abs=3)


def test_pictures_shrink_before_frames_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(8)]
    pictures = [np.asarray(cv2.resize(each, (128, 96)), np.uint8) for each in small]
    source = write_clip(tmp_path / "in.mp4", pictures)

    def strip(budget):
        return read_strip(source, source, ReadConfig(), side=128, budget=budget)

    whole = strip(10**6)
    size = sum(frame.size for frame in whole.frames)
    for budget, width in ((size, 128), (size - 1, 96)):
        smaller = strip(budget)
        assert (smaller.step, smaller.width, len(smaller.frames)) == (1, width, 8)
        assert sum(frame.size for frame in smaller.frames) <= budget
    thinned = strip(size // 20)
    assert thinned.step > 1
    assert thinned.width == 64
    assert [frame.index for frame in thinned.frames] == list(range(0, 8, thinned.step))
