import numpy as np
import pytest
import torch

from stages.composite import Composite, CompositeConfig, output_size
from stages.content import window_resampler
from stages.crop import full_window
from stages.paste import HEAD_ABOVE, HEAD_BELOW, HEAD_WIDTH
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


@pytest.mark.parametrize(("rotation", "pix_fmt"), [(0, "yuv420p"), (90, "yuv420p10le"), (270, "gbrp")])
def test_a_head_is_replaced_and_nothing_else(rotation, pix_fmt):
    info = clip(96, 128, pix_fmt, rotation) if rotation else clip(128, 96, pix_fmt)
    head = face(0, (64.0, 40.0), 8.0)
    frame = face_frame(0, 0, [head], info)
    window, white = full_window(128, 96, 1.0, margin=8), np.ones((3, 112, 144), np.float32)
    out = composite(rendered(frame, [window], [white]), (128, 96), pix_fmt, CompositeConfig(matte="head"))
    changed = [(a != b) for a, b in zip(out.planes, frame.frame.planes, strict=True)]
    luma = np.rot90(changed[0], rotation // 90)
    y, x = np.nonzero(luma)
    assert 20 <= len(set(x)) <= 48  # the aligned square is 32 wide
    assert abs(x.mean() - 64) < 1.5
    assert y.min() > 12
    assert y.max() < 72
    assert luma[32:52, 56:73].all()
    side = luma.shape[1] // changed[1].shape[0 if rotation else 1]
    for chroma in changed[1:]:
        y, x = np.nonzero(np.rot90(chroma, rotation // 90))
        assert x.min() * side > 35
        assert x.max() * side < 93


def test_the_window_ends_a_head_softly_and_heads_cover_each_other():
    heads = [face(0, (40.0, 40.0), 8.0), face(1, (70.0, 44.0), 8.0)]
    frame = face_frame(0, 0, heads, clip(128, 96))
    windows = [CropWindow(1.0, 20, 20, 40, 40, False), CropWindow(1.0, 46, 20, 48, 48, False)]
    white, black = np.ones((3, 40, 40), np.float32), -np.ones((3, 48, 48), np.float32)
    config = CompositeConfig(matte="head")
    luma = composite(rendered(frame, windows, [white, black]), (128, 96), config=config).planes[0]
    before = frame.frame.planes[0]
    assert luma[42, 36] == 235
    assert luma[46, 70] == 16
    assert (luma[:20] == before[:20]).all()
    assert (luma[:, :20] == before[:, :20]).all()
    assert (luma[70:] == before[70:]).all()
    alone = composite(rendered(frame, windows[:1], [white]), (128, 96), config=config).planes[0]
    assert (alone[:, 62:] == before[:, 62:]).all()


@pytest.mark.parametrize("size", [(256, 192), (64, 48)])
def test_a_head_in_another_size_lies_where_it_lay(size):
    head = face(0, (64.0, 40.0), 8.0)
    frame = face_frame(0, 0, [head], clip(128, 96), np.zeros((96, 128, 3)))
    item = rendered(frame, [full_window(128, 96, 1.0)], [np.ones((3, 384, 512), np.float32)])
    luma = composite(item, size, config=CompositeConfig(matte="head")).planes[0].astype(int) - 16
    assert luma.max() == 219
    zoom = size[0] / 128
    x = np.arange(size[0])
    assert (x * luma).sum() / luma.sum() / zoom == pytest.approx(64, abs=0.5 / zoom)
    egg = np.pi / 2 * HEAD_WIDTH * (HEAD_ABOVE + HEAD_BELOW) * 16**2
    assert 0.75 * egg < (luma > 0).sum() / zoom**2 < egg


@pytest.mark.parametrize("matte", ["window", "head"])
@pytest.mark.parametrize(("rotation", "pix_fmt"), [(0, "yuv420p"), (90, "yuv420p10le"), (0, "gbrp")])
@pytest.mark.parametrize("size", [(128, 96), (256, 192)])
def test_a_change_is_added_to_the_source(size, rotation, pix_fmt, matte):
    info = clip(96, 128, pix_fmt, rotation) if rotation else clip(128, 96, pix_fmt)
    picture = 0.2 + 0.5 * smooth(96, 128)
    frame = face_frame(0, 0, [face(0, (64.0, 40.0), 8.0)], info, picture)
    window, config = full_window(128, 96, 1.0, margin=8), CompositeConfig(matte=matte, mode="add")

    def added(change):
        image = np.full((3, 112, 144), change, np.float32)
        return composite(rendered(frame, [window], [image]), size, pix_fmt, config)

    nothing, brighter, darker = added(0.0), added(0.2), added(-0.2)
    if size == (128, 96):
        for plane, source in zip(nothing.planes, frame.frame.planes, strict=True):
            assert np.array_equal(plane, source)
    rgb = [planes_to_rgb(out.planes, out.layout, out.color, out.rotation) for out in (nothing, brighter, darker)]
    zoom = size[0] // 128
    middle = (slice(34 * zoom, 50 * zoom), slice(56 * zoom, 72 * zoom))
    assert np.abs(rgb[1] - rgb[0] - 0.1)[middle].max() < 0.02
    assert np.abs(rgb[2] - rgb[0] + 0.1)[middle].max() < 0.02
    if matte == "head":
        assert np.array_equal(brighter.planes[0][:, :20], nothing.planes[0][:, :20])


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
