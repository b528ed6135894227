"""EQ-T and EQ-R: networks whose equivariance is known."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.metrics.equivariance import decibels, eq_r, eq_t, random_shifts
from tests.pipeline.metrics.makers import texture

SIDE = 64


@pytest.fixture(scope="module")
def picture():
    return texture(128, 144, seed=4) * 2 - 1


def identity(x):
    return x


def convolution(x):
    """Zero-padded, and twice as large."""
    kernel = torch.ones(3, 1, 5, 5) / 25
    return F.interpolate(F.conv2d(x, kernel, padding=2, groups=3), scale_factor=2, mode="nearest")


def sticks(x):
    """Texture that stays where it is on the screen."""
    rows = torch.arange(x.shape[2]) % 4 < 2
    return x + 0.1 * (rows[:, None] * 2.0 - 1.0)


def test_definition_of_the_decibel():
    assert decibels(4.0) == pytest.approx(0)
    assert decibels(0.04) == pytest.approx(20 * math.log10(2) - 10 * math.log10(0.04))
    assert decibels(0.0) == pytest.approx(120)


@pytest.mark.parametrize("network", [identity, convolution])
def test_networks_without_a_grid_of_their_own_are_perfect(picture, network):
    found = eq_t(network, picture, [(3, 0), (-8, 5), (0, -7)], SIDE)
    assert found.db > 110
    assert [move for move, _ in found.cases] == [(3.0, 0.0), (-8.0, 5.0), (0.0, -7.0)]


def test_texture_that_sticks_has_the_decibels_of_its_amplitude(picture):
    by_two = eq_t(sticks, picture, [(0, 2)], SIDE)
    assert by_two.db == pytest.approx(decibels(0.2**2), abs=0.01)
    by_four = eq_t(sticks, picture, [(0, 4)], SIDE)
    assert by_four.db > 110, "a period of the texture"
    both = eq_t(sticks, picture, [(0, 2), (0, 4)], SIDE)
    assert both.db == pytest.approx(decibels(0.2**2 / 2), abs=0.01)


def test_strides_show(picture):
    """Pooling by 8 is equivariant to shifts by 8 only: why whole strides alone prove nothing."""

    def pooled(x):
        return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8, mode="nearest")

    assert eq_t(pooled, picture, [(8, 16)], SIDE).db > 110
    assert eq_t(pooled, picture, [(3, 0)], SIDE).db < 40


def test_fractions_of_a_pixel(picture):
    def doubled(x):
        return F.interpolate(x, scale_factor=2, mode="bicubic")

    assert 25 < eq_t(doubled, picture, [(0.5, 0)], SIDE).db < 110
    with pytest.raises(ValueError, match="no whole number of output pixels"):
        eq_t(doubled, picture, [(0.3, 0)], SIDE)


def test_zero_padding_is_hidden_by_the_border_only(picture):
    def wide(x):
        return F.conv2d(x, torch.ones(3, 1, 9, 9) / 81, padding=4, groups=3)

    assert eq_t(wide, picture, [(5, 0)], SIDE, border=0.15).db > 110
    assert eq_t(wide, picture, [(5, 0)], SIDE, border=0.0).db < 40


def test_rotation(picture):
    perfect = eq_r(identity, picture, [10, -25], SIDE).db
    assert perfect > 45, "Lanczos alone"

    def smeared(x):
        return F.avg_pool2d(F.pad(x, (3, 3, 0, 0), mode="reflect"), (1, 7), stride=1)

    assert eq_r(smeared, picture, [10, -25], SIDE).db < perfect - 10


def test_right_angles_are_exact(picture):
    assert eq_r(identity, picture, [90, 180], SIDE).db > 100


def test_pictures_that_are_too_small_are_refused(picture):
    with pytest.raises(ValueError, match="leaves a picture"):
        eq_t(identity, picture, [(60, 0)], SIDE)
    with pytest.raises(ValueError, match="turns out"):
        eq_r(identity, picture, [10], 120)


def test_random_shifts_are_within_an_eighth_and_repeatable():
    shifts = random_shifts(50, 256)
    assert shifts == random_shifts(50, 256)
    assert np.abs(shifts).max() <= 32
    assert (0, 0) not in shifts
