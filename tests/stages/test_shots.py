import numpy as np
import pytest

from stages.shots import Shots, ShotsConfig
from tests.helpers import frames_of, moving, write_clip
from tests.stages.makers import frame


def picture(seed, shift=0.0, gain=1.0):
    """A smooth random picture, moved sideways."""
    rng = np.random.default_rng(seed)
    base, slope = rng.uniform(0.2, 0.8, 3), rng.uniform(-0.3, 0.3, (3, 2))
    y, x = np.mgrid[0:48, 0:64] / 48.0
    waves = sum(np.sin(2 * np.pi * (f * (x + shift) + g * y))[..., None] for f, g in rng.uniform(1, 4, (4, 2)))
    rgb = base + slope[:, 0] * (x + shift)[..., None] + slope[:, 1] * y[..., None] + 0.05 * waves
    return np.clip(gain * rgb, 0, 1).astype(np.float32)


def shots(pictures, **settings):
    return [s.shot for s in Shots(ShotsConfig(**settings)).stream(frame(i, p) for i, p in enumerate(pictures))]


def test_hard_cuts_are_found_where_they_are():
    clip = [picture(seed, 0.005 * i) for seed in (1, 2, 3) for i in range(10)]
    assert shots(clip) == [0] * 10 + [1] * 10 + [2] * 10


def test_pan_fade_and_noise_are_no_cuts():
    rng = np.random.default_rng(0)
    assert set(shots([picture(4, 0.06 * i) for i in range(30)])) == {0}
    assert set(shots([picture(5, gain=1 - i / 30) for i in range(30)])) == {0}
    assert set(shots([picture(6) + rng.normal(0, 0.05, (48, 64, 3)) for _ in range(20)])) == {0}


def test_shortest_shot_and_last_frame():
    clip = [picture(1)] * 6 + [picture(2)] * 2 + [picture(3)] * 6
    assert shots(clip, min_length=4) == [0] * 6 + [1] * 8
    assert shots([picture(1)] * 6 + [picture(2)])[-1] == 1


@pytest.mark.parametrize("length", [1, 2])
def test_flashes_are_no_cuts(length):
    clip = [picture(1, 0.005 * i) for i in range(30)]
    for start in (8, 20):
        for i in range(start, start + length):
            clip[i] = np.clip(clip[i] * 0.3 + 0.7, 0, 1)
    assert set(shots(clip)) == {0}


def test_cuts_of_a_real_file(tmp_path):
    path = write_clip(tmp_path / "cuts.mp4", moving(60, 160, 120, cuts=(13, 30, 44)), options={"crf": "28"})
    found = [s.shot for s in Shots(ShotsConfig()).stream(iter(frames_of(path)))]
    assert found == [0] * 13 + [1] * 17 + [2] * 14 + [3] * 16


def test_edit_list_overrides_and_off_means_one_shot():
    clip = [picture(1)] * 5 + [picture(2)] * 5
    assert shots(clip, cuts=(2, 7)) == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    assert set(shots(clip, enabled=False)) == {0}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_clips_and_bounded_look_ahead(count):
    assert shots([picture(1)] * count) == [0] * count
    pulled = []

    def source():
        for i in range(10):
            pulled.append(i)
            yield frame(i, picture(1))

    next(Shots(ShotsConfig()).stream(source()))
    assert len(pulled) == 1 + Shots(ShotsConfig()).lookahead == 4
