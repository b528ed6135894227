"""Identity embeddings through a small ONNX file made here."""

import cv2
import numpy as np
import pytest

from models.errors import CheckpointError
from models.identity import TEMPLATE, IdentityNet, alignment
from tests.onnx_file import write_pooling_net


def landmarks(scale=1.0, angle=0.0, shift=(0.0, 0.0)):
    """68 points whose five are the template's, moved by a similarity transform."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = TEMPLATE
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + shift


def test_alignment_undoes_a_similarity_transform():
    matrix = alignment(landmarks(2.5, 0.4, (90, 30)))
    points = landmarks(2.5, 0.4, (90, 30))[[30, 48, 54]]
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE[2:], atol=1e-9)


def test_embedding_is_of_unit_norm_and_follows_the_face(tmp_path):
    net = IdentityNet(write_pooling_net(tmp_path / "id.onnx"))
    rng = np.random.default_rng(0)
    face = cv2.GaussianBlur(rng.integers(0, 256, (112, 112, 3)).astype(np.float32), (0, 0), 6)
    face = ((face - face.min()) * (255 / np.ptp(face))).astype(np.uint8)
    code = net(face, landmarks())
    assert code.shape == (16,)
    assert np.linalg.norm(code) == pytest.approx(1, abs=1e-5)
    matrix = np.array([[2.0, 0, 40], [0, 2.0, 10]])
    larger = np.asarray(cv2.warpAffine(face, matrix, (300, 260), flags=cv2.INTER_CUBIC), np.uint8)
    assert net(larger, landmarks(2.0, 0.0, (40, 10))) @ code > 0.999
    assert net(255 - face, landmarks()) @ code < 0


def test_files_that_are_no_network_are_user_errors(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        IdentityNet(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="cannot read"):
        IdentityNet(tmp_path / "bad.onnx")
