"""The egg about a head: where it lies, how it ends, the same in numpy and PyTorch."""

import numpy as np
import pytest
import torch

from stages.align import place_in_square
from stages.crop import full_window
from stages.geometry import Similarity
from stages.paste import HEAD_ABOVE, HEAD_BELOW, HEAD_MIDDLE, HEAD_WIDTH, Paste, fade, head_radius
from stages.types import CropWindow

SQUARE = Similarity(60.25, 44.5, 21.0, 0.4)


def grid(count=81):
    across, down = np.meshgrid(np.linspace(-2, 2, count, dtype=np.float32), np.linspace(-2, 2, count, dtype=np.float32))
    return across, down


def head_matte(across, down, feather):
    return fade(head_radius(across, down), 1, 1 - 2 * feather)


def test_it_holds_the_head_and_falls_smoothly_to_nothing():
    across, down = grid()
    matte = head_matte(across, down, 0.15)
    held = {"brows": (0.5, -0.25), "ear": (0.7, 0.1), "chin": (0.0, 0.75), "hair": (0.0, -0.9), "eye": (-0.4, -0.05)}
    for name, (x, y) in held.items():
        assert head_matte(np.array([[x]], np.float32), np.array([[y]], np.float32), 0.15) == 1, name
    assert (matte[:, [0, -1]] == 0).all()
    assert (matte[[0, -1]] == 0).all()
    assert np.array_equal(matte, matte[:, ::-1])
    right = matte[:, across[0] >= 0]
    assert (np.diff(right, axis=1) <= 1e-6).all()
    assert np.abs(np.diff(matte, axis=1)).max() < 0.35  # no edge: a step of 1/20 half side


def test_numpy_and_pytorch_agree():
    across, down = grid()
    there = head_matte(torch.from_numpy(across), torch.from_numpy(down), 0.15).numpy()
    assert there.dtype == head_matte(across, down, 0.15).dtype == np.float32
    np.testing.assert_allclose(there, head_matte(across, down, 0.15), atol=1e-6)


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize(
    "window",
    [full_window(128, 96, 0.8, margin=8), full_window(128, 96, 0.77), CropWindow(1.0, 30.5, 10, 64, 64, False)],
    ids=["whole", "whole, rounded down", "window"],
)
def test_nothing_of_it_lies_outside_its_box(zoom, window):
    size = 128 * zoom, 96 * zoom
    paste = Paste(window, (2 * window.height, 2 * window.width), (128, 96), size, 0.15, SQUARE)
    y, x = np.mgrid[: size[1], : size[0]]
    points = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / zoom - 0.5
    across, down = ((place_in_square(points, SQUARE) + 0.5) / 128 - 1).astype(np.float32).T.reshape(2, *x.shape)
    wanted = head_matte(across, down, 0.15)
    if not window.full:  # what the window does not hold is cut off
        outside = (x < 30 * zoom) | (x >= 95 * zoom) | (y < 10 * zoom) | (y >= 74 * zoom)
        wanted[outside] = 0
    left, top, right, bottom = paste.box
    rest = wanted.copy()
    rest[top:bottom, left:right] = 0
    assert not rest.any()
    place = paste.head_place()
    assert place is not None
    across, down = (rows[:, None] + columns[None, :] for rows, columns in place)
    got = head_matte(across, down, 0.15)
    edges = np.multiply.outer(*paste.edges())
    if window.full:
        assert (edges == 1).all()
        np.testing.assert_allclose(got, wanted[top:bottom, left:right], atol=1e-4)
    else:
        assert (got * edges <= got).all()
        assert (edges < 1).any()


def test_its_size_is_said_in_half_sides_of_the_aligned_square():
    paste = Paste(full_window(400, 400, 1.0), (400, 400), (400, 400), (400, 400), 0.1, Similarity(200, 200, 100, 0.0))
    left, top, right, bottom = paste.box
    assert right - left == pytest.approx(200 * HEAD_WIDTH, abs=2)
    assert 200.5 - top == pytest.approx(100 * (HEAD_ABOVE - HEAD_MIDDLE), abs=1)
    assert bottom - 200.5 == pytest.approx(100 * (HEAD_BELOW + HEAD_MIDDLE), abs=1)
    assert not paste.full
