"""Samples to colours and back: exact where nothing is lost, and right by an independent formula."""

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from stages.chroma import downsample, upsample
from stages.pixels import (
    ColorTags,
    PlaneLayout,
    blend_planes,
    from_network,
    planes_to_rgb,
    rgb_to_planes,
    to_network,
    to_uint8,
)

FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "yuv444p12le", "yuv411p", "yuva420p", "gbrp", "gbrap16le", "gray10le"]
FULL_CHROMA = ["yuv444p", "yuv444p10le", "yuv444p16le", "yuva444p10le", "gbrp", "gbrp12le", "gbrap16le", "gray"]


def random_planes(layout, height, width, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [layout.plane_shape(i, height, width) for i in range(layout.num_planes)]
    return tuple(rng.integers(0, int(layout.max_code) + 1, shape).astype(layout.dtype) for shape in shapes)


def color_for(layout, matrix=1, color_range=1, location=1):
    return ColorTags(0, 2) if layout.is_rgb else ColorTags(matrix, color_range, 1, 1, location)


@pytest.mark.parametrize("name", FULL_CHROMA)
@pytest.mark.parametrize("matrix", [1, 4, 6, 7, 8, 9])
@pytest.mark.parametrize("color_range", [1, 2])
def test_every_code_survives_rgb_where_chroma_is_full(name, matrix, color_range):
    layout = PlaneLayout.named(name)
    color = color_for(layout, matrix, color_range)
    planes = random_planes(layout, 23, 31)  # out of gamut, below black and above white too
    rgb = planes_to_rgb(planes, layout, color)
    back = rgb_to_planes(rgb, layout, color, alpha=planes[-1] if layout.has_alpha else None)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(planes, back, strict=True))


@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)])
@pytest.mark.parametrize("bits", [8, 10])
def test_matches_the_standards_formula(matrix, kr, kb, bits):
    layout = PlaneLayout.named("yuv444p" if bits == 8 else "yuv444p10le")
    planes = random_planes(layout, 8, 9)
    y, u, v = (p.astype(np.float64) / 2 ** (bits - 8) for p in planes)
    luma, blue, red = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    got = planes_to_rgb(planes, layout, ColorTags(matrix, 1))
    np.testing.assert_allclose(got, np.stack([r, g, b], -1), atol=2e-6)


def test_white_black_and_grey_are_neutral_at_every_depth():
    for name, white, black in [("yuv420p", 235, 16), ("yuv420p10le", 940, 64), ("yuv420p16le", 60160, 4096)]:
        layout = PlaneLayout.named(name)
        middle = 1 << (layout.bits - 1)
        for code, level in ((white, 1.0), (black, 0.0)):
            planes = [
                np.full(layout.plane_shape(i, 6, 8), c, layout.dtype) for i, c in enumerate([code, middle, middle])
            ]
            np.testing.assert_allclose(planes_to_rgb(tuple(planes), layout, ColorTags(1, 1)), level, atol=1e-6)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_stands_the_picture_up(rotation):
    layout = PlaneLayout.named("gbrp")
    planes = random_planes(layout, 5, 9)
    rgb = planes_to_rgb(planes, layout, ColorTags(0, 2), rotation)
    assert rgb.flags.c_contiguous
    green = np.rint(rgb[:, :, 1] * 255).astype(np.uint8)
    assert np.array_equal(green, np.rot90(planes[0], rotation // 90))  # counter-clockwise
    back = rgb_to_planes(rgb, layout, ColorTags(0, 2), rotation)
    assert all(np.array_equal(a, b) for a, b in zip(planes, back, strict=True))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    name=st.sampled_from(FORMATS),
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    rotation=st.sampled_from([0, 90, 180, 270]),
    location=st.integers(0, 6),
    box=st.tuples(*[st.floats(0, 1)] * 4),
    seed=st.integers(0, 99),
)
def test_samples_under_a_zero_matte_keep_their_bits(name, height, width, rotation, location, box, seed):
    layout = PlaneLayout.named(name)
    color = color_for(layout, location=location)
    planes = random_planes(layout, height, width, seed)
    rng = np.random.default_rng(seed)
    upright = (width, height) if rotation in (90, 270) else (height, width)
    alpha = np.zeros(upright, np.float32)
    rows = slice(int(box[0] * upright[0]), int(box[1] * upright[0]))
    columns = slice(int(box[2] * upright[1]), int(box[3] * upright[1]))
    alpha[rows, columns] = rng.random(alpha[rows, columns].shape)
    new = rng.random((*upright, 3)).astype(np.float32)
    before = [p.copy() for p in planes]
    result = blend_planes(planes, new, alpha, layout, color, rotation)
    coded = np.ascontiguousarray(np.rot90(alpha, -rotation // 90))
    fresh = rgb_to_planes(new, layout, color, rotation)
    for number, (source, blended) in enumerate(zip(planes, result, strict=True)):
        assert np.array_equal(source, before[number])  # the source is never written to
        if layout.has_alpha and number == layout.num_planes - 1:
            assert np.array_equal(source, blended)
            continue
        log2_h, log2_w = layout.chroma_shift(number)
        weight = downsample(coded, log2_h, log2_w, location) if log2_h or log2_w else coded
        assert np.array_equal(blended[weight == 0], source[weight == 0])
        expected = source + weight * (fresh[number].astype(np.float64) - source)
        assert np.abs(blended - expected).max(initial=0) <= 1.01  # the fresh planes were rounded once more


def test_a_full_matte_gives_the_new_picture():
    layout = PlaneLayout.named("yuv420p")
    color = ColorTags(1, 1, 1, 1, 1)
    planes = random_planes(layout, 21, 33)
    new = np.random.default_rng(1).random((21, 33, 3)).astype(np.float32)
    blended = blend_planes(planes, new, np.ones((21, 33), np.float32), layout, color)
    assert all(np.array_equal(a, b) for a, b in zip(blended, rgb_to_planes(new, layout, color), strict=True))


@pytest.mark.parametrize("location", range(7))
@pytest.mark.parametrize(("log2_h", "log2_w"), [(1, 1), (0, 1), (1, 0), (0, 2), (2, 2)])
def test_chroma_filters_keep_a_slope_in_its_place(log2_h, log2_w, location):
    """A linear ramp shows any displacement: both directions must leave it as it is, away from the edges."""
    height, width = 41, 53
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = 3 * x + 5 * y
    small = downsample(ramp, log2_h, log2_w, location)
    assert small.shape == (-(-height >> log2_h), -(-width >> log2_w))
    inside = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(
        upsample(small, height, width, log2_h, log2_w, location)[inside], ramp[inside], atol=1e-3
    )


def test_left_siting_is_cosited_and_center_is_not():
    ramp = np.tile(np.arange(16, dtype=np.float32), (4, 1))
    assert downsample(ramp, 0, 1, 1)[0, 3] == pytest.approx(6.0)
    assert downsample(ramp, 0, 1, 2)[0, 3] == pytest.approx(6.5)


def test_layouts_that_are_not_planes_are_refused():
    for name in ("rgb24", "nv12", "p010le", "yuv420p10be", "pal8", "cuda", "nonsense"):
        with pytest.raises(ValueError, match=name):
            PlaneLayout.named(name)
    assert PlaneLayout.named("yuvj420p") == PlaneLayout.named("yuv420p")
    with pytest.raises(ValueError, match="MatrixCoefficients"):
        planes_to_rgb(random_planes(PlaneLayout.named("yuv444p"), 4, 4), PlaneLayout.named("yuv444p"), ColorTags(2, 1))


def test_network_range_and_its_bytes():
    rgb = np.random.default_rng(0).random((6, 7, 3)).astype(np.float32)
    image = to_network(rgb)
    assert image.shape == (3, 6, 7)
    assert image.dtype == np.float32
    np.testing.assert_allclose(from_network(torch.from_numpy(image)), rgb, atol=1e-6)
    values = torch.tensor([-1.5, -1.0, -0.999, 0.0, 0.5, 0.999, 1.0, 2.0]).reshape(1, 1, 1, 8).expand(1, 3, 1, 8)
    clamped = np.clip(values.numpy(), -1, 1)
    assert np.array_equal(to_uint8(values, "truncate").numpy(), ((clamped + 1) * 127.5).astype(np.uint8))
    assert to_uint8(values)[0, 0, 0].tolist() == [0, 0, 0, 128, 191, 255, 255, 255]
