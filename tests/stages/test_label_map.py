"""Label maps: read, refused with what was found and where, resampled without inventing labels; pictures parsed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.parsing import CLASSES
from stages.content import Image, Rgb
from stages.crop import full_window
from stages.errors import UserError
from stages.label_map import NONE, PALETTE, Labels, Mask, MaskFromPhoto, colorize, nearest, one_hot, read_labels
from stages.types import CropWindow
from tests.golden.make_parser_golden import filled_parser


def as_rgb(labels: Labels) -> Image:
    """A grey label map as a frame gives it: R'G'B' [H, W, 3] in [0, 1]."""
    return np.repeat(labels[..., None], 3, axis=2).astype(np.float32) / np.float32(255)


def labels(height: int = 40, width: int = 56, top: int = 19) -> Labels:
    return np.random.default_rng(5).integers(0, top, (height, width)).astype(np.uint8)


def test_grey_levels_are_labels() -> None:
    picture = labels()
    picture[3, 4] = NONE
    np.testing.assert_array_equal(read_labels(as_rgb(picture)), picture)


def test_every_colour_of_the_palette_is_read_back() -> None:
    picture = np.arange(19, dtype=np.uint8)[None].repeat(8, axis=0)
    picture[0, 0] = NONE
    np.testing.assert_array_equal(read_labels(colorize(picture).astype(np.float32) / np.float32(255)), picture)
    assert len(np.unique(PALETTE, axis=0)) == 19
    assert tuple(PALETTE[CLASSES.index("hair")]) == (0, 0, 204)
    assert tuple(PALETTE[CLASSES.index("left eye")]) == (51, 51, 255)


def test_one_hot() -> None:
    picture = labels()
    picture[0] = NONE
    x1 = Mask().from_source(as_rgb(picture), full_window(56, 40, 1.0))
    assert x1.shape == (19, 40, 56)
    assert x1.dtype == np.float32
    np.testing.assert_array_equal(x1[:, 0], 0)
    np.testing.assert_array_equal(x1[:, 1:].sum(axis=0), 1)
    np.testing.assert_array_equal(x1[:, 1:].argmax(axis=0), picture[1:])


def test_labels_outside_are_named_with_their_place() -> None:
    picture = labels()
    picture[7, 9] = 37
    picture[20, 3] = 19
    with pytest.raises(UserError) as caught:
        Mask().from_source(as_rgb(picture), full_window(56, 40, 1.0))
    assert "labels outside 0–18: 19, 37" in caught.value.what
    assert "2 pixels of 2240, the first at x = 9, y = 7" in caught.value.what
    assert "255" in caught.value.remedy


def test_a_photograph_is_refused(portrait: np.ndarray) -> None:
    rgb = portrait.astype(np.float32) / np.float32(255)
    with pytest.raises(UserError, match="colours of no class") as caught:
        read_labels(rgb)
    assert "parsed first" in caught.value.remedy
    with pytest.raises(UserError, match=r"outside 0–18: .* and \d+ more") as caught:
        read_labels(rgb[..., :1].repeat(3, axis=2))
    assert "parsed first" in caught.value.remedy


@pytest.mark.parametrize("scale", [1 / 257, 1 / 2, 1.1], ids=["16 bits", "smoothed", "limited range"])
def test_levels_between_are_refused(scale: float) -> None:
    with pytest.raises(UserError, match="between the 8-bit levels"):
        read_labels(as_rgb(labels()) * np.float32(scale))


@given(
    scale=st.floats(0.3, 4),
    left=st.floats(-60, 60),
    top=st.floats(-60, 60),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
@settings(max_examples=60, deadline=None)
def test_no_window_invents_a_label(scale: float, left: float, top: float, size: tuple[int, int]) -> None:
    picture = np.where(labels(32, 40) > 9, 3, 17).astype(np.uint8)
    cut = nearest(picture, CropWindow(scale, left, top, 8 * size[0], 8 * size[1], full=False))
    assert cut.shape == (8 * size[1], 8 * size[0])
    assert set(np.unique(cut)) <= {3, 17}


def test_nearest_takes_the_pixel_it_falls_into() -> None:
    picture = np.arange(16, dtype=np.uint8)[None].repeat(8, axis=0)
    double = nearest(picture, CropWindow(2.0, 0.0, 0.0, 32, 16, full=True))
    np.testing.assert_array_equal(double[0], np.arange(32) // 2)
    margin = nearest(picture, CropWindow(1.0, -8.0, 0.0, 32, 8, full=True))
    np.testing.assert_array_equal(margin[0], [*range(7, -1, -1), *range(16), *range(15, 7, -1)])


def test_a_picture_is_parsed_at_face_scale(portrait: np.ndarray) -> None:
    content = MaskFromPhoto(filled_parser())
    rgb = portrait.astype(np.float32) / np.float32(255)
    window = CropWindow(0.25, 40.0, -10.0, 96, 64, full=False)
    x1 = content.from_source(rgb, window)
    assert x1.shape == (content.channels, 64, 96)
    crop = torch.from_numpy(Rgb().from_source(rgb, window).clip(-1, 1))[None]
    wanted = content.parser.parse(crop)[0].numpy()
    np.testing.assert_array_equal(x1, one_hot(wanted))
    np.testing.assert_array_equal(content.labels(rgb, window), wanted)
    # What was parsed can be saved, edited and given back as a mask.
    again = Mask().from_source(as_rgb(wanted), CropWindow(1.0, 0.0, 0.0, 96, 64, full=True))
    np.testing.assert_array_equal(again, x1)
