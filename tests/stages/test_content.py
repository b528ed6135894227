"""What the encoder sees: frames and degraded frames, in phase with the window."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stages.content import Content, Degraded, Enlarged, Image, Rgb, window_resampler
from stages.crop import full_window
from stages.errors import UserError
from stages.line_drawing import Sketch, SketchFromPhoto
from stages.types import CropWindow

RNG = np.random.default_rng(3)


def noise(height: int = 96, width: int = 128) -> Image:
    return RNG.random((height, width, 3), np.float32)


def whole(rgb: Image, scale: float = 1.0, margin: int = 0) -> CropWindow:
    return full_window(rgb.shape[1], rgb.shape[0], scale, margin)


def test_rgb_at_scale_1_is_the_frame() -> None:
    rgb = noise()
    x1 = Rgb().from_source(rgb, whole(rgb))
    assert x1.shape == (3, 96, 128)
    np.testing.assert_array_equal(x1, (rgb * np.float32(2) - np.float32(1)).transpose(2, 0, 1))


def test_factor_4_takes_nothing_away() -> None:
    rgb = noise()
    np.testing.assert_array_equal(Degraded(4).from_source(rgb, whole(rgb)), Enlarged().from_source(rgb, whole(rgb)))
    # At another scale only the reflected margin differs: there it is the face-scale frame that is reflected.
    degraded, plain = (
        content.from_source(rgb, whole(rgb, 0.7, 16))[:, 20:-26, 20:-26] for content in (Degraded(4), Enlarged())
    )
    np.testing.assert_allclose(degraded, plain, atol=1e-5)
    np.testing.assert_allclose(Degraded(4).style_source(rgb, 1.0), rgb)


@pytest.mark.parametrize("factor", [8, 16, 32])
def test_degraded_is_bicubic_down_and_up(factor: int) -> None:
    """Against PyTorch's anti-aliased bicubic, which has a = −½ too; its borders are cut off, ours reflect."""
    rgb = noise(160, 192)
    x = torch.from_numpy(rgb.transpose(2, 0, 1))[None] * 2 - 1
    low = F.interpolate(x, size=(640 // factor, 768 // factor), mode="bicubic", antialias=True)
    wanted = F.interpolate(low, size=(160, 192), mode="bicubic", antialias=True)[0].numpy()
    edge = factor
    inside = (slice(None), slice(edge, -edge), slice(edge, -edge))
    got = Degraded(factor).from_source(rgb, whole(rgb))
    np.testing.assert_allclose(got[inside], wanted[inside], atol=1e-5)


def test_degraded_keeps_flat_colour_and_loses_detail() -> None:
    flat = np.full((90, 70, 3), 0.3, np.float32)
    np.testing.assert_allclose(Degraded(20).from_source(flat, whole(flat, 1.3, 8)), -0.4, atol=1e-5)
    rgb = noise()
    spread = [Degraded(factor).from_source(rgb, whole(rgb)).std() for factor in (4, 8, 16, 32)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 0.2 * spread[0]


def test_the_coarse_grid_is_the_frames() -> None:
    """A window sees a piece of the degraded frame, wherever it lies."""
    rgb = noise()
    frame = Degraded(12).from_source(rgb, whole(rgb))
    piece = Degraded(12).from_source(rgb, CropWindow(1.0, 21.0, 13.0, 64, 48, full=False))
    np.testing.assert_allclose(piece, frame[:, 13:61, 21:85], atol=1e-5)


def test_style_source_is_the_degraded_frame_at_the_sources_size() -> None:
    rgb = noise(77, 101)
    for scale in (0.5, 1.0, 1.7):
        assert Degraded(16).style_source(rgb, scale).shape == rgb.shape
    seen = Degraded(16).from_source(rgb, CropWindow(1.0, 0.0, 0.0, 101, 77, full=True))
    again = Enlarged().from_source(Degraded(16).style_source(rgb, 1.0), CropWindow(1.0, 0.0, 0.0, 101, 77, full=True))
    np.testing.assert_allclose(again, seen, atol=1e-5)
    assert Rgb().style_source(rgb, 2.0) is rgb


@pytest.mark.parametrize("factor", [0, 3.9, 48.5, float("nan")])
def test_a_factor_outside_the_range(factor: float) -> None:
    with pytest.raises(UserError, match="outside the model's range") as caught:
        Degraded(factor)
    assert "4 to 48" in caught.value.remedy


def test_enlarged() -> None:
    rgb = noise(24, 32)
    window = whole(rgb, 8.0)
    plain = window_resampler(window, 32, 24, "cubic")(rgb).transpose(2, 0, 1) * 2 - 1
    np.testing.assert_allclose(Enlarged().from_source(rgb, window), plain, atol=1e-6)
    with pytest.raises(UserError, match="enlarged 50 times"):
        Enlarged().from_source(rgb, whole(rgb, 12.5))


@pytest.mark.parametrize("content", [Rgb(), Enlarged(), Degraded(10), Sketch(), SketchFromPhoto()])
def test_contract(content: Content) -> None:
    """One array of the promised shape and type for any window; the picture is not written to; the object travels."""
    rgb = np.ones((50, 60, 3), np.float32)
    rgb[20:30:4] = 0.2
    kept = rgb.copy()
    for window in (whole(rgb, 1.0), whole(rgb, 1.3, 8), CropWindow(0.9, -7.25, 12.5, 40, 24, full=False)):
        x1 = content.from_source(rgb, window)
        assert x1.shape == (content.channels, window.height, window.width)
        assert x1.dtype == np.float32
        assert x1.flags.c_contiguous
        np.testing.assert_array_equal(x1, pickle.loads(pickle.dumps(content)).from_source(rgb, window))
    assert content.style_source(rgb, 1.3).shape == rgb.shape
    np.testing.assert_array_equal(rgb, kept)


def test_window_resampler_kernels_keep_the_phase() -> None:
    """A ramp stays a ramp, shifted by what the window says, whatever the kernel."""
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (64, 64))
    window = CropWindow(1.0, 10.25, 8.5, 24, 16, full=False)
    for kernel in ("cubic", "triangle"):
        cut = window_resampler(window, 64, 64, kernel)(ramp)
        np.testing.assert_allclose(cut[4], np.arange(24) + 10.25, atol=1e-4)
