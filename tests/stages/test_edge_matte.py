"""The rough egg about a head, drawn to the edges of the picture beneath it."""

import numpy as np
import pytest
import torch

from stages.edge_matte import guided, to_edges
from stages.paste import fade

SIDE = 40.0


def scene(width=160, height=160, head=(0.55, 0.35, 0.25), wall=(0.1, 0.4, 0.8), grain=0.02, middle=(80.0, 80.0)):
    """A narrow head before a wall: (radius of a wider egg, picture, where the head is)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    radius = torch.hypot(x - middle[0], y - middle[1]) / (1.15 * SIDE)
    inside = radius < 0.78
    picture = torch.where(inside, torch.tensor(head)[:, None, None], torch.tensor(wall)[:, None, None])
    picture += grain * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    return radius.float(), picture.float(), inside


def test_it_ends_where_the_head_ends():
    radius, picture, inside = scene()
    matte = to_edges(radius, picture, SIDE)
    near = (radius > 0.74) & (radius < 0.82)
    assert matte[inside & ~near].min() > 0.9
    assert matte[~inside & ~near].max() < 0.1
    rough = fade(radius, 1, 0.7)  # the egg alone lets the wall through
    assert rough[~inside & ~near].max() > 0.6


@pytest.mark.parametrize("grain", [0.0, 0.02])
def test_before_a_wall_of_its_own_colour_the_egg_stays_smooth(grain):
    radius, picture, _ = scene(wall=(0.55, 0.35, 0.25), grain=grain)
    matte = to_edges(radius, picture, SIDE)
    assert matte[radius < 0.4].min() > 0.99
    assert matte[radius > 1.3].max() < 0.05
    assert (matte[:, 1:] - matte[:, :-1]).abs().max() < 0.2  # over ten pixels, of forty


def test_the_face_is_held_whatever_its_colours():
    radius, picture, _ = scene()
    picture[:, 70:90, 70:90] = torch.tensor([0.1, 0.4, 0.8])[:, None, None]  # eyes as blue as the wall
    assert to_edges(radius, picture, SIDE)[70:90, 70:90].min() > 0.99


def test_a_matte_of_one_value_stays():
    _, picture, _ = scene(50, 30)
    torch.testing.assert_close(guided(torch.ones(30, 50), picture, 9.0), torch.ones(30, 50), atol=1e-5, rtol=0)


def test_it_moves_with_the_head_and_does_not_flicker():
    """Half a pixel of movement of the egg, and new grain, move the matte by a few hundredths."""
    radius, picture, inside = scene()
    other, _, _ = scene(middle=(80.5, 80.0))
    grain = 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(2))
    first, second = to_edges(radius, picture, SIDE), to_edges(other, picture + grain, SIDE)
    assert (first - second).abs().mean() < 0.005
    assert (first - second)[~inside].abs().max() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (7, 5)])
def test_parts_of_any_shape(shape):
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(rng.random((3, *shape), np.float32))
    matte = to_edges(torch.from_numpy(rng.random(shape, np.float32) * 2), picture, SIDE)
    assert matte.shape == shape
    assert matte.isfinite().all()
    assert 0 <= matte.min() <= matte.max() <= 1
