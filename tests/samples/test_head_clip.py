"""The committed clip: its motion is true, and what the gates use finds it."""

import itertools

import cv2
import numpy as np
import pytest

from pipeline.metrics.flow import FlowEstimator
from samples.make_head_clip import load_head_clip
from stages.motion import warp


@pytest.fixture(scope="module")
def clip():
    return load_head_clip()


def face(clip, n):
    """[H, W]: within the landmarks of frame n, and seen in the next one too."""
    box = np.zeros(clip.occluded[n].shape, bool)
    (left, top), (right, bottom) = clip.landmarks[n].min(axis=0).astype(int), clip.landmarks[n].max(axis=0).astype(int)
    box[top:bottom, left:right] = True
    return box & ~clip.occluded[n]


def test_its_parts_fit(clip):
    count, height, width, _ = clip.frames.shape
    assert clip.frames.dtype == np.uint8
    assert clip.flow.shape == (count - 1, height, width, 2)
    assert clip.occluded.shape == (count - 1, height, width)
    assert clip.landmarks.shape == (count, 68, 2)
    assert 0 < clip.occluded.mean() < 0.15


def test_the_motion_brings_every_frame_to_the_one_before(clip):
    frames = clip.frames.astype(np.float32)
    for n, (earlier, later) in enumerate(itertools.pairwise(frames)):
        here = face(clip, n)
        brought = np.abs(warp(later, clip.flow[n], cv2.INTER_CUBIC) - earlier)[here].mean()
        assert brought < 0.3 * np.abs(later - earlier)[here].mean()
        assert brought < np.abs(warp(later, -clip.flow[n]) - earlier)[here].mean() / 5


def test_the_landmarks_move_with_the_skin(clip):
    """The bridge of the nose, which no expression moves."""
    for n, flow in enumerate(clip.flow):
        x, y = np.rint(clip.landmarks[n, 28]).astype(int)
        assert clip.landmarks[n + 1, 28] - clip.landmarks[n, 28] == pytest.approx(flow[y, x], abs=0.2)


def test_the_gates_find_the_motion(clip):
    """Mean end-point error in the face below a third of the motion; 0.26 was the most."""
    estimate = FlowEstimator(512)
    frames = clip.frames.astype(np.float32) / 255
    for n, (earlier, later) in enumerate(itertools.pairwise(frames)):
        here, found = face(clip, n), estimate(earlier, later)
        error = np.linalg.norm(found.flow - clip.flow[n], axis=-1)[here].mean()
        assert error < np.linalg.norm(clip.flow[n], axis=-1)[here].mean() / 3
