"""steady: mix what the network made of a frame with its neighbours, brought along by the motion of the source.

The first-layer feature and the skip features are drawn anew in every frame, so the source's grain becomes detail that
comes and goes. `Steady` filters the finished pictures, `SteadyFeature` the first-layer feature f before the generator;
what each is worth stands in docs/stability.md.

Motion is found between the windows of the source, never of the output (stages/motion.py). The window is symmetric and
finite; it ends at cuts and where the face or its picture's size changes. A frame that the source repeats is mixed from
the same neighbours as its copy, so repeated frames stay repeated, and a still that stands is not mixed at all.
"""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from stages.base import Section
from stages.device_stream import OwnStream, record
from stages.motion import Floats, Motion, guide, likeness
from stages.types import CropWindow, EncodedFrame, FaceFrame, RenderedFrame

REPEATS = 2
"""Copies of a frame that count as one moment: 24 frames per second in 60. More of them are a still."""


class SteadyConfig(Section):
    """Filtering over time along the source's motion. A range that is rendered from an analysis has its neighbours in
    the shot rendered too."""

    strength: float | None = Field(default=None, ge=0, le=1)
    """Of the network's pictures. 0: off; 1: neighbours count as a Gaussian says; null: 1 where `style.latents` is shot
    or smooth (not with one_euro, which is for live previews), else 0."""
    feature: float = Field(default=0.0, ge=0, le=1)
    """Of the first-layer feature f."""
    window: int = Field(default=1, ge=1, le=4)
    """Moments to either side. Two hold the picture a little stiller for twice the time."""

    @property
    def reach(self) -> int:
        """Frames to either side that may decide about one."""
        return self.window + REPEATS


Item = TypeVar("Item", RenderedFrame, EncodedFrame)


class Filter(ABC, Generic[Item]):
    """Item → Item, in order; keeps 2 · `reach` + 1 of them.

    Args:
        strength: in [0, 1]; 0 passes everything on as it comes.
    """

    def __init__(self, config: SteadyConfig, strength: float) -> None:
        self._strength, self._window = strength, config.window
        self._sigma = (config.window + 1) / 1.5
        self._motion = Motion()
        self.lookahead = config.reach if strength else 0
        """Frames held back before the first output."""

    @abstractmethod
    def _views(self, item: Item) -> Iterator[tuple[int, CropWindow, Tensor]]:
        """(track, window, what is filtered [C, h, w]) of each face."""

    @abstractmethod
    def _replaced(self, item: Item, tensors: Sequence[Tensor]) -> Item:
        """The item with its views filtered."""

    @staticmethod
    @abstractmethod
    def _frame(item: Item) -> FaceFrame: ...

    def stream(self, items: Generator[Item, None, None]) -> Generator[Item, None, None]:
        """Filter, in order."""
        reach = self.lookahead
        held: deque[_Held[Item]] = deque(maxlen=2 * reach + 1)
        ready = 0  # frames in `held` that went out already
        with contextlib.closing(items):
            for item in items:
                if not reach:
                    yield item
                    continue
                before = held[-1] if held else None
                held_item = _Held(item, self._frame(item), tuple(self._views(item)), before)
                if before is not None and before.frame.shot != held_item.frame.shot:
                    for place in range(ready, len(held)):
                        yield self._mixed(held, place)
                    held.clear()
                    ready = 0
                ready -= len(held) == held.maxlen
                held.append(held_item)
                if len(held) - ready > reach:
                    yield self._mixed(held, ready)
                    ready += 1
            for place in range(ready, len(held)):
                yield self._mixed(held, place)

    @torch.inference_mode()
    def _mixed(self, held: Sequence[_Held[Item]], place: int) -> Item:
        """The frame at `place` with its neighbours mixed in."""
        now = held[place]
        near = [(held[k], distance) for k, distance in _neighbours([h.repeats for h in held], place, self._window)]
        done = [self._mix(view, [(other.alike(view), distance) for other, distance in near]) for view in now.views]
        return self._replaced(now.item, done) if done else now.item

    def _mix(self, view: _View, near: Sequence[tuple[_View | None, int]]) -> Tensor:
        total, weights = view.tensor[None], None
        for other, distance in near:
            if other is None:
                continue
            forward, back = view.flow(other, self._motion), other.flow(view, self._motion)
            alike = likeness(view.guide, other.guide, forward, back)
            alike *= np.float32(self._strength * math.exp(-0.5 * (distance / self._sigma) ** 2))
            weight = _laid(alike[None], view.tensor)
            moved = weight * _moved(other.tensor, forward, view.tensor)
            total, weights = total + moved, weight if weights is None else weights + weight
        return view.tensor if weights is None else (total / (1 + weights))[0].to(view.tensor.dtype)


class Steady(Filter[RenderedFrame]):
    """Filters the network's pictures, where they lie: on a GPU beside the network's next batch."""

    name = "steady"

    def __init__(self, config: SteadyConfig, strength: float) -> None:
        super().__init__(config, strength)
        self._own = OwnStream()

    def _mixed(self, held: Sequence[_Held[RenderedFrame]], place: int) -> RenderedFrame:
        images = held[place].item.images
        with self._own.after([image.device for image in images], [other.item.ready for other in held]):
            mixed = super()._mixed(held, place)
            return replace(mixed, ready=record(images[0].device)) if images else mixed

    def _views(self, item: RenderedFrame) -> Iterator[tuple[int, CropWindow, Tensor]]:
        for face, window, image in zip(item.face_frame.faces, item.windows, item.images, strict=False):
            yield face.track_id, window, image

    def _replaced(self, item: RenderedFrame, tensors: Sequence[Tensor]) -> RenderedFrame:
        return replace(item, images=tuple(tensors))

    @staticmethod
    def _frame(item: RenderedFrame) -> FaceFrame:
        return item.face_frame


class SteadyFeature(Filter[EncodedFrame]):
    """Filters the first-layer feature f, and with it the RGB that belongs to it where there is one."""

    name = "steady_feature"

    def _views(self, item: EncodedFrame) -> Iterator[tuple[int, CropWindow, Tensor]]:
        for crop, latent in zip(item.cropped.crops, item.latents, strict=True):
            if latent.feature is not None:
                known = [part for part in (latent.feature, latent.feature_rgb) if part is not None]
                yield crop.face.track_id, crop.window, torch.cat([part.float() for part in known], dim=1)[0]

    def _replaced(self, item: EncodedFrame, tensors: Sequence[Tensor]) -> EncodedFrame:
        latents = []
        for latent, both in zip(item.latents, tensors, strict=True):
            assert latent.feature is not None
            channels = latent.feature.shape[1]
            feature, rgb = both[None, :channels].to(latent.feature.dtype), latent.feature_rgb
            rgb = None if rgb is None else both[None, channels:].to(rgb.dtype)
            latents.append(latent._replace(feature=feature, feature_rgb=rgb))
        return replace(item, latents=tuple(latents))

    @staticmethod
    def _frame(item: EncodedFrame) -> FaceFrame:
        return item.cropped.face_frame


class _View:
    """One face's picture in one frame."""

    def __init__(self, frame: FaceFrame, track: int, window: CropWindow, tensor: Tensor) -> None:
        self.track, self.window, self.tensor = track, window, tensor
        self._source = frame.frame
        self._flows: dict[int, Floats] = {}

    @cached_property
    def guide(self) -> NDArray[np.uint8]:
        """Of the source's window; made when a neighbour is there to be compared with."""
        return guide(self._source, self.window)

    def flow(self, other: _View, motion: Motion) -> Floats:
        """From here to there, found once."""
        key = other._source.index
        if key not in self._flows:
            self._flows[key] = motion(self.guide, other.guide)
        return self._flows[key]


class _Held(Generic[Item]):
    """A frame with what is known of its windows."""

    def __init__(
        self,
        item: Item,
        frame: FaceFrame,
        views: Sequence[tuple[int, CropWindow, Tensor]],
        before: _Held[Item] | None,
    ) -> None:
        self.item, self.frame = item, frame
        self.views = [_View(frame, *view) for view in views]
        self.repeats = before is not None and self._is(before)
        """The source shows the same, and it is seen through the same windows, as in the frame before."""

    def alike(self, view: _View) -> _View | None:
        """The same face's picture here, where it has the same size."""
        for own in self.views:
            if own.track == view.track and own.tensor.shape == view.tensor.shape:
                return own if own.guide.shape == view.guide.shape else None
        return None

    def _is(self, other: _Held[Item]) -> bool:
        if other.frame.shot != self.frame.shot or len(other.views) != len(self.views):
            return False
        pairs = zip(self.views, other.views, strict=True)
        if any(a.track != b.track or a.window != b.window for a, b in pairs):
            return False
        planes = zip(self.frame.frame.planes, other.frame.frame.planes, strict=True)
        return all(a is b or np.array_equal(a, b) for a, b in planes)


def _neighbours(repeats: Sequence[bool], place: int, window: int) -> list[tuple[int, int]]:
    """(place, moments away) of what is mixed into a frame: within `window` frames of its copies, each moment once.

    Args:
        repeats: of each frame in order, whether it is the one before once more.
    """
    first = last = place
    while first > 0 and repeats[first]:
        first -= 1
    while last + 1 < len(repeats) and repeats[last + 1]:
        last += 1
    if last - first > REPEATS:
        return []
    earlier = [k for k in range(first - 1, max(first - 1 - window, -1), -1) if k == first - 1 or not repeats[k + 1]]
    later = [k for k in range(last + 1, min(last + 1 + window, len(repeats))) if not repeats[k]]
    return [(k, distance) for side in (earlier, later) for distance, k in enumerate(side, start=1)]


def _laid(small: Floats, like: Tensor) -> Tensor:
    """[C, h, w] of a guide's size → [1, C, H, W] of the picture's, on its device."""
    there = torch.from_numpy(np.ascontiguousarray(small)).to(like.device)[None]
    reduces = there.shape[3] > like.shape[2]
    return F.interpolate(there, like.shape[1:], mode="bilinear", align_corners=False, antialias=reduces)


def _moved(picture: Tensor, flow: Floats, like: Tensor) -> Tensor:
    """[1, C, H, W]: the value at p is picture(p + flow(p)), bicubic; the last row or column repeats beyond the edge."""
    height, width = like.shape[1:]
    step = np.array([2 / flow.shape[1], 2 / flow.shape[0]], np.float32)  # guide pixels → the picture is 2 wide and high
    shift = _laid((flow * step).transpose(2, 0, 1), like)[0]
    x = (torch.arange(width, device=like.device) * 2 + 1) / width - 1 + shift[0]
    y = ((torch.arange(height, device=like.device) * 2 + 1) / height - 1)[:, None] + shift[1]
    grid = torch.stack([x, y], dim=-1)[None]
    there = picture.to(like.device, like.dtype)[None]
    return F.grid_sample(there, grid, mode="bicubic", padding_mode="border", align_corners=False)
