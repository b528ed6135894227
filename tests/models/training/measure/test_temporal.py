import numpy as np
import pytest

from models.errors import UserError
from models.training.measure import temporal
from models.training.measure.temporal import load_clip, stability, warping_error

PX, SHIFT = 160, 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A smooth picture that moves three pixels to the right in every frame."""
    rng = np.random.default_rng(0)
    import cv2

    wide = cv2.GaussianBlur(rng.uniform(0, 255, (PX, PX + 40, 3)), (0, 0), 4)
    wide = np.clip((wide - wide.mean()) * 6 + 128, 0, 255).astype(np.uint8)
    frames = np.stack([wide[:, 20 - SHIFT * n : 20 - SHIFT * n + PX] for n in range(4)])
    flow = np.zeros((3, PX, PX, 2), np.float32)
    flow[..., 0] = SHIFT
    occluded = np.zeros((3, PX, PX), bool)
    occluded[:, :, -SHIFT:] = True
    marks = np.full((4, 68, 2), 80, np.float32)
    marks[:, 36:42], marks[:, 42:48] = (64, 70), (96, 72)
    marks[:, 48], marks[:, 54] = (66, 100), (94, 101)
    path = tmp_path_factory.mktemp("clips") / "clip_000.npz"
    np.savez(path, frames=frames, flow=flow, occluded=occluded, landmarks=marks)
    return load_clip(path)


def test_flow_follows_the_view(clip):
    """Twice as large and turned: what moved 3 px right moves 6, a little up where the face hung to the right."""
    moved = clip.flow[0][128, 128]
    assert np.linalg.norm(moved) == pytest.approx(2 * SHIFT, rel=0.01)
    assert moved[1] < 0 < moved[0]


def test_what_only_moves_has_no_warping_error(clip):
    assert 0.2 < np.mean([seen.mean() for seen in clip.seen]) < 1
    assert warping_error(clip.frames, clip) < 1.5
    wrong = clip.__class__(clip.frames, clip.aligned, [flow * 0 for flow in clip.flow], clip.seen)
    assert warping_error(clip.frames, wrong) > 4 * warping_error(clip.frames, clip)


def test_flicker_raises_the_ratio(clip, monkeypatch):
    rng = np.random.default_rng(1)

    def flickering(net, frames, aligned):
        return [np.clip(f + rng.normal(0, 12), 0, 255).astype(np.uint8) for f in frames]

    monkeypatch.setattr(temporal, "draw_pictures", lambda net, frames, aligned: list(frames))
    assert stability(None, clip).ratio == 1  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(temporal, "draw_pictures", flickering)
    assert stability(None, clip).ratio > 3  # pyright: ignore[reportArgumentType]


def test_a_file_that_is_no_clip_is_a_user_error(tmp_path):
    np.savez(tmp_path / "head.npz", image=np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="no clip"):
        load_clip(tmp_path / "head.npz")
