"""The z-buffer against arithmetic."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")

from models.training.heads.raster import dot, interpolate, rasterise, unit, vertex_normals

QUAD = np.array([[-1, -1], [17, -1], [-1, 17], [17, 17]], np.float32)
BOTH = np.array([[0, 1, 2], [1, 3, 2]], np.int32)


def test_two_triangles_leave_no_crack():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = QUAD + rng.uniform(-0.9, 0.9, QUAD.shape).astype(np.float32)
        assert rasterise(corners, np.ones(4, np.float32), BOTH, 16, 16).mask.all()


def test_a_triangle_covers_the_centres_inside_it():
    screen = np.array([[2, 2], [6, 2], [2, 6]], np.float32)
    seen = rasterise(screen, np.ones(3, np.float32), np.array([[0, 1, 2]], np.int32), 9, 9).mask
    y, x = np.indices((9, 9))
    assert np.array_equal(seen, (x >= 2) & (y >= 2) & (x + y <= 8))


def test_interpolation_is_that_of_a_plane_in_space():
    points = np.array([[-2, -2, 3], [2.5, -1.5, 5], [-1.5, 2.5, 9], [3, 3, 4]], np.float32)
    inverse = 1 / points[:, 2]
    screen = points[:, :2] * inverse[:, None] * 30 + 20
    triangles = np.array([[0, 1, 2]], np.int32)
    coverage = rasterise(screen, inverse, triangles, 40, 40)
    assert coverage.mask.sum() > 50
    values = interpolate(coverage, triangles, points)
    y, x = np.nonzero(coverage.mask)
    projected = values[:, :2] / values[:, 2:] * 30 + 20
    assert np.abs(projected - np.stack([x, y], axis=1)).max() < 1e-3
    assert np.allclose(1 / values[:, 2], coverage.inverse_depth[coverage.mask], rtol=1e-4)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    assert np.abs((values - points[0]) @ normal).max() < 1e-2 * np.linalg.norm(normal)


def test_the_nearer_triangle_is_seen_whatever_the_order():
    screen = np.concatenate([QUAD, QUAD])
    inverse = np.array([0.5] * 4 + [1.0] * 4, np.float32)
    far, near = BOTH, BOTH + 4
    first = rasterise(screen, inverse, np.concatenate([far, near]), 16, 16)
    second = rasterise(screen, inverse, np.concatenate([near, far]), 16, 16)
    assert (first.triangle >= 2).all()
    assert (second.triangle < 2).all()


def test_nothing_behind_the_camera_is_seen():
    inverse = np.array([1, 1, 0, 1], np.float32)
    assert not rasterise(QUAD, inverse, BOTH, 8, 8).mask.any()


def test_normals_point_out_of_a_turning_triangle():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], np.float32)
    normals = vertex_normals(vertices, np.array([[0, 1, 2]], np.int32))
    assert np.allclose(normals[:3], [0, 0, 1])
    assert not normals[3].any()


def test_vectors():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 30, 3)).astype(np.float32)
    assert np.allclose(dot(a, b), (a * b).sum(axis=1), atol=1e-6)
    assert np.allclose(np.linalg.norm(unit(a), axis=1), 1, atol=1e-6)
