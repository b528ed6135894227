"""What a GPU computes of planes and pictures, run on the CPU, against the CPU's own way."""

from typing import Literal

import numpy as np
import pytest
import torch

from stages.composite import Composite, CompositeConfig
from stages.content import Rgb
from stages.crop import full_window, on_device
from stages.device_composite import DeviceComposite
from stages.device_pixels import axis, planes_to_rgb, resample, rgb_to_planes, upload
from stages.pixels import ColorTags, PlaneLayout
from stages.pixels import planes_to_rgb as planes_to_rgb_here
from stages.pixels import rgb_to_planes as rgb_to_planes_here
from stages.resample import Kernel, Resampler, axis_operator
from stages.types import CropWindow, RenderedFrame
from tests.stages.makers import COLOR, clip, face, face_frame

CPU = torch.device("cpu")
LAYOUTS = ("yuv420p", "yuv422p10le", "yuv444p16le", "yuv410p", "yuva420p", "gbrp12le", "gbrapf32le", "gray", "gray12le")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(0, 1, shape).astype(np.float32)


def tags(location: int) -> ColorTags:
    return ColorTags(matrix=COLOR.matrix, range=1, primaries=1, transfer=1, chroma_location=location)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("location", [1, 2, 5])
def test_planes_go_there_and_back_as_on_the_cpu(name: str, rotation: int, location: int) -> None:
    layout, color, rgb = PlaneLayout.named(name), tags(location), noise(37, 51, 3)
    planes = rgb_to_planes_here(rgb, layout, color, rotation)
    there = planes_to_rgb(planes, layout, color, rotation, CPU)
    here = planes_to_rgb_here(planes, layout, color, rotation)
    np.testing.assert_allclose(there.permute(1, 2, 0).numpy(), here, atol=2e-5)
    made = rgb_to_planes(torch.from_numpy(rgb).permute(2, 0, 1), layout, color, rotation)
    assert [plane.dtype for plane in made] == [plane.dtype for plane in planes]
    for got, wanted in zip(made, planes, strict=True):
        assert got.shape == wanted.shape
        error = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
        assert error.max() <= (1e-5 if layout.is_float else 1)  # a sum in another order may turn a rounding
        assert (error > 1e-5).mean() < 0.002 * 2 ** max(0, layout.bits - 10)


@pytest.mark.parametrize("kernel", ["cubic", "bspline"])
def test_resampling_equals_the_cpus(kernel: Kernel) -> None:
    picture = noise(3, 40, 31)
    spans = (40, 57, 1.4, -0.3, 2), (31, 12, 0.37, 1.25, 0)
    axes = [axis(CPU, *span, kernel=kernel) for span in spans]
    operators = [axis_operator(*span[:4], kernel, first=span[4]) for span in spans]
    got = resample(torch.from_numpy(picture), *axes).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, Resampler(*operators)(np.ascontiguousarray(picture.transpose(1, 2, 0))), atol=3e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_code_value_survives_the_way_up(dtype: type) -> None:
    codes = np.arange(256 if dtype is np.uint8 else 65536).astype(dtype).reshape(-1, 16)
    assert np.array_equal(upload(codes[::2, 1:], CPU).numpy(), codes[::2, 1:].astype(np.float32))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_windows_equal_the_cpus(pix_fmt: str) -> None:
    frame = face_frame(0, 0, [face()], clip(96, 72, pix_fmt), noise(72, 96, 3)).frame
    windows = [full_window(96, 72, 0.8, margin=8), CropWindow(1.7, 10.25, 7.5, 64, 64, False)]
    for window, got in zip(windows, on_device(frame, windows, "bspline", CPU), strict=True):
        np.testing.assert_allclose(got.numpy(), Rgb("bspline").from_source(frame.rgb(), window), atol=2e-5)


def pasted(rotation: int, pix_fmt: str, windows: list[CropWindow]) -> RenderedFrame:
    info = clip(96, 128, pix_fmt, rotation) if rotation in (90, 270) else clip(128, 96, pix_fmt, rotation)
    faces = [face(0, (52.0, 36.0)), face(1, (76.0, 50.0), 18.5)][: len(windows)]
    frame = face_frame(0, 0, faces, info, noise(96, 128, 3))
    images = [torch.from_numpy(2 * noise(3, 2 * window.height, 2 * window.width) - 1) for window in windows]
    return RenderedFrame(frame, tuple(windows), tuple(images))


WINDOWS = {
    "whole": [full_window(128, 96, 0.9, margin=8)],
    "one": [CropWindow(1.0, 40.5, 20.25, 40, 40, False)],
    "two that overlap": [CropWindow(1.0, 20, 10, 48, 48, False), CropWindow(1.3, 50.5, 30, 48, 48, False)],
    "beyond the edge": [CropWindow(1.0, -20, -10, 64, 64, False)],
    "outside": [CropWindow(1.0, 500, 10, 64, 64, False)],
}


@pytest.mark.parametrize("mode", ["replace", "add"])
@pytest.mark.parametrize("matte", ["window", "head"])
@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    ("rotation", "pix_fmt"), [(0, "yuv420p"), (90, "yuv420p10le"), (180, "yuva420p"), (270, "gbrp")]
)
def test_putting_back_equals_the_cpus(
    rotation: int,
    pix_fmt: str,
    windows: list[CropWindow],
    matte: Literal["window", "head"],
    mode: Literal["replace", "add"],
) -> None:
    item, layout = pasted(rotation, pix_fmt, windows), PlaneLayout.named(pix_fmt)
    (here,) = Composite(CompositeConfig(matte=matte, mode=mode), (128, 96), layout, COLOR).stream(x for x in [item])
    there = DeviceComposite((128, 96), layout, COLOR, CompositeConfig().feather, matte, mode == "add").over_planes(item)
    source = item.face_frame.frame.planes
    for got, wanted, before in zip(there, here.planes, source, strict=True):
        error = np.abs(got.astype(np.int64) - wanted.astype(np.int64))
        assert error.max() <= 1
        assert (error > 0).mean() < 0.002
        kept = wanted == before
        assert (got[kept] == before[kept]).mean() > 0.999  # outside the matte every sample keeps its bits


def test_outside_the_matte_not_a_bit_changes() -> None:
    item = pasted(0, "yuv420p10le", WINDOWS["one"])
    layout = PlaneLayout.named("yuv420p10le")
    planes = DeviceComposite((128, 96), layout, COLOR, 0.15).over_planes(item)
    outside = np.ones((96, 128), bool)
    outside[20:61, 40:81] = False
    assert np.array_equal(planes[0][outside], item.face_frame.frame.planes[0][outside])
    assert not np.array_equal(planes[0], item.face_frame.frame.planes[0])


@pytest.mark.parametrize("mode", ["replace", "add"])
@pytest.mark.parametrize("matte", ["window", "head"])
@pytest.mark.parametrize("size", [(256, 192), (100, 80), (128, 96)])
@pytest.mark.parametrize("name", ["whole", "two that overlap"])
def test_another_size_or_layout_equals_the_cpus(
    size: tuple[int, int], name: str, matte: Literal["window", "head"], mode: Literal["replace", "add"]
) -> None:
    item, layout = pasted(90, "yuv420p", WINDOWS[name]), PlaneLayout.named("yuv444p10le")
    (here,) = Composite(CompositeConfig(matte=matte, mode=mode), size, layout, COLOR).stream(x for x in [item])
    there = DeviceComposite(size, layout, COLOR, CompositeConfig().feather, matte, mode == "add").over_picture(item)
    for got, wanted in zip(there, here.planes, strict=True):
        error = np.abs(got.astype(np.int64) - wanted.astype(np.int64))
        assert error.max() <= 1
        assert (error > 0).mean() < 0.08  # chroma between 8-bit samples lies on halves of 10-bit codes
