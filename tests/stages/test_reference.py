"""Pictures named besides the clip, through a detector that says where the face is."""

import cv2
import numpy as np
import pytest
import torch

from models.blazeface import BlazeFaceDetector
from models.config import SIZES
from models.styleganex import StyleGANEX
from stages.errors import MediaError, NoFaceError
from stages.geometry import EYE_DISTANCE, face_center, robust_eye_distance
from stages.recipe import Tools
from stages.reference import largest_face, reference_latent, reference_wplus
from tests.golden.make_model_goldens import fill


@pytest.fixture(scope="module")
def net():
    return fill(StyleGANEX(SIZES["tiny"])).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def detector():
    return BlazeFaceDetector()


@pytest.fixture(scope="module")
def photo(tmp_path_factory, portrait):
    """Two faces, the portrait and a smaller one beside it."""
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    picture = np.full((512, 768, 3), 128, np.uint8)
    picture[:, :512], picture[128:384, 512:] = portrait, small
    path = tmp_path_factory.mktemp("photo") / "two.png"
    cv2.imwrite(str(path), picture[:, :, ::-1])
    return path


def test_largest_face_of_several(photo, detector):
    _, face = largest_face(photo, detector)
    assert face_center(face.landmarks)[0] < 512


def test_latent_of_a_window_at_face_scale(photo, detector, net):
    latent = reference_latent(photo, net, detector, 128)
    assert latent.feature is not None
    assert latent.feature.shape[2:] == (16, 16)
    assert len(latent.skips) == net.config.num_skips
    wplus = reference_wplus(photo, Tools(net, "tiny", detector, 0))
    assert torch.equal(latent.wplus, wplus)
    # The middle of the window is the point between the eyes: the picture there agrees with the source at that scale.
    frame, face = largest_face(photo, detector)
    x, y = face_center(face.landmarks)
    side = 128 * robust_eye_distance(face.landmarks) / EYE_DISTANCE
    cut = cv2.getRectSubPix(frame.rgb(), (round(side), round(side)), (x, y))
    x1 = torch.from_numpy(cv2.resize(cut, (128, 128), interpolation=cv2.INTER_AREA) * 2 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = net.encode_content(x1).feature
    assert torch.nn.functional.mse_loss(latent.feature, expected) < 0.05 * expected.var()


def test_no_face_and_no_file(tmp_path, detector, net):
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((128, 128, 3), 99, np.uint8))
    with pytest.raises(NoFaceError, match=r"gray\.png"):
        reference_latent(tmp_path / "gray.png", net, detector, 128)
    with pytest.raises(MediaError, match="no such file"):
        largest_face(tmp_path / "none.png", detector)
