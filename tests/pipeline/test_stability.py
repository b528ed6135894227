"""The default render stands stiller than the published behaviour, by the clip's own motion.

One small drifting clip with grain and one head that talks, so that this cannot get lost unseen. How much of it a
filmed clip keeps, and how much softer the picture is, stands in docs/stability.md.
"""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.blazeface import BlazeFaceDetector
from models.zoo import WEIGHTS
from pipeline.config import load_config
from pipeline.resources import Loader
from pipeline.run import stream
from samples.make_head_clip import load_head_clip
from stages.motion import warp

COUNT, WIDTH, HEIGHT = 5, 200, 168
PUBLISHED = Path(__file__).parents[2] / "configs" / "published.yaml"
MARGIN = 0.8
"""Share of the published behaviour's flicker that is the most; 0.58 and 0.72 were measured."""
MARGIN_FRAME = 0.9
"""The same of `frame`."""


def about(landmarks):
    """(rows, columns) of the box that holds them."""
    (left, top), (right, bottom) = landmarks.min(axis=0).astype(int), landmarks.max(axis=0).astype(int)
    return slice(top, bottom), slice(left, right)


@pytest.fixture(scope="module")
def drifting(portrait):
    """(pictures, exact flow from each to the next [N − 1, H, W, 2] in pixels, box about the face)."""
    zooms = [0.575 + 0.0025 * k for k in range(COUNT)]
    matrices = [
        np.array([[zoom, 0, WIDTH / 2 - 222 * zoom + 0.35 * k], [0, zoom, HEIGHT / 2 - 150 * zoom - 0.2 * k]])
        for k, zoom in enumerate(zooms)
    ]
    rng = np.random.default_rng(0)
    frames = []
    for matrix in matrices:
        moved = cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.clip(np.rint(moved + rng.normal(0, 2, moved.shape)), 0, 255).astype(np.uint8))
    y, x = np.indices((HEIGHT, WIDTH)).astype(np.float64)
    here = np.stack([x, y, np.ones_like(x)], axis=-1)
    whole = [np.vstack([matrix, [0, 0, 1]]) for matrix in matrices]
    steps = [(b @ np.linalg.inv(a))[:2] for a, b in itertools.pairwise(whole)]
    flow = np.stack([here @ step.T - here[..., :2] for step in steps]).astype(np.float32)
    return frames, flow, about(BlazeFaceDetector().detect(frames[0])[0].landmarks)


@pytest.fixture(scope="module")
def talking():
    """The same of a synthetic head that turns and talks."""
    clip = load_head_clip()
    return list(clip.frames), clip.flow, about(clip.landmarks[0])


@pytest.fixture
def flicker(tmp_path):
    """Callable: (frames, flow, box, config, latents) → (warping error, energy of second differences) in the box."""
    loader, common = Loader(), {"device": "cpu", "model": str(WEIGHTS / "lite_toon.safetensors")}

    def measure(frames, flow, box, config=None, latents=None):
        for k, frame in enumerate(frames):
            cv2.imwrite(str(tmp_path / f"{k:04d}.png"), np.ascontiguousarray(frame[:, :, ::-1]))
        settings = common | ({"style.latents": latents} if latents else {})
        drawn = stream(tmp_path, config=load_config(config), overrides=settings, loader=loader)
        pictures = np.stack([frame.image for frame in drawn]).astype(np.float32) / 255
        moved = [np.square(warp(b, f) - a)[box] for a, b, f in zip(pictures, pictures[1:], flow, strict=False)]
        wobble = pictures[:-2] - 2 * pictures[1:-1] + pictures[2:]
        return np.array([np.mean(moved), np.mean(np.square(wobble)[:, *box])])

    return measure


def test_shot_and_smooth_flicker_less_than_frame_and_the_published_behaviour(drifting, flicker):
    published, frame = flicker(*drifting, PUBLISHED), flicker(*drifting, latents="frame")
    for latents in ("shot", "smooth"):
        ours = flicker(*drifting, latents=latents)
        assert (ours < MARGIN * published).all(), latents
        assert (ours < MARGIN_FRAME * frame).all(), latents


def test_a_head_that_turns_and_talks_flickers_less_too(talking, flicker):
    """By its exact motion alone: second differences are the head's own at three pixels a frame."""
    published, ours = flicker(*talking, PUBLISHED), flicker(*talking)
    assert ours[0] < MARGIN * published[0]
