"""composite: put the network's pictures back into the frame, and leave every sample outside the matte as it came."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from stages.base import Section
from stages.pixels import Box, ColorTags, PlaneLayout, blend_box, blend_planes, from_network, rgb_to_planes
from stages.resample import Resampler, axis_operator
from stages.types import CropWindow, Frame, OutputFrame, PlaneArray, RenderedFrame


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
            planes = self._over_planes(item) if item.images else frame.planes
        else:
            rgb = self._over_picture(item, self._background(frame))
            planes = rgb_to_planes(rgb, self._layout, self._color, frame.rotation)
        return OutputFrame(planes, self._layout, self._color, frame.rotation, item.face_frame, bool(item.images))

    def _background(self, frame: Frame) -> NDArray[np.float32]:
        rgb = frame.rgb()
        height, width = rgb.shape[:2]
        columns, rows = self._size
        if (width, height) == self._size:
            return rgb
        return Resampler(
            rows=axis_operator(height, rows, rows / height, 0.0),
            cols=axis_operator(width, columns, columns / width, 0.0),
        )(rgb)

    def _pastes(self, item: RenderedFrame) -> list[_Paste]:
        """One per window, in order; none that is hidden by a whole frame, or lies outside the frame."""
        pastes = [
            _Paste(window, image.numpy(), item.face_frame.frame.clip.upright_size, self._size, self._config.feather)
            for window, image in zip(item.windows, item.images, strict=True)
        ]
        last_full = max((k for k, paste in enumerate(pastes) if paste.full), default=0)
        return [paste for paste in pastes[last_full:] if paste.box[0] < paste.box[2] and paste.box[1] < paste.box[3]]

    def _over_picture(self, item: RenderedFrame, background: NDArray[np.float32]) -> NDArray[np.float32]:
        """The windows over each other and over `background` [H, W, 3], which is written to."""
        for paste in self._pastes(item):
            part = _part(background, paste.box)
            part[...] = paste.picture() if paste.full else _mixed(part, paste.picture(), paste.matte())
        return background

    def _over_planes(self, item: RenderedFrame) -> tuple[PlaneArray, ...]:
        """The windows over each other, and over the source's planes where there is a matte."""
        frame, pastes = item.face_frame.frame, self._pastes(item)
        if not pastes:
            return frame.planes
        if len(pastes) == 1 and pastes[0].full:
            return blend_planes(frame.planes, pastes[0].picture(), None, self._layout, self._color, frame.rotation)
        edges = np.array([paste.box for paste in pastes])
        left, top, right, bottom = (*edges[:, :2].min(axis=0).tolist(), *edges[:, 2:].max(axis=0).tolist())
        box = blend_box((left, top, right, bottom), self._layout, frame.rotation, *self._size)
        rgb = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.float32)
        alpha = np.zeros(rgb.shape[:2], np.float32)
        for paste in pastes:
            new = paste.picture()
            under, covered = (_part(canvas, paste.box, box[:2]) for canvas in (rgb, alpha))
            if paste.full:
                under[...], covered[...] = new, 1
                continue
            # What lies under several mattes is the pictures' own mix, not the empty canvas.
            matte = paste.matte()
            over = (matte + covered * (1 - matte)).astype(np.float32)
            share = np.divide(matte, over, out=np.zeros_like(matte), where=over > 0)
            under[...], covered[...] = _mixed(under, new, share), over
        return blend_planes(frame.planes, rgb, alpha, self._layout, self._color, frame.rotation, box)


class _Paste:
    """One of the network's pictures, where it lies in the finished one; only the pixels there are ever computed.

    Args:
        picture: [3, h, w] in [−1, 1].
        upright: (width, height) of the source.
        size: (width, height) of the finished picture.
    """

    def __init__(
        self,
        window: CropWindow,
        picture: NDArray[np.float32],
        upright: tuple[int, int],
        size: tuple[int, int],
        feather: float,
    ) -> None:
        self.full = window.full
        self._window, self._picture = window, picture
        self._size, self._feather = size, feather
        zoom = self._zoom = size[0] / upright[0], size[1] / upright[1]
        self._across = window.left * zoom[0], window.width / window.scale * zoom[0]
        self._down = window.top * zoom[1], window.height / (window.scale * window.stretch) * zoom[1]
        (left, right), (top, bottom) = _reach(*self._across, size[0]), _reach(*self._down, size[1])
        self.box: Box = (0, 0, *size) if window.full else (left, top, right, bottom)

    def picture(self) -> NDArray[np.float32]:
        """R'G'B' [h, w, 3] of the box."""
        left, top, right, bottom = self.box
        window, (_, height, width) = self._window, self._picture.shape
        across = width / window.width * window.scale  # picture pixels per source pixel
        down = height / window.height * window.scale * window.stretch
        zoom = self._zoom
        return Resampler(
            rows=axis_operator(height, bottom - top, zoom[1] / down, -window.top * down, first=top),
            cols=axis_operator(width, right - left, zoom[0] / across, -window.left * across, first=left),
        )(from_network(self._picture))

    def matte(self) -> NDArray[np.float32]:
        """[h, w] of the box, in [0, 1]."""
        left, top, right, bottom = self.box
        across = _soft_edge(*self._across, self._size[0], self._feather)[left:right]
        down = _soft_edge(*self._down, self._size[1], self._feather)[top:bottom]
        return down[:, None] * across[None, :]


def _reach(start: float, length: float, count: int) -> tuple[int, int]:
    """First and last but one of the pixels [0, count) that an interval touches."""
    return max(math.floor(start), 0), min(math.ceil(start + length), count)


def _part(canvas: NDArray[np.float32], box: Box, origin: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """View of the pixels under `box`, of a canvas whose first pixel lies at `origin` (x, y)."""
    x, y = origin
    return canvas[box[1] - y : box[3] - y, box[0] - x : box[2] - x]


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
