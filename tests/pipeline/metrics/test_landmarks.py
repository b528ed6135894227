"""Landmark jitter, with the real detector on a real face."""

import cv2
import numpy as np
import pytest

from models.blazeface import BlazeFaceDetector
from pipeline.metrics import measure_arrays
from pipeline.metrics.landmarks import Faces, jitter
from pipeline.metrics.pairs import Pair


@pytest.fixture(scope="module")
def detector():
    return BlazeFaceDetector()


def views(portrait, shifts):
    frames = []
    for x in shifts:
        matrix = np.array([[0.6, 0, x - 40.0], [0, 0.6, -10]])
        frames.append(np.asarray(cv2.warpAffine(portrait, matrix, (200, 180), flags=cv2.INTER_AREA)))
    return frames


def test_steady_motion_has_no_jitter():
    a = np.random.default_rng(0).uniform(0, 100, (68, 2)).astype(np.float32)
    step = np.array([3, -2], np.float32)
    assert jitter(a, a + step, a + 2 * step, 50.0) == pytest.approx(0, abs=1e-6)
    assert jitter(a, a + 5, a, 50.0) == pytest.approx(2 * np.hypot(5, 5) / 50)


def test_jitter_of_the_output_is_measured_and_named(portrait, detector):
    frames = views(portrait, [20 + 0.5 * i for i in range(12)])
    steady = measure_arrays(frames, frames, detector=detector)
    verdict = next(v for v in steady.verdicts if v.metric == "landmark_jitter")
    assert verdict.status == "passed"
    assert verdict.value == pytest.approx(1)
    shaken = views(portrait, [20 + 0.5 * i + (4 if i == 6 else 0) for i in range(12)])
    verdict = next(
        v for v in measure_arrays(frames, shaken, detector=detector).verdicts if v.metric == "landmark_jitter"
    )
    assert verdict.status == "failed"
    assert verdict.frames == (6,)


def test_an_output_without_a_face_is_not_measured(portrait, detector):
    frames = views(portrait, [20.0] * 4)
    report = measure_arrays(frames, [np.full_like(f, 90) for f in frames], detector=detector)
    verdict = next(v for v in report.verdicts if v.metric == "landmark_jitter")
    assert verdict.status == "not measured"
    assert "0 of 4 output frames" in verdict.note


def test_no_face_is_searched_for_now_and_then(detector):
    calls = []

    class Counting:
        def detect(self, image):
            calls.append(image)
            return []

    faces = Faces(Counting())  # pyright: ignore[reportArgumentType]
    grey = np.full((48, 64, 3), 0.5, np.float32)
    for index in range(10):
        assert faces(Pair(index, 0, grey, grey)) is None
    assert len(calls) == 2
