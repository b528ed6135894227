"""Sample memory crosses between libav and NumPy without a code value changing."""

import av
import numpy as np
import pytest

from stages.avframe import frame_of_planes, planar_format, planes_of_frame
from stages.pixels import ColorTags, PlaneLayout

H, W = 48, 64


def filled(pix_fmt, mask=0xFFFF):
    """A frame of random bytes, its first plane as 8- or 16-bit words, and those words."""
    frame = av.VideoFrame(W, H, pix_fmt)
    rng = np.random.default_rng(0)
    for plane in frame.planes:
        words = rng.integers(0, 65536, plane.buffer_size // 2, np.uint16) & np.uint16(mask)
        plane.update(words.tobytes())
    return frame


def words(plane, dtype, columns):
    return np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, :columns]


@pytest.mark.parametrize(
    ("pix_fmt", "dtype", "channels", "order"),
    [
        ("rgb24", "u1", 3, (1, 2, 0)),
        ("bgr24", "u1", 3, (1, 0, 2)),
        ("rgba", "u1", 4, (1, 2, 0, 3)),
        ("argb", "u1", 4, (2, 3, 1, 0)),
        ("bgr0", "u1", 4, (1, 0, 2)),
        ("rgb48be", ">u2", 3, (1, 2, 0)),
        ("rgb48le", "<u2", 3, (1, 2, 0)),
        ("rgba64be", ">u2", 4, (1, 2, 0, 3)),
        ("ya8", "u1", 2, (0, 0, 0, 1)),
        ("ya16be", ">u2", 2, (0, 0, 0, 1)),
        ("gray16be", ">u2", 1, (0,)),
    ],
)
def test_packed_formats_are_taken_apart_exactly(pix_fmt, dtype, channels, order):
    frame = filled(pix_fmt)
    packed = words(frame.planes[0], dtype, W * channels).reshape(H, W, channels)
    planes, layout = planes_of_frame(frame)
    assert len(planes) == layout.num_planes == len(order)
    for plane, channel in zip(planes, order, strict=True):
        assert np.array_equal(plane, packed[:, :, channel])


@pytest.mark.parametrize(("pix_fmt", "target", "shift"), [("nv12", "yuv420p", 0), ("p010le", "yuv420p10le", 6)])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_semi_planar_formats_are_taken_apart_exactly(pix_fmt, target, shift, color_range):
    frame = filled(pix_fmt, 0xFFC0 if shift else 0xFFFF)
    frame.color_range = color_range
    dtype = "<u2" if shift else "u1"
    planes, layout = planes_of_frame(frame)
    assert layout.pix_fmt == target
    assert np.array_equal(planes[0], words(frame.planes[0], dtype, W) >> shift)
    chroma = words(frame.planes[1], dtype, W).reshape(H // 2, W // 2, 2) >> shift
    assert np.array_equal(planes[1], chroma[:, :, 0])
    assert np.array_equal(planes[2], chroma[:, :, 1])


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv410p", "yuva422p10le", "gbrap16le", "gray12le", "gbrpf32le"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (35, 41)])
def test_there_and_back(pix_fmt, height, width):
    layout = PlaneLayout.named(pix_fmt)
    rng = np.random.default_rng(1)
    planes = tuple(
        (rng.random(layout.plane_shape(i, height, width)) * layout.max_code).astype(layout.dtype)
        for i in range(layout.num_planes)
    )
    back, same = planes_of_frame(frame_of_planes(planes, layout, ColorTags(1, 1, 1, 1)))
    assert same == layout
    assert all(np.array_equal(a, b) and b.flags.c_contiguous for a, b in zip(planes, back, strict=True))


@pytest.mark.parametrize(("pix_fmt", "planar"), [("bgr0", "gbrp"), ("rgb24", "gbrp"), ("nv12", "yuv420p")])
def test_encoders_that_want_packed_samples_get_the_same_values(pix_fmt, planar):
    layout = planar_format(pix_fmt)
    assert layout.pix_fmt == planar
    rng = np.random.default_rng(2)
    planes = tuple(rng.integers(0, 256, layout.plane_shape(i, H, W), np.uint8) for i in range(3))
    tags = ColorTags(0, 2) if layout.is_rgb else ColorTags(1, 1)
    frame = frame_of_planes(planes, layout, tags, pix_fmt)
    assert frame.format.name == pix_fmt
    assert (frame.colorspace, frame.color_range) == (tags.matrix, tags.range)
    back, _ = planes_of_frame(frame)
    assert all(np.array_equal(a, b) for a, b in zip(planes, back, strict=True))


def test_formats_without_planes_are_refused():
    for name in ("yaf32le", "cuda", "bayer_rggb8"):
        with pytest.raises(ValueError, match=name):
            planar_format(name)
