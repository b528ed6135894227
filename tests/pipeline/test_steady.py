"""steady and the published window in whole renders: from an analysis, whole or in ranges, as in one go."""

import cv2
import numpy as np
import pytest

from pipeline.analyze import analyze
from pipeline.config import load_config
from pipeline.explain import explain
from pipeline.resources import Loader
from pipeline.run import stream

SMALL = {"crop.max_pixels": 20_000, "crop.eye_distance_px": 24, "crop.frame": "full", "track.smooth_s": 0}
COUNT = 6


@pytest.fixture(scope="module")
def loader():
    return Loader()


@pytest.fixture(scope="module")
def analysis(drifting, loader, tmp_path_factory):
    return str(analyze(drifting, tmp_path_factory.mktemp("steady") / "d.analysis", config=settings(), loader=loader))


def settings(**changes):
    return load_config(None, {**SMALL, **{k.replace("__", "."): v for k, v in changes.items()}})


def pictures(source, loader, **changes):
    return {frame.index: frame.image for frame in stream(source, config=settings(**changes), loader=loader)}


@pytest.mark.parametrize("which", [{"strength": 1.0}, {"strength": 0.0, "feature": 1.0}], ids=["picture", "feature"])
def test_steady_is_the_same_from_an_analysis_and_in_ranges(drifting, analysis, loader, which):
    which = {f"steady__{name}": value for name, value in which.items()}
    plain = pictures(drifting, loader, steady__strength=0.0)
    steady = pictures(drifting, loader, **which)
    again = pictures(drifting, loader, analysis=analysis, **which)
    assert list(plain) == list(steady) == list(range(COUNT))
    for k in range(COUNT):
        assert np.array_equal(steady[k], again[k])
        assert not np.array_equal(steady[k], plain[k])
    for start, end in ((0, 1), (1, 3), (3, COUNT)):
        part = pictures(drifting, loader, analysis=analysis, read__start=start, read__end=end, **which)
        assert list(part) == list(range(start, end))
        assert all(np.array_equal(steady[k], picture) for k, picture in part.items())


def test_a_range_with_the_published_window_has_the_clips_first_face(drifting, analysis, loader):
    changes = {"crop__frame": "published", "style__latents": "clip", "style__wait_frames": 0}
    whole = pictures(drifting, loader, **changes)
    part = pictures(drifting, loader, analysis=analysis, read__start=4, **changes)
    assert [k for k in range(COUNT) if k in part] == [4, 5]
    for k, picture in part.items():
        assert np.array_equal(picture, whole[k])


def test_it_comes_with_the_latents_that_stand_still_and_can_be_set():
    modes = {mode: settings(style__latents=mode).steady_strength for mode in ("clip", "shot", "smooth", "frame")}
    assert modes == {"clip": 0, "shot": 1, "smooth": 1, "frame": 0}
    assert settings(style__latents="smooth", style__filter="one_euro").steady_strength == 0
    assert settings(style__latents="frame", steady__strength=0.5).steady_strength == 0.5
    assert settings(steady__strength=0).steady_strength == 0


def test_a_repeated_frame_stays_repeated(tmp_path, drifting, loader):
    """A clip of 30 frames per second in 60: pairs of frames in, pairs of frames out."""
    frames = list(pictures(drifting, loader, task={"kind": "none"}).values())
    for number in range(2 * COUNT):
        cv2.imwrite(str(tmp_path / f"{number:04d}.png"), frames[number // 2][..., ::-1])
    out = pictures(tmp_path / "%04d.png", loader)
    assert len(out) == 2 * COUNT
    for k in range(0, 2 * COUNT, 2):
        assert np.array_equal(out[k], out[k + 1])
    plain = pictures(tmp_path / "%04d.png", loader, steady__strength=0)
    assert not any(np.array_equal(out[k], plain[k]) for k in out)


def test_explain_tells_of_it_only_when_it_is_there():
    assert "steady" not in explain(settings(steady__strength=0)).split("steady:")[0]
    assert "look-ahead up to 5 frames" in explain(settings(steady__window=3))
    assert "steady_feature" in explain(settings(steady__feature=0.5))
