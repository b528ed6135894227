"""track with the embedded detector on a real face (NASA's portrait of Eileen Collins, public domain)."""

from collections.abc import Generator

import cv2
import numpy as np
import pytest

from models.blazeface import BlazeFaceDetector
from models.errors import CheckpointError
from stages.settle import Settle
from stages.track import Track, TrackConfig, load_detector
from stages.types import FaceSource, ShotFrame
from tests.stages.makers import clip, frame

CLIP = clip(320, 240)


def test_load_detector(tmp_path):
    assert load_detector(TrackConfig()).name == "blazeface"
    with pytest.raises(CheckpointError, match="face-alignment"):
        load_detector(TrackConfig(detector="face-alignment", weights_dir=tmp_path))


@pytest.fixture(scope="module")
def portrait():
    return pytest.importorskip("skimage.data", reason="scikit-image brings the portrait").astronaut()[:240, 64:384]


def real_frames(pictures) -> Generator[ShotFrame, None, None]:
    for number, picture in enumerate(pictures):
        yield ShotFrame(frame(number, picture.astype(np.float32) / 255, CLIP), 0)


@pytest.mark.parametrize("detect_every", [1, 7])
def test_a_still_picture_gives_the_same_bits_thirty_times(portrait, detect_every):
    config = TrackConfig(detect_every=detect_every)
    tracked = Track(config, BlazeFaceDetector()).stream(real_frames([portrait] * 30))
    out = list(Settle(config).stream(tracked))
    assert len(out) == 30
    first = out[0].faces[0]
    for item in out:
        (same,) = item.faces
        assert np.array_equal(same.landmarks, first.landmarks)
        assert (same.center, same.eye_distance, same.score) == (first.center, first.eye_distance, first.score)
        assert (same.source, same.track_id, same.outside) == (FaceSource.DETECTED, first.track_id, first.outside)


@pytest.mark.parametrize("detect_every", [1, 5])
def test_a_real_face_is_followed_through_pan_and_zoom(portrait, detect_every):
    moves = [np.array([[1 + 0.01 * k, 0, -2.0 * k], [0, 1 + 0.01 * k, -1.3 * k]]) for k in range(24)]
    pictures = [cv2.warpAffine(portrait, m, (320, 240), borderValue=(150, 140, 130)) for m in moves]
    pictures[10] = np.full_like(portrait, 128)  # a flash
    config = TrackConfig(detect_every=detect_every, smooth_s=0.1)
    out = list(Settle(config).stream(Track(config, BlazeFaceDetector()).stream(real_frames(pictures))))
    expected = [FaceSource.FILLED if k == 10 else FaceSource.DETECTED for k in range(24)]
    assert [found.source for item in out for found in item.faces] == expected
    eyes = np.array([202.0 + 247.5, 100.5 + 103.5]) / 2 - (64, 0)
    for k, (item, move) in enumerate(zip(out, moves, strict=True)):
        (found,) = item.faces
        assert found.track_id == 0
        assert found.center == pytest.approx(move[:, :2] @ eyes + move[:, 2], abs=4), k
        assert found.eye_distance == pytest.approx(46 * (1 + 0.01 * k), rel=0.12)
