import json
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.geometry import align_face, eye_distance, ffhq_quad, published_window
from tests.stages.makers import face

SPEC = Path(__file__).parents[3] / "shared" / "spec"
GOLDEN = SPEC / "golden" / "geometry.json"


def cases():
    if not GOLDEN.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"reference file {GOLDEN} is not here"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(GOLDEN.read_text())["cases"]]


@pytest.mark.parametrize("case", cases())
def test_published_window(case):
    landmarks = np.array(case["landmarks"], np.float64)
    got = published_window(landmarks, *case["hw"])
    assert list(got)[:6] == case["crop"][:6]
    assert got.scale == pytest.approx(case["crop"][6])


@pytest.mark.parametrize("case", cases())
def test_published_alignment(case, monkeypatch):
    monkeypatch.syspath_prepend(SPEC)
    sys.modules.pop("fill", None)
    import fill

    seed = json.loads(GOLDEN.read_text())["seed"]
    picture = fill.smooth_image(seed, f"geom.{case['name']}", (1, 3, *case["hw"]))[0]
    image = ((picture + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    expected = case["align ANTIALIAS=LANCZOS"]
    got = align_face(image, np.array(case["landmarks"], np.float64)).reshape(-1).astype(int)
    wanted = np.array(expected["sample"])
    assert np.abs(got[fill.sample_index(got.size, len(wanted))] - wanted).max() <= 2
    assert got.mean() == pytest.approx(np.mean(expected["mean"]), abs=0.5)


def turned(points, angle, about):
    c, s = np.cos(angle), np.sin(angle)
    return (points - about) @ np.array([[c, s], [-s, c]]) + about


def test_eye_distance_does_not_depend_on_roll_and_survives_profile():
    points = face(eye_distance=30.0, center=(100.0, 100.0)).landmarks.astype(np.float64)
    for angle in (0.3, 1.5, 3.0):
        assert eye_distance(turned(points, angle, [90, 80])) == pytest.approx(eye_distance(points))
    squeezed = points * [0.2, 1.0]
    assert eye_distance(squeezed) > 20


def test_quad_turns_and_scales_with_the_face():
    points = face(eye_distance=30.0, center=(100.0, 100.0)).landmarks.astype(np.float64)
    about = np.array([50.0, 60.0])
    np.testing.assert_allclose(ffhq_quad(turned(points, 0.7, about)), turned(ffhq_quad(points), 0.7, about), atol=1e-9)
    np.testing.assert_allclose(ffhq_quad(2 * points), 2 * ffhq_quad(points), atol=1e-9)


@pytest.mark.parametrize("center", [(150.0, 120.0), (4.0, 4.0), (295.0, 120.0), (-80.0, -60.0)])
def test_alignment_survives_any_place(center):
    image = np.random.default_rng(0).integers(0, 256, (240, 300, 3), np.uint8)
    crop = align_face(image, face(center=center, eye_distance=40.0).landmarks)
    assert crop.shape == (256, 256, 3)
    assert crop.dtype == np.uint8


def test_the_crop_is_cut_where_the_quad_is():
    y, x = np.mgrid[0:300, 0:300]
    image = np.dstack([x, y, x]).clip(0, 255).astype(np.uint8)
    points = face(center=(110.0, 100.0), eye_distance=30.0).landmarks
    quad = ffhq_quad(points)
    crop = align_face(image, points).astype(float)
    middle = quad.mean(axis=0)
    assert crop[127:129, 127:129, 0].mean() == pytest.approx(middle[0], abs=1)
    assert crop[127:129, 127:129, 1].mean() == pytest.approx(middle[1], abs=1)
