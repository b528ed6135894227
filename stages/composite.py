"""composite: put the network's pictures back into the frame, and leave every sample outside the matte as it came."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.sparse import csr_array
from torch import Tensor

from stages.base import Section
from stages.device_composite import DeviceComposite
from stages.device_pixels import on_gpu
from stages.paste import Paste, box_of, pastes_of
from stages.pixels import Box, ColorTags, PlaneLayout, blend_box, blend_planes, from_network, rgb_to_planes
from stages.resample import Resampler, axis_operator
from stages.types import Frame, OutputFrame, PlaneArray, RenderedFrame


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
    """RenderedFrame → OutputFrame, in the encoder's plane layout; on the GPU where the pictures are.

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
        self._there = DeviceComposite(size, layout, color, config.feather)

    def stream(self, items: Generator[RenderedFrame, None, None]) -> Generator[OutputFrame, None, None]:
        """Paste every window over the source, in order."""
        with contextlib.closing(items):
            for item in items:
                yield self._composite(item)

    def _composite(self, item: RenderedFrame) -> OutputFrame:
        frame = item.face_frame.frame
        keeps_planes = frame.layout == self._layout and frame.color == self._color
        there = self._there if item.images and all(on_gpu(image.device) for image in item.images) else None
        if frame.clip.upright_size == self._size and keeps_planes:
            over_planes = self._over_planes if there is None else there.over_planes
            planes = over_planes(item) if item.images else frame.planes
        elif there is not None:
            planes = there.over_picture(item)
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

    def _over_picture(self, item: RenderedFrame, background: NDArray[np.float32]) -> NDArray[np.float32]:
        """The windows over each other and over `background` [H, W, 3], which is written to."""
        for k, paste in pastes_of(item, self._size, self._config.feather):
            part, picture = _part(background, paste.box), _picture(paste, item.images[k])
            part[...] = picture if paste.full else _mixed(part, picture, _matte(paste))
        return background

    def _over_planes(self, item: RenderedFrame) -> tuple[PlaneArray, ...]:
        """The windows over each other, and over the source's planes where there is a matte."""
        frame, pastes = item.face_frame.frame, pastes_of(item, self._size, self._config.feather)
        if not pastes:
            return frame.planes
        if len(pastes) == 1 and pastes[0][1].full:
            picture = _picture(pastes[0][1], item.images[pastes[0][0]])
            return blend_planes(frame.planes, picture, None, self._layout, self._color, frame.rotation)
        box = blend_box(box_of(pastes), self._layout, frame.rotation, *self._size)
        rgb = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.float32)
        alpha = np.zeros(rgb.shape[:2], np.float32)
        for k, paste in pastes:
            new = _picture(paste, item.images[k])
            under, covered = (_part(canvas, paste.box, box[:2]) for canvas in (rgb, alpha))
            if paste.full:
                under[...], covered[...] = new, 1
                continue
            # What lies under several mattes is the pictures' own mix, not the empty canvas.
            matte = _matte(paste)
            over = (matte + covered * (1 - matte)).astype(np.float32)
            share = np.divide(matte, over, out=np.zeros_like(matte), where=over > 0)
            under[...], covered[...] = _mixed(under, new, share), over
        return blend_planes(frame.planes, rgb, alpha, self._layout, self._color, frame.rotation, box)


def _picture(paste: Paste, image: Tensor) -> NDArray[np.float32]:
    """R'G'B' [h, w, 3] of the paste's box."""
    rows, cols = (_operator(*span) for span in paste.spans())
    return Resampler(rows, cols)(from_network(image))


def _operator(in_size: int, out_size: int, scale: float, offset: float, first: int) -> csr_array:
    return axis_operator(in_size, out_size, scale, offset, first=first)


def _matte(paste: Paste) -> NDArray[np.float32]:
    down, across = paste.edges()
    return down[:, None] * across[None, :]


def _part(canvas: NDArray[np.float32], box: Box, origin: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """View of the pixels under `box`, of a canvas whose first pixel lies at `origin` (x, y)."""
    x, y = origin
    return canvas[box[1] - y : box[3] - y, box[0] - x : box[2] - x]


def _mixed(under: NDArray[np.float32], over: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(under + (over - under) * share[..., None], np.float32)
