"""Two clips in lockstep: matched by time, whatever is missing, extra, shifted, turned or of another size."""

import weakref
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.matte import Difference
from pipeline.metrics.meter import Meter
from pipeline.metrics.pairs import PairReader, resized
from stages.read import ReadConfig
from stages.shots import ShotsConfig
from tests.helpers import moving, write_clip


def pairs(source, result, max_side=1920, **read):
    return list(PairReader.open(source, result, ReadConfig(**read), ShotsConfig(), max_side).stream())


def numbers(found):
    return [(p.index if p.source is not None else None, p.result is not None) for p in found]


def write(tmp_path, name, frames, **options: Any):
    return write_clip(tmp_path / name, frames, codec="ffv1", pix_fmt="yuv444p", **options)


def test_equal_times_match(tmp_path):
    frames = moving(6)
    source, result = write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", frames)
    found = pairs(source, result)
    assert numbers(found) == [(i, True) for i in range(6)]
    for pair in found:
        assert pair.source is not None
        np.testing.assert_array_equal(pair.source, pair.result)


def test_a_missing_and_an_extra_frame_keep_the_others_matched(tmp_path):
    frames, base = moving(8), Fraction(1, 240)
    source = write(tmp_path, "a.mkv", frames, time_base=base, pts=[10 * i for i in range(8)])
    kept = [0, 1, 2, 4, 5, 6, 7]
    result = write(tmp_path, "b.mkv", [frames[i] for i in kept], time_base=base, pts=[10 * i for i in kept])
    found = pairs(source, result)
    assert [p.index for p in found if p.result is None] == [3]
    swapped = pairs(result, source)
    extra = [p for p in swapped if p.source is None]
    assert [p.index for p in extra] == [3], "named by the number of the output frame"
    assert len(swapped) == 8


def test_times_of_containers_that_round_still_match(tmp_path):
    """24000/1001 in mp4 is exact, in Matroska it is rounded to milliseconds."""
    frames, rate = moving(12), Fraction(24000, 1001)
    source = write_clip(tmp_path / "a.mp4", frames, rate=rate)
    result = write_clip(tmp_path / "b.mkv", frames, rate=rate)
    assert numbers(pairs(source, result)) == [(i, True) for i in range(12)]


def test_a_range_matches_an_output_that_starts_at_zero(tmp_path):
    frames = moving(10)
    source, result = write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", frames[4:8])
    found = pairs(source, result, start=4, end=8)
    assert numbers(found) == [(i, True) for i in (4, 5, 6, 7)]
    for pair in found:
        np.testing.assert_array_equal(pair.source, pair.result)


def test_an_image_sequence_is_matched_by_number(tmp_path):
    frames = moving(5)
    source = write_clip(tmp_path / "a.mp4", frames, rate=30)
    (tmp_path / "out").mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / "out" / f"f.{i:04d}.png"), np.ascontiguousarray(frame[:, :, ::-1]))
    assert numbers(pairs(source, tmp_path / "out")) == [(i, True) for i in range(5)]


def test_a_larger_output_comes_to_the_input_by_area(tmp_path):
    frames = moving(3)
    big = [np.repeat(np.repeat(f, 4, 0), 4, 1) for f in frames]
    found = pairs(write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", big))
    for pair in found:
        assert pair.source is not None
        assert pair.result is not None
        np.testing.assert_allclose(pair.result, pair.source, atol=1 / 255)


def test_a_turned_input_and_an_upright_output_match(tmp_path):
    frames = moving(3)
    source = write_clip(tmp_path / "a.mp4", frames, codec="libx264", pix_fmt="yuv420p", rotation=90)
    upright = [np.ascontiguousarray(np.rot90(f)) for f in frames]
    for pair in pairs(source, write(tmp_path, "b.mkv", upright)):
        assert pair.source is not None
        assert pair.result is not None
        assert pair.source.shape == pair.result.shape == (64, 48, 3)
        assert np.abs(pair.source - pair.result).mean() < 0.02


def test_large_pictures_are_reduced(tmp_path):
    frames = moving(2, 128, 96)
    found = pairs(write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", frames), max_side=64)
    assert found[0].source is not None
    assert found[0].source.shape == (48, 64, 3)


def test_repeated_frames_are_known(tmp_path):
    frames = moving(5)
    frames[3] = frames[2]
    found = pairs(write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", moving(5)))
    assert [p.repeated for p in found] == [False, False, False, True, False]


def test_shots_come_from_the_input(tmp_path):
    frames = moving(16, cuts=(9,))
    found = pairs(write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", moving(16)))
    assert [p.shot for p in found] == [0] * 9 + [1] * 7


def test_memory_does_not_grow_with_the_clip(tmp_path):
    """Pictures that are alive while the meter measures: three pairs and the one being read, for any length."""
    frames = moving(40, 48, 32)
    source, result = write(tmp_path, "a.mkv", frames), write(tmp_path, "b.mkv", frames)
    reader = PairReader.open(source, result, ReadConfig(), ShotsConfig(), 64)
    meter = Meter(FlickerConfig(), Difference(), reader.size)
    pictures: list[weakref.ref] = []
    alive: list[int] = []
    for pair in reader.stream():
        pictures += [weakref.ref(pair.source), weakref.ref(pair.result)]
        meter.add(pair)
        alive.append(sum(picture() is not None for picture in pictures))
    assert len(alive) == 40
    assert max(alive[5:]) == max(alive[:10]) <= 8


@pytest.mark.parametrize("size", [(10, 7), (40, 28)])
def test_resized_keeps_the_mean(size):
    picture = np.random.default_rng(0).uniform(0.4, 0.6, (14, 20, 3)).astype(np.float32)
    small = resized(picture, size)
    assert small.shape == (size[1], size[0], 3)
    assert small.mean() == pytest.approx(picture.mean(), abs=0.01)
