import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.training.views import Face, ViewSettings, aligned_view, draw_view, sampling_grid, take
from tests.models.training.drawn_heads import draw_head


@pytest.fixture(scope="module")
def head():
    image, parsing, marks = draw_head(np.random.default_rng(3), 256)
    return image, parsing, Face.from_landmarks(marks, 256, 256)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def test_average_aligned_face_fills_its_own_crop():
    view = aligned_view(Face.of_aligned(), 1.0)
    assert view == pytest.approx(np.array([[256, 0, 0], [0, 256, 0]]), abs=4)


@pytest.mark.parametrize("mirror", [0, 1])
def test_eyes_have_the_distance_that_was_asked_for(head, mirror):
    *_, face = head
    settings = ViewSettings(eye_distance_px=(70, 70.001), rotation_deg=8, reach=0.5, mirror=mirror)
    for seed in range(5):
        view = draw_view(np.random.default_rng(seed), face, 1.0, 128, settings)
        left, right = face.eyes @ view[:, :2].T + view[:, 2]
        assert np.linalg.norm(right - left) == pytest.approx(70, abs=0.1)
        assert (right[0] > left[0]) == (not mirror)


def test_a_source_of_twice_the_size_gives_the_same_crop(head):
    image, _, face = head
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    view = draw_view(np.random.default_rng(0), face, 1.0, 96, ViewSettings())
    a, b = (take(picture, view, 96, "linear").astype(float) for picture in (image, large))
    assert np.abs(a - b).mean() < 3


def test_larger_targets_show_the_same(head):
    image, _, face = head
    view = draw_view(np.random.default_rng(1), face, 1.0, 64, ViewSettings())
    large = take(image, view, 64, scale=4.0)
    assert large.shape == (256, 256, 3)
    small = F.interpolate(to_tensor(large), (64, 64), mode="area")
    assert (small - to_tensor(take(image, view, 64))).abs().mean() < 6


def test_labels_stay_labels(head):
    _, parsing, face = head
    view = draw_view(np.random.default_rng(2), face, 1.0, 64, ViewSettings())
    assert set(np.unique(take(parsing, view, 64, "nearest"))) <= set(np.unique(parsing))


def test_grid_takes_the_aligned_face_out_of_a_view(head):
    image, _, face = head
    settings = ViewSettings(eye_distance_px=(64, 65), reach=0, rotation_deg=5)
    view, style = draw_view(np.random.default_rng(4), face, 1.0, 256, settings), aligned_view(face, 1.0)
    theta = torch.from_numpy(sampling_grid(view, style, 256, 256))[None]
    crop = to_tensor(take(image, view, 256, "linear"))
    found = F.grid_sample(crop, F.affine_grid(theta, [1, 3, 256, 256], align_corners=False), align_corners=False)
    wanted = to_tensor(take(image, style, 256, "linear"))
    inner = slice(70, 200)
    assert (found - wanted)[:, :, inner, inner].abs().mean() < 2
