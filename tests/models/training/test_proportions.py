"""A counterpart bent towards its scene: nothing, all, or a part of its proportions."""

import numpy as np
import pytest

from models.training.proportions import PARTS, Proportions, bend


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    scene = rng.uniform(30, 98, (68, 2))
    return scene, scene + rng.uniform(-3, 3, (68, 2))


def test_shares_hold_for_their_part_alone(points):
    scene, drawn = points
    wanted = Proportions(jaw=0, brows=0, nose=0, eyes=0.5, mouth=1).between(scene, drawn)
    moved = {part: wanted[a:b] - scene[a:b] for part, (a, b) in PARTS.items()}
    assert not any(moved[part].any() for part in ("jaw", "brows", "nose"))
    eyes, mouth = slice(36, 48), slice(48, 68)
    assert np.allclose(moved["eyes"], 0.5 * (drawn - scene)[eyes])
    assert np.allclose(moved["mouth"], (drawn - scene)[mouth])


def test_points_that_stay_leave_the_picture_alone(points):
    picture = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    assert np.array_equal(bend(picture, points[1], points[1]), picture)


def test_a_mark_goes_where_its_point_goes():
    grid = np.array([(x, y) for y in range(24, 105, 10) for x in range(24, 105, 10)], float)[:68]
    wanted = grid + np.array([3, -2])
    picture = np.zeros((128, 128, 3), np.uint8)
    x, y = grid[30].astype(int)
    picture[y - 1 : y + 2, x - 1 : x + 2] = 255
    rows, columns = np.nonzero(bend(picture, grid, wanted)[..., 0] > 60)
    assert columns.mean() == pytest.approx(x + 3, abs=0.8)
    assert rows.mean() == pytest.approx(y - 2, abs=0.8)
