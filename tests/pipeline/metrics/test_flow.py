"""Flow, occlusion mask and residuals against motions that are known."""

import numpy as np
import pytest

from pipeline.metrics.flow import FlowEstimator, Residual, Trio, bring, excess, pop, pops, residual, tint, visible
from stages.motion import warp
from tests.pipeline.metrics.makers import clip, texture


def motion_of(x, y, height=60, width=80):
    flow = np.zeros((height, width, 2), np.float32)
    flow[..., 0], flow[..., 1] = x, y
    return flow


def pictures(*indices):
    frames = clip(max(indices) + 1)
    return [frames[i].astype(np.float32) / 255 for i in indices]


def test_warp_takes_the_value_where_the_flow_points():
    picture = texture(60, 80)
    np.testing.assert_allclose(warp(picture, motion_of(3, -2))[10, 20], picture[8, 23], atol=1e-6)
    np.testing.assert_allclose(warp(picture, motion_of(0.5, 0))[10, 20], picture[10, 20:22].mean(axis=0), atol=1e-6)


def test_dis_finds_the_motion():
    earlier, later = pictures(5, 6)
    motion = FlowEstimator(512)(earlier, later)
    from tests.pipeline.metrics.makers import path

    moved = np.subtract(path(6), path(5))
    found = np.median(motion.flow[20:-20, 20:-20].reshape(-1, 2), axis=0)
    np.testing.assert_allclose(found, moved, atol=0.15)
    assert motion.visible[10:-10, 10:-10].mean() > 0.95


def test_opposite_flows_are_visible_and_others_hidden():
    there = motion_of(4, 0)
    assert visible(there, motion_of(-4, 0))[:, :-5].all()
    assert not visible(there, motion_of(-4, 0))[:, -3:].any(), "leaves the picture"
    assert not visible(there, motion_of(0, 0)).any(), "|4|² > 0.01·16 + 0.5"
    assert visible(motion_of(0.5, 0), motion_of(0, 0))[:, :-1].all(), "0.25 < 0.5"


def test_a_motion_boundary_is_hidden():
    there = motion_of(0, 0)
    there[:, 40:, 0] = 1.0
    mask = visible(there, -there)
    assert not mask[:, 39:41].any()
    assert mask[:, :38].all()


def test_residual_measures_a_known_shift_and_offset():
    earlier = texture(90, 120)
    later = np.roll(earlier, (0, 1), (0, 1)) + np.array([0.02, 0.0, -0.01], np.float32)
    region = np.zeros((90, 120), bool)
    region[10:80, 10:110] = True
    found = residual(earlier, later, region)
    assert found is not None
    # later(p) = earlier(p − 1): the content stands one pixel to the right.
    assert found.shift[0] == pytest.approx(-1, abs=0.2)
    assert found.shift[1] == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(found.offset, [0.02, 0, -0.01], atol=2e-3)
    expected = np.square(later - earlier)[region].mean()
    assert found.error == pytest.approx(expected, rel=1e-3)


def test_a_flat_picture_has_no_shift():
    flat = np.full((60, 80, 3), 0.5, np.float32)
    found = residual(flat, flat + np.float32(0.01), np.ones((60, 80), bool))
    assert found is not None
    assert np.abs(found.shift).max() < 1e-6
    np.testing.assert_allclose(found.offset, 0.01, atol=1e-5)


def test_a_small_region_says_nothing():
    picture = texture(60, 80)
    region = np.zeros((60, 80), bool)
    region[:5, :5] = True
    assert residual(picture, picture, region) is None


def test_what_the_input_has_too_is_no_excess():
    source = Residual(0.0, np.array([0.3, 0.1]), np.array([0.02, -0.02, 0.0]))
    assert excess(source, source) == (0.0, 0.0)
    result = Residual(0.0, np.array([0.3, 1.1]), np.array([0.05, -0.02, 0.0]))
    assert excess(source, result) == pytest.approx((1.0, 0.02))


def test_working_size_is_bounded():
    estimator = FlowEstimator(512)
    assert estimator.size(3840, 2160) == (512, 288)
    assert estimator.size(400, 336) == (400, 336)
    assert min(estimator.size(4000, 20)) >= 16


def test_neighbours_are_brought_onto_each_other():
    earlier, later = pictures(5, 6)
    motion = FlowEstimator(512)(earlier, later)
    brought = bring(earlier, later, motion)
    for there, here, seen in ((brought.later, earlier, motion.visible), (brought.earlier, later, motion.visible_back)):
        moved, still = np.abs(there - here)[seen].mean(), np.abs(earlier - later)[seen].mean()
        assert moved < 0.35 * still


def test_pop_counts_areas_and_not_grain():
    picture = texture(60, 80)
    seen = np.ones((60, 80), bool)
    grain = np.random.default_rng(0).choice([-0.02, 0.02], picture.shape).astype(np.float32)
    step = np.float32(0.02)
    assert pop(Trio(picture, picture + step, picture), seen) == pytest.approx(0.02, rel=1e-3)
    assert pop(Trio(picture - step, picture, picture + step), seen) == pytest.approx(0, abs=1e-6)
    assert pop(Trio(picture, picture + grain, picture), seen) < 0.005


def test_tint_counts_colors_that_the_input_does_not_have():
    picture = texture(60, 80)
    seen = np.ones((60, 80), bool)
    still, flash = Trio(picture, picture, picture), Trio(picture, picture + np.float32(0.02), picture)
    assert tint(flash, flash, seen) == pytest.approx((0.02, 0), abs=1e-5)
    assert tint(still, flash, seen) == pytest.approx((0, 0.02), abs=1e-5)
    redder = np.array([0.02, 0, -0.02], np.float32)
    assert tint(still, Trio(picture, picture + redder, picture), seen)[1] == pytest.approx(
        0.02 * (2 / 3) ** 0.5, rel=1e-3
    )
    found = pops(still, flash, seen)
    assert found is not None
    assert found == pytest.approx({"input_pop": 0, "output_pop": 0.02, "input_tint": 0, "output_tint": 0.02}, abs=1e-5)
    assert pops(still, flash, ~seen) is None
