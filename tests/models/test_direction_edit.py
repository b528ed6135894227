"""Strength over time and the sum of several directions."""

import math

import pytest
import torch

from models.direction_edit import DirectionEdit, Keyframes, WeightedDirection
from models.errors import ModelError


def test_keyframes_are_exact_linear_between_and_held_outside():
    strength = Keyframes({48: 1.5, 8: -0.1, 24: 0.3})
    assert [strength.value(frame) for frame in (0, 8, 24, 48, 1000)] == [-0.1, -0.1, 0.3, 1.5, 1.5]
    assert strength.value(36) == pytest.approx(0.9)
    assert Keyframes.constant(2.0).value(7) == 2.0


def test_smooth_easing_rests_at_keyframes():
    linear, smooth = (Keyframes({0: 0.0, 100: 1.0}, easing) for easing in ("linear", "smooth"))
    assert [smooth.value(frame) for frame in (0, 50, 100)] == [0, 0.5, 1]
    steps = [smooth.value(frame + 1) - smooth.value(frame) for frame in range(100)]
    assert steps[0] < 0.001
    assert steps[-1] < 0.001
    assert max(steps) > 0.0149
    assert linear.value(1) == pytest.approx(0.01)


@pytest.mark.parametrize("points", [{}, {-1: 0.0}, {0: math.nan}, {0: 1.0, 5: math.inf}])
def test_keyframes_that_cannot_be(points):
    with pytest.raises(ModelError, match="keyframes"):
        Keyframes(points)


def test_offsets_add_up_within_their_layers():
    one, each = torch.randn(4), torch.randn(6, 4)
    edit = DirectionEdit(
        [
            WeightedDirection(one, Keyframes({0: 0.0, 10: 2.0}), (1, 2)),
            WeightedDirection(each, Keyframes.constant(-0.5)),
        ],
        num_styles=6,
        style_dim=4,
    )
    offset = edit.offset(5)
    expected = -0.5 * each
    expected[1:3] += one
    assert offset.shape == (1, 6, 4)
    assert offset.dtype == torch.float32
    assert torch.allclose(offset[0], expected, atol=1e-6)
    assert torch.equal(edit.offset(0)[0], -0.5 * each)
    assert torch.equal(edit.offset(5), offset)


def test_strength_zero_is_exactly_no_edit():
    directions = [torch.full((4,), 1e30), -torch.rand(6, 4)]
    edit = DirectionEdit([WeightedDirection(d, Keyframes.constant(0.0)) for d in directions], 6, 4)
    assert torch.equal(edit.offset(3), torch.zeros(1, 6, 4))
    assert not torch.signbit(edit.offset(3)).any()
    assert torch.equal(DirectionEdit([], 6, 4).offset(0), torch.zeros(1, 6, 4))


@pytest.mark.parametrize(
    "term",
    [
        WeightedDirection(torch.zeros(5), Keyframes.constant(1)),
        WeightedDirection(torch.zeros(3, 4), Keyframes.constant(1)),
        WeightedDirection(torch.zeros(1, 6, 4), Keyframes.constant(1)),
        WeightedDirection(torch.full((4,), math.nan), Keyframes.constant(1)),
        WeightedDirection(torch.zeros(4), Keyframes.constant(1), (5, 6)),
    ],
)
def test_directions_that_do_not_fit(term):
    with pytest.raises(ModelError, match="direction 0"):
        DirectionEdit([term], 6, 4)
