"""TL-ID, TG-ID and temporal LPIPS: the arithmetic with small networks, and honesty without any."""

import numpy as np
import pytest
import torch

from models.perceptual import Lpips
from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.landmarks import FacePair
from pipeline.metrics.learned import Learned
from pipeline.metrics.pairs import Pair
from tests.models.test_identity import landmarks
from tests.onnx_file import write_pooling_net

POINTS = landmarks().astype(np.float32)


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.2, 0.8, (7, 7, 3))
    return [np.kron(np.clip(base + rng.normal(0, 0.05, base.shape), 0, 1), np.ones((16, 16, 1))) for _ in range(count)]


def pair(index, source, result, shot=0):
    return Pair(index, shot, source.astype(np.float32), result.astype(np.float32))


def run(config, source, result, faces=None):
    learned = Learned(config)
    for index, (x, y) in enumerate(zip(source, result, strict=True)):
        face = FacePair(POINTS, None, 35.0) if faces is None or faces[index] else None
        learned.add(pair(index, x, y), face)
    return {verdict.metric: verdict for verdict in learned.verdicts()}


@pytest.fixture
def identity(tmp_path):
    return FlickerConfig.model_validate({"identity": {"weights": str(write_pooling_net(tmp_path / "id.onnx"))}})


def test_without_weights_nothing_is_measured_and_that_is_said():
    found = run(FlickerConfig(), pictures(3), pictures(3))
    assert {v.status for v in found.values()} == {"not measured"}
    assert set(found) == {"tl_id", "tg_id", "temporal_lpips"}
    assert all("weights missing" in v.note for v in found.values())


def test_an_output_as_steady_as_its_input_has_identity_one(identity):
    frames = pictures(6)
    found = run(identity, frames, frames)
    assert found["tl_id"].value == pytest.approx(1)
    assert found["tg_id"].value == pytest.approx(1)
    assert found["tl_id"].status == found["tg_id"].status == "passed"


def test_a_frame_of_somebody_else_lowers_identity_and_is_named(identity):
    frames = pictures(8)
    other = [*frames[:5], 1 - frames[5], *frames[6:]]
    found = run(identity, frames, other)
    assert found["tl_id"].status == "failed"
    assert "at frame 5" in found["tl_id"].note or "at frame 6" in found["tl_id"].note
    assert found["tg_id"].status == "failed"


def test_frames_without_a_face_are_left_out(identity):
    frames = pictures(6)
    other = [*frames[:3], 1 - frames[3], *frames[4:]]
    assert run(identity, frames, other, faces=[1, 1, 1, 0, 1, 1])["tl_id"].value == pytest.approx(1)
    assert run(identity, frames, other, faces=[0] * 6)["tl_id"].status == "not measured"


def test_temporal_lpips_is_zero_for_equal_changes_and_not_for_others(tmp_path):
    torch.manual_seed(0)
    net = Lpips("alex")
    body = {f"features.{key}": value for key, value in net.features.state_dict().items()}
    torch.save(body, tmp_path / "alexnet.pth")
    heads = {f"lin{i}.model.1.weight": torch.rand_like(head) for i, head in enumerate(net.heads)}
    torch.save(heads, tmp_path / "alex.pth")
    files = {"backbone": str(tmp_path / "alexnet.pth"), "heads": str(tmp_path / "alex.pth"), "most": 1e-6}
    config = FlickerConfig.model_validate({"temporal_lpips": files})
    frames = pictures(4)
    assert run(config, frames, frames)["temporal_lpips"].value == 0
    still = [frames[0]] * 4
    found = run(config, frames, still)["temporal_lpips"]
    assert found.status == "failed"
    assert found.value is not None
    assert found.value > 0
