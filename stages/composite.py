"""composite: put the network's pictures back into the frame, and leave every sample outside the matte as it came."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Literal

from pydantic import Field, field_validator

from stages.base import Section
from stages.device_composite import DeviceComposite
from stages.device_pixels import on_gpu
from stages.device_stream import OwnStream
from stages.host_composite import HostComposite
from stages.paste import MatteShape
from stages.pixels import ColorTags, PlaneLayout
from stages.types import OutputFrame, RenderedFrame


class CompositeConfig(Section):
    """How the result goes back into the picture."""

    size: str = "source"
    """source: the clip's own size; native: times the model's scale (4 for the full model); or WxH in pixels."""
    matte: MatteShape = "window"
    """What is replaced. window: all that the network saw. head: each face with hair, ears, chin and a little of the
    neck, drawn to the edges of the picture within an egg about it, smooth over time, so that nothing else changes; what
    stands out of the egg is cut off: long hair, a hat."""
    mode: Literal["replace", "add"] = "replace"
    """replace: the network's picture stands in the source's place. add, for edits: what an edit changes (the picture
    with it less the one at strength 0) is added to the source, which keeps its own detail, grain and background; every
    frame is drawn twice."""
    feather: float = Field(default=0.15, gt=0, le=0.5)
    """Width of the matte's soft edge, as a share of the window's side, or of the egg's. Edges of a window that lie
    outside the frame have none."""

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
        self._size, self._layout, self._color = size, layout, color
        how = config.feather, config.matte, config.mode == "add"
        self._here = HostComposite(size, layout, color, *how)
        self._there = DeviceComposite(size, layout, color, *how)
        self._stream = OwnStream()

    def stream(self, items: Generator[RenderedFrame, None, None]) -> Generator[OutputFrame, None, None]:
        """Paste every picture over the source, in order."""
        with contextlib.closing(items):
            for item in items:
                yield self._composite(item)

    def _composite(self, item: RenderedFrame) -> OutputFrame:
        frame = item.face_frame.frame
        keeps_planes = frame.layout == self._layout and frame.color == self._color
        there = item.images and all(on_gpu(image.device) for image in item.images)
        overlay = self._there if there else self._here
        over = overlay.over_picture
        if frame.clip.upright_size == self._size and keeps_planes:
            over = overlay.over_planes
        with self._stream.after([image.device for image in item.images], [item.ready]):
            planes = over(item)
        return OutputFrame(planes, self._layout, self._color, frame.rotation, item.face_frame, bool(item.images))
