"""The resampler: exact where it can be, anti-aliased and phase-correct everywhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.resample import KERNELS, Resampler, axis_operator

SCALES = [0.21, 0.5, 0.73, 1.0, 1.37, 4.0]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel != "bspline"])
@pytest.mark.parametrize("offset", [0, 3, -5])
def test_whole_offset_at_scale_one_copies_exactly(kernel, offset):
    image = picture(20, 24)
    out = Resampler(axis_operator(20, 20, 1.0, offset, kernel), axis_operator(24, 24, 1.0, 0.0, kernel))(image)
    index = np.arange(20) + offset
    index = np.where(index < 0, -1 - index, np.where(index >= 20, 39 - index, index))
    assert np.array_equal(out, image[index])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("edge", ["reflect", "clip"])
@given(scale=st.floats(0.1, 8), offset=st.floats(-40, 40), size=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_constants_are_preserved_also_far_outside(kernel, edge, scale, offset, size):
    offset = offset if edge == "reflect" else 0.0
    out_size = max(int(size * scale), 1)
    out = axis_operator(size, out_size, scale, offset, kernel, edge) @ np.full(size, 0.7, np.float32)
    np.testing.assert_allclose(out, 0.7, rtol=1e-5)


@pytest.mark.parametrize("kernel", ["cubic", "triangle"])
@pytest.mark.parametrize("scale", [1.0, 2.0, 3.3, 0.5, 0.25])
def test_ramps_keep_their_positions(kernel, scale):
    """Value = position, so the output reads its own in-coordinate: a half-pixel slip would show at once."""
    offset = 1.25
    count = int(40 * scale)
    out = axis_operator(64, count, scale, offset, kernel) @ np.arange(64, dtype=np.float32)
    expected = (np.arange(count) + 0.5) / scale + offset - 0.5
    inside = (expected > 2 / min(scale, 1) + 1) & (expected < 62 - 2 / min(scale, 1))
    assert inside.sum() > 5
    # A widened kernel whose width is not a whole number of samples ripples a little, as every normalised one does.
    np.testing.assert_allclose(out[inside], expected[inside], atol=0.01)


@pytest.mark.parametrize("scale", [0.25, 0.6, 1.7])
def test_a_moving_grating_moves_smoothly(scale):
    """Resampling a grating that moved by d equals resampling the still one with the offset moved by d."""
    period, size = 12.0, 160
    count = int((size - 40) * scale)
    x = np.arange(size)
    for shift in (0.1, 0.37, 0.5, 0.81):
        moved = np.sin(2 * np.pi * (x - shift) / period).astype(np.float32)
        still = np.sin(2 * np.pi * x / period).astype(np.float32)
        a = axis_operator(size, count, scale, 20.0) @ moved
        b = axis_operator(size, count, scale, 20.0 - shift) @ still
        # 2 % of the amplitude; taking every fourth sample without a prefilter errs by tens of percent
        np.testing.assert_allclose(a, b, atol=0.02)


def test_reduction_removes_what_it_cannot_carry():
    """A two-pixel checkerboard reduced to a quarter is flat grey, at any phase."""
    stripes = (np.arange(200) % 2).astype(np.float32)
    for offset in (0.0, 0.3, 0.5, 1.1):
        out = axis_operator(200, 40, 0.25, 10 + offset) @ stripes
        np.testing.assert_allclose(out, 0.5, atol=0.01)


def test_up_then_down_gives_the_picture_back():
    y, x = np.mgrid[:48, :56]
    image = np.stack([np.sin(x / 7), np.cos(y / 6), np.sin((x + y) / 9)], axis=-1).astype(np.float32)
    up = Resampler(axis_operator(48, 192, 4.0, 0.0), axis_operator(56, 224, 4.0, 0.0))
    down = Resampler(axis_operator(192, 48, 0.25, 0.0), axis_operator(224, 56, 0.25, 0.0))
    np.testing.assert_allclose(down(up(image)), image, atol=0.02)


@pytest.mark.parametrize("scale", SCALES)
def test_the_order_of_the_axes_does_not_matter(scale):
    image = picture(30, 45)
    rows, cols = axis_operator(30, 17, 17 / 30, 0.0), axis_operator(45, int(45 * scale), scale, 0.0)
    expected = np.einsum("ih,hwc,jw->ijc", rows.toarray(), image, cols.toarray())
    out = Resampler(rows, cols)(image)
    assert out.dtype == np.float32
    assert out.shape == (17, int(45 * scale), 3)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_lanczos_clip_agrees_with_the_definition():
    """Row of a 2:1 lanczos3 reduction against weights written out from sinc(x)·sinc(x/3)."""
    operator = axis_operator(32, 16, 0.5, 0.0, "lanczos3", "clip").toarray()
    distance = (np.arange(32) - (7 + 0.5) * 2 + 0.5) / 2
    weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    np.testing.assert_allclose(operator[7], weights / weights.sum(), atol=1e-6)


def test_wrong_size_says_what_was_expected():
    with pytest.raises(ValueError, match=r"expected 8×9 pixels, got 8×8"):
        Resampler(axis_operator(8, 4, 0.5, 0), axis_operator(9, 4, 0.5, 0))(picture(8, 8))
