"""Line drawings: recognised, resampled without losing ink, and drawn from pictures."""

from __future__ import annotations

import numpy as np
import pytest

from stages.content import Image
from stages.crop import full_window
from stages.errors import UserError
from stages.line_drawing import Sketch, SketchFromPhoto, check_drawing
from stages.types import CropWindow


def drawing(height: int = 96, width: int = 120) -> Image:
    """Black circles and strokes on white."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ink = np.zeros((height, width), bool)
    for radius in (12, 25, 40):
        ink |= np.abs(np.hypot(x - width / 2, y - height / 2) - radius) < 1
    ink[10:14, 5:60] = True
    return np.repeat(1 - ink[..., None].astype(np.float32), 3, axis=2)


def photo(portrait: np.ndarray) -> Image:
    return portrait.astype(np.float32) / np.float32(255)


def test_a_drawing_at_scale_1_is_itself() -> None:
    rgb = drawing()
    x1 = Sketch().from_source(rgb, full_window(120, 96, 1.0))
    assert x1.shape == (1, 96, 120)
    np.testing.assert_allclose(x1[0], rgb[..., 0], atol=1e-6)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.5])
def test_no_ink_is_lost_and_no_line_gets_a_rim(scale: float) -> None:
    rgb = drawing()
    window = CropWindow(scale, 0.0, 0.0, round(120 * scale), round(96 * scale), full=True)
    x1 = Sketch().from_source(rgb, window)
    assert x1.min() >= 0
    assert x1.max() <= 1
    assert (1 - x1).mean() == pytest.approx((1 - rgb).mean(), rel=0.03)
    # Beside the topmost stroke the paper stays white to the last bit: a bicubic kernel would overshoot.
    assert (x1[0, : int(6 * scale)] >= 1 - 1e-6).all()


def test_a_photograph_is_refused_with_the_measured_reason(portrait: np.ndarray) -> None:
    rgb = photo(portrait)
    with pytest.raises(UserError, match=r"not a line drawing: \d+% of the pixels are coloured"):
        Sketch().from_source(rgb, full_window(512, 512, 1.0))
    grey = rgb.mean(axis=2, keepdims=True).repeat(3, axis=2)
    with pytest.raises(UserError, match=r"only \d+% of the pixels are white paper, \d+% are grey"):
        check_drawing(grey)
    with pytest.raises(UserError, match="nearly black") as caught:
        check_drawing(1 - drawing())
    assert caught.value.remedy == "invert the drawing"


def test_slight_tints_and_shading_are_no_photograph() -> None:
    rgb = drawing() * np.array([1.0, 0.97, 0.9], np.float32)
    rgb[50:70, 20:60] *= 0.6
    check_drawing(rgb)


def test_a_picture_becomes_a_drawing(portrait: np.ndarray) -> None:
    rgb = photo(portrait)
    window = full_window(512, 512, 0.5)
    x1 = SketchFromPhoto().from_source(rgb, window)
    assert x1.shape == (1, 256, 256)
    assert x1.min() >= 0
    assert x1.max() <= 1
    check_drawing(x1[0][..., None].repeat(3, axis=2))
    assert 0.02 < (x1 < 0.5).mean() < 0.3
    assert (SketchFromPhoto(threshold=0.08).from_source(rgb, window) < 0.5).mean() < (x1 < 0.5).mean()


def test_exposure_hardly_matters_and_lines_do_not_jump(portrait: np.ndarray) -> None:
    rgb, window = photo(portrait), full_window(512, 512, 0.5)
    x1 = SketchFromPhoto().from_source(rgb, window)
    darker = SketchFromPhoto().from_source(rgb * np.float32(0.6), window)
    assert np.abs(darker - x1).mean() < 0.03
    noisy = rgb + np.random.default_rng(0).normal(0, 0.001, rgb.shape).astype(np.float32)
    assert np.abs(SketchFromPhoto().from_source(noisy, window) - x1).max() < 0.35
    assert np.abs(SketchFromPhoto().from_source(noisy, window) - x1).mean() < 0.003
