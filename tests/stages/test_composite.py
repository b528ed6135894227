import numpy as np
import pytest
import torch

from stages.composite import Composite, CompositeConfig, output_size
from stages.content import window_resampler
from stages.crop import full_window
from stages.pixels import PlaneLayout, planes_to_rgb, to_network
from stages.types import CropWindow, RenderedFrame
from tests.stages.makers import COLOR, clip, face, face_frame


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.dstack([0.5 + 0.3 * np.sin(x / 9), 0.5 + 0.3 * np.cos(y / 7), 0.4 + 0.2 * np.sin((x + y) / 11)])


def rendered(frame, windows, images):
    return RenderedFrame(frame, tuple(windows), tuple(torch.from_numpy(i) for i in images))


def composite(item, size=(64, 48), layout="yuv444p", config=None):
    (out,) = Composite(config or CompositeConfig(), size, PlaneLayout.named(layout), COLOR).stream(x for x in [item])
    return out


def test_no_picture_gives_back_the_very_planes():
    frame = face_frame(0)
    out = composite(rendered(frame, (), ()))
    assert all(a is b for a, b in zip(out.planes, frame.frame.planes, strict=True))
    assert not out.touched


@pytest.mark.parametrize("scale", [1.0, 1.6, 0.7])
@pytest.mark.parametrize("enlarged", [1, 4])
def test_crop_then_paste_is_the_identity_on_smooth_pictures(scale, enlarged):
    rgb = smooth(96, 128)
    frame = face_frame(0, 0, [face()], clip(128, 96), rgb)
    window = full_window(128, 96, scale, margin=8)
    left, top = window.left, window.top
    fine = CropWindow(window.scale * enlarged, left, top, window.width * enlarged, window.height * enlarged, True)
    image = to_network(window_resampler(fine, 128, 96)(frame.frame.rgb()))
    out = composite(rendered(frame, [window], [image]), (128, 96))
    error = np.abs(planes_to_rgb(out.planes, out.layout, out.color, 0) - frame.frame.rgb())[6:-6, 6:-6]
    assert error.max() < 0.015  # two roundings to 8 bits and the kernels


def test_outside_the_matte_every_sample_keeps_its_bits():
    frame = face_frame(0, 0, [face()], clip(128, 96, "yuv420p"))
    window = CropWindow(1.0, 40, 20, 40, 40, False)
    out = composite(rendered(frame, [window], [np.ones((3, 40, 40), np.float32)]), (128, 96), "yuv420p")
    before, after = frame.frame.planes, out.planes
    inside = np.zeros((96, 128), bool)
    inside[20:60, 40:80] = True
    assert (before[0][~inside] == after[0][~inside]).all()
    assert (after[0][36:44, 56:64] == 235).all()  # white in the middle
    chroma = np.zeros((48, 64), bool)
    chroma[9:31, 19:41] = True
    assert all((before[k][~chroma] == after[k][~chroma]).all() for k in (1, 2))
    assert out.touched


def test_matte_has_no_edge_where_the_window_leaves_the_frame():
    frame = face_frame(0, 0, [face()], clip(128, 96))
    window = CropWindow(1.0, -20, -20, 80, 80, False)
    out = composite(rendered(frame, [window], [np.ones((3, 80, 80), np.float32)]), (128, 96))
    assert out.planes[0][0, 0] == 235
    assert out.planes[0][90, 120] == frame.frame.planes[0][90, 120]


def test_several_windows_cover_each_other_in_order():
    frame = face_frame(0, 0, [face(0), face(1)], clip(128, 96))
    windows = [CropWindow(1.0, 10, 10, 48, 48, False), CropWindow(1.0, 40, 20, 48, 48, False)]
    white, black = np.ones((3, 48, 48), np.float32), -np.ones((3, 48, 48), np.float32)
    luma = composite(rendered(frame, windows, [white, black]), (128, 96)).planes[0]
    assert luma[34, 26] > 225
    assert luma[44, 64] < 25


def test_other_sizes_and_layouts():
    frame = face_frame(0, 0, [face()], clip(128, 96))
    window = full_window(128, 96, 1.0)
    image = to_network(np.full((96, 128, 3), 0.5, np.float32))
    out = composite(rendered(frame, [window], [image]), (256, 192), "yuv420p10le")
    assert [plane.shape for plane in out.planes] == [(192, 256), (96, 128), (96, 128)]
    assert abs(int(out.planes[0][100, 100]) - (64 + 876 * 0.5)) <= 1


def test_size_setting():
    assert output_size(CompositeConfig(), (400, 336), 4) == (400, 336)
    assert output_size(CompositeConfig(size="native"), (400, 336), 4) == (1600, 1344)
    assert output_size(CompositeConfig(size="640x480"), (400, 336), 4) == (640, 480)
    for wrong in ("big", "0x10", "12", "12x", "-4x8"):
        with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
            CompositeConfig(size=wrong)
