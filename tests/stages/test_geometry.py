"""Distances, the published window and the FFHQ crop, against reference values and against their own symmetries."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.geometry import (
    align_face,
    eye_centers,
    face_center,
    ffhq_quad,
    inter_ocular_distance,
    outside_share,
    published_window,
    robust_eye_distance,
)

SPEC = Path(__file__).parents[3] / "shared" / "spec"
needs_spec = pytest.mark.skipif(
    not (SPEC / "golden" / "geometry.json").is_file(), reason=f"no reference data in {SPEC}"
)


def make_face(center=(100.0, 90.0), distance=40.0, angle=0.0) -> np.ndarray:
    """[68, 2]: every eye point on its eye's centre, the mouth one eye distance below."""
    points = np.zeros((68, 2))
    points[36:42] += (-0.5, 0)
    points[42:48] += (0.5, 0)
    points[48] = (-0.4, 1)
    points[54] = (0.4, 1)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points * distance @ turn + center


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 250 / width, y * 250 / height, 120 + 60 * np.sin(x / 15)], axis=-1).astype(np.uint8)


@needs_spec
@pytest.mark.parametrize("name", ["center", "edge", "big", "portrait"])
def test_published_window_and_crop_match_the_reference(name):
    golden = json.loads((SPEC / "golden" / "geometry.json").read_text())
    case = next(case for case in golden["cases"] if case["name"] == name)
    landmarks = np.array(case["landmarks"], np.float64)
    height, width = case["hw"]
    got = published_window(landmarks, height, width)
    assert [got.height, got.width, got.top, got.bottom, got.left, got.right, got.scale] == case["crop"]

    sys.path.insert(0, str(SPEC))
    try:
        from fill import sample_index, smooth_image  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(SPEC))
    image = np.asarray(smooth_image(golden["seed"], f"geom.{name}", (1, 3, height, width)))[0].transpose(1, 2, 0)
    crop = align_face(((image + 1) * 127.5).astype(np.uint8), landmarks)
    reference = case["align ANTIALIAS=LANCZOS"]
    assert crop.shape == tuple(reference["shape"])
    sample = crop.ravel()[sample_index(crop.size, len(reference["sample"]))].astype(int)
    assert np.abs(sample - reference["sample"]).max() <= 2
    assert crop.mean() == pytest.approx(reference["mean"], abs=0.2)


def test_distances_of_a_known_face():
    face = make_face(center=(100, 90), distance=40, angle=0.3)
    assert face_center(face) == pytest.approx((100, 90))
    assert inter_ocular_distance(face) == pytest.approx(40)
    assert robust_eye_distance(face) == pytest.approx(40)
    left, right = eye_centers(face)
    assert left[0] < right[0]


def test_profile_keeps_its_size():
    face = make_face(distance=40)
    face[:, 0] = 100 + (face[:, 0] - 100) * 0.1  # turned by 84 degrees: the eyes fall together
    assert inter_ocular_distance(face) == pytest.approx(4)
    assert robust_eye_distance(face) == pytest.approx(36)


def test_outside_share_counts_landmarks_beyond_the_pixel_edges():
    face = np.full((68, 2), 10.0)
    face[:17] = (-0.6, 5)
    face[17:34] = (-0.4, 5)
    assert outside_share(face, 20, 20) == pytest.approx(17 / 68)


def test_published_window_has_no_answer_for_a_face_upside_down():
    with pytest.raises(ValueError, match="right eye"):
        published_window(make_face(angle=np.pi), 200, 200)


def test_quad_is_a_square_that_turns_and_grows_with_the_face():
    upright, turned = ffhq_quad(make_face()), ffhq_quad(make_face(distance=80, angle=0.5))
    sides = np.linalg.norm(np.roll(turned, -1, axis=0) - turned, axis=1)
    np.testing.assert_allclose(sides, 2 * np.linalg.norm(upright[3] - upright[0]))
    across = turned[3] - turned[0]
    assert np.arctan2(across[1], across[0]) == pytest.approx(0.5)
    np.testing.assert_allclose(upright.mean(axis=0), (100, 90 + 4))  # a tenth of the way from the eyes to the mouth


def test_crop_samples_where_the_quad_says():
    """On a picture whose red is x and green is y, the crop reads its own coordinates, truncated."""
    y, x = np.mgrid[:240, :240]
    image = np.stack([x, y, x * 0], axis=-1).astype(np.uint8)
    face = make_face(center=(120, 110), distance=30)
    quad, crop = ffhq_quad(face), align_face(image, face, size=64)
    for row, column in ((0, 0), (10, 50), (63, 63)):
        expected = quad[0] + (column + 0.5) / 64 * (quad[3] - quad[0]) + (row + 0.5) / 64 * (quad[1] - quad[0])
        assert crop[row, column, :2].tolist() == np.floor(expected + 1e-6).astype(int).tolist()


@pytest.mark.parametrize("center", [(5, 5), (195, 100), (-30, 90), (100, 260), (900, -500)])
def test_crop_beyond_the_picture_is_filled(center):
    crop = align_face(gradient(200, 200), make_face(center=center, distance=40))
    assert crop.shape == (256, 256, 3)
    assert crop[..., 2].min() > 30  # no black wedge: blue is at least 60 everywhere in the picture


def test_large_face_is_reduced_without_aliasing():
    """One-pixel stripes under a face of 600 px between the eyes: the crop is flat grey."""
    image = np.repeat(np.repeat((np.arange(1600) % 2 * 255).astype(np.uint8)[None, :, None], 1500, axis=0), 3, axis=2)
    crop = align_face(image, make_face(center=(800, 700), distance=600))
    inner = crop[64:192, 64:192].astype(float)
    assert inner.mean() == pytest.approx(127, abs=2)
    assert inner.std() < 6
