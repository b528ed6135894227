"""steady and the published window in whole renders: from an analysis, whole or in ranges, as in one go."""

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


def test_steady_is_the_same_from_an_analysis_and_in_ranges(drifting, analysis, loader):
    plain = pictures(drifting, loader)
    steady = pictures(drifting, loader, steady__strength=1.0)
    again = pictures(drifting, loader, steady__strength=1.0, analysis=analysis)
    assert list(plain) == list(steady) == list(range(COUNT))
    for k in range(COUNT):
        assert np.array_equal(steady[k], again[k])
        assert not np.array_equal(steady[k], plain[k])
    for start, end in ((0, 1), (1, 3), (3, COUNT)):
        part = pictures(drifting, loader, steady__strength=1.0, analysis=analysis, read__start=start, read__end=end)
        assert list(part) == list(range(start, end))
        assert all(np.array_equal(steady[k], picture) for k, picture in part.items())


def test_a_range_with_the_published_window_has_the_clips_first_face(drifting, analysis, loader):
    changes = {"crop__frame": "published", "style__latents": "clip", "style__wait_frames": 0}
    whole = pictures(drifting, loader, **changes)
    part = pictures(drifting, loader, analysis=analysis, read__start=4, **changes)
    assert [k for k in range(COUNT) if k in part] == [4, 5]
    for k, picture in part.items():
        assert np.array_equal(picture, whole[k])


def test_explain_tells_of_it_only_when_it_is_there():
    assert "steady  " not in explain(settings())
    assert "look-ahead up to 3 frames" in explain(settings(steady__strength=0.5, steady__window=3))
