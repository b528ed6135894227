"""composite: put the network's pictures back into the frame, and leave every sample outside the matte as it came."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from stages.base import Section
from stages.pixels import ColorTags, PlaneLayout, blend_planes, from_network, rgb_to_planes
from stages.resample import Resampler, axis_operator
from stages.types import CropWindow, Frame, OutputFrame, RenderedFrame


class CompositeConfig(Section):
    """How the result goes back into the picture."""

    size: str = "source"
    """source: the clip's own size; native: times the model's scale (4 for the full model); or WxH in pixels."""
    feather: float = Field(default=0.15, gt=0, le=0.5)
    """Width of the matte's soft edge, as a share of the window's side. Edges that lie outside the frame have none."""

    @field_validator("size")
    @classmethod
    def _known_size(cls, value: str) -> str:
        if value not in ("source", "native"):
            width, cross, height = value.partition("x")
            if not (cross and width.isdecimal() and height.isdecimal() and int(width) >= 16 and int(height) >= 16):
                raise ValueError("expected source, native or WIDTHxHEIGHT (at least 16x16)")
        return value


def output_size(config: CompositeConfig, upright: tuple[int, int], model_scale: int) -> tuple[int, int]:
    """(width, height) of the finished, upright picture."""
    width, height = upright
    if config.size == "source":
        return width, height
    if config.size == "native":
        return width * model_scale, height * model_scale
    width_text, _, height_text = config.size.partition("x")
    return int(width_text), int(height_text)


class Composite:
    """RenderedFrame → OutputFrame, in the encoder's plane layout.

    Args:
        size: (width, height) of the finished upright picture.
        layout, color: of the finished planes.
    """

    name = "composite"
    lookahead = 0

    def __init__(self, config: CompositeConfig, size: tuple[int, int], layout: PlaneLayout, color: ColorTags) -> None:
        self._config = config
        self._size = size
        self._layout = layout
        self._color = color

    def stream(self, items: Generator[RenderedFrame, None, None]) -> Generator[OutputFrame, None, None]:
        """Paste every window over the source, in order."""
        with contextlib.closing(items):
            for item in items:
                yield self._composite(item)

    def _composite(self, item: RenderedFrame) -> OutputFrame:
        frame = item.face_frame.frame
        keeps_planes = frame.layout == self._layout and frame.color == self._color
        if frame.clip.upright_size == self._size and keeps_planes:
            planes = frame.planes
            if item.images:
                rgb, alpha = self._paste(item, None)
                planes = blend_planes(planes, rgb, alpha, self._layout, self._color, frame.rotation)
        else:
            rgb, alpha = self._paste(item, self._background(frame))
            planes = rgb_to_planes(rgb, self._layout, self._color, frame.rotation)
        return OutputFrame(planes, self._layout, self._color, frame.rotation, item.face_frame, bool(item.images))

    def _background(self, frame: Frame) -> NDArray[np.float32]:
        rgb = frame.rgb()
        height, width = rgb.shape[:2]
        columns, rows = self._size
        return Resampler(
            rows=axis_operator(height, rows, rows / height, 0.0),
            cols=axis_operator(width, columns, columns / width, 0.0),
        )(rgb)

    def _paste(
        self, item: RenderedFrame, background: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The windows over each other and over `background`: R'G'B' [H, W, 3] and the matte [H, W] in [0, 1]."""
        columns, rows = self._size
        width, height = item.face_frame.frame.clip.upright_size
        zoom = columns / width, rows / height
        rgb: NDArray[np.float32] = np.zeros((rows, columns, 3), np.float32) if background is None else background
        alpha: NDArray[np.float32] = np.zeros((rows, columns), np.float32)
        for window, image in zip(item.windows, item.images, strict=True):
            picture = from_network(image.numpy())
            back = paste_resampler(window, picture.shape[1], picture.shape[0], self._size, zoom)
            new = back(picture)
            if window.full:
                rgb, alpha = new, np.ones((rows, columns), np.float32)
                continue
            matte = self._matte(window, zoom)
            if background is None:  # what lies under several mattes: the pictures' own mix, not the empty canvas
                over = (matte + alpha * (1 - matte)).astype(np.float32)
                share = np.divide(matte, over, out=np.zeros_like(matte), where=over > 0)
                rgb, alpha = _mixed(rgb, new, share), over
            else:
                rgb = _mixed(rgb, new, matte)
        return rgb, alpha

    def _matte(self, window: CropWindow, zoom: tuple[float, float]) -> NDArray[np.float32]:
        columns, rows = self._size
        across = _soft_edge(window.left * zoom[0], window.width / window.scale * zoom[0], columns, self._config.feather)
        tall = window.height / (window.scale * window.stretch)
        down = _soft_edge(window.top * zoom[1], tall * zoom[1], rows, self._config.feather)
        return down[:, None] * across[None, :]


def paste_resampler(
    window: CropWindow, width: int, height: int, size: tuple[int, int], zoom: tuple[float, float]
) -> Resampler:
    """From the network's picture (width × height pixels) of `window` to the finished picture of `size`.

    `zoom`: finished pixels per source pixel, across and down.
    """
    across = width / window.width * window.scale  # picture pixels per source pixel
    down = height / window.height * window.scale * window.stretch
    return Resampler(
        rows=axis_operator(height, size[1], zoom[1] / down, -window.top * down),
        cols=axis_operator(width, size[0], zoom[0] / across, -window.left * across),
    )


def _mixed(under: NDArray[np.float32], over: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(under + (over - under) * share[..., None], np.float32)


def _soft_edge(start: float, length: float, count: int, feather: float) -> NDArray[np.float32]:
    """[count]: 0 outside [start, start + length], 1 inside, smoothstep between; no ramp at an edge beyond the frame."""
    position = np.arange(count) + 0.5
    ramp = feather * length
    rise = np.clip((position - start) / ramp, 0, 1) if start > 0 else np.ones(count)
    fall = np.clip((start + length - position) / ramp, 0, 1) if start + length < count else np.ones(count)
    edge = np.minimum(rise, fall)
    return (edge * edge * (3 - 2 * edge)).astype(np.float32)
