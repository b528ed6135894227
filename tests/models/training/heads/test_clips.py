"""Clips of an egg: flow against the motion of known points."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")

from models.training.heads.clips import flow_between, make_clip, moving
from models.training.heads.sample import Renderer

SIZE = 96


@pytest.fixture(scope="module")
def clip(stage, scene):
    return make_clip(stage, scene, 3, SIZE)


def bilinear(field, points):
    x, y = points.T
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    top = field[y0, x0] * (1 - fx) + field[y0, x0 + 1] * fx
    return top * (1 - fy) + (field[y0 + 1, x0] * (1 - fx) + field[y0 + 1, x0 + 1] * fx) * fy


def test_shapes(clip):
    assert clip.frames.shape == (3, SIZE, SIZE, 3)
    assert clip.flow.shape == (2, SIZE, SIZE, 2)
    assert clip.flow.dtype == np.float32
    assert clip.occluded.shape == (2, SIZE, SIZE)
    assert 0 < clip.occluded.mean() < 0.3


def test_flow_carries_landmarks_to_the_next_frame(clip):
    inner = np.r_[17:36, 48:68]  # on the skin that faces the camera
    for n in range(2):
        now, then = clip.landmarks[n][inner], clip.landmarks[n + 1][inner]
        assert np.abs(then - now).max() > 0.05
        assert np.linalg.norm(now + bilinear(clip.flow[n], now) - then, axis=1).max() < 0.5


def test_a_still_scene_has_no_flow(stage, scene):
    renderer = Renderer(stage, SIZE)
    view = renderer.view(scene)
    flow, occluded = flow_between(view.mesh, view.mesh, view.camera, SIZE, (0.0, 0.0))
    assert np.abs(flow).max() < 2e-3
    assert not occluded.any()


def test_the_background_moves_with_the_pan_and_is_covered(stage, scene):
    renderer = Renderer(stage, SIZE)
    first = renderer.view(scene)
    second = renderer.moved(replace(scene, head=(0.3, 0.0, 0.0)), first)
    flow, occluded = flow_between(first.mesh, second.mesh, first.camera, SIZE, (3.0, -2.0))
    corner = (slice(0, 6), slice(0, 6))
    assert np.array_equal(flow[corner][..., 0], np.full((6, 6), 3.0, np.float32))
    assert occluded[0].all()  # what stood in the top row leaves the picture
    assert occluded[:, -2:].all()
    assert not occluded[3:6, :6].any()


def test_the_warped_next_frame_is_this_frame(clip):
    y, x = np.indices((SIZE, SIZE)).astype(np.float64)
    for n in range(2):
        target = np.stack([x, y], axis=-1) + clip.flow[n]
        good = ~clip.occluded[n] & (target >= 0).all(axis=-1) & (target < SIZE - 1).all(axis=-1)
        warped = bilinear(clip.frames[n + 1].astype(np.float64), target[good])
        assert np.median(np.abs(warped - clip.frames[n][good])) <= 3


def test_motion_begins_at_the_scene_and_is_smooth(scene):
    scenes = moving(scene, 30)
    assert scenes[0].head == scene.head
    assert scenes[0].pan == (0.0, 0.0)
    yaw = np.array([s.head[0] for s in scenes])
    assert np.abs(np.diff(yaw)).max() < 0.08
    assert np.ptp(yaw) > 0.02
    assert moving(scene, 30) == scenes
