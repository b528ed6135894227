"""steady: mix each of the network's pictures with its neighbours, brought along by the motion of the source.

The first-layer feature and the skip features are drawn anew in every frame, so the source's grain becomes detail that
comes and goes. Filtering those features themselves does not help: they do not move with the picture (their grid is
eight pixels wide, docs/stability.md), so this stage filters what was drawn from them. Off by default.

Motion is DIS optical flow (Kroeger et al., ECCV 2016) between the windows of the source, never of the output. A place
is taken from a neighbour only where the motion agrees forward and backward (Lai et al., ECCV 2018) and the source looks
the same. The window is symmetric, finite, and ends at cuts and where the face or its picture's size changes.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from stages.base import Section
from stages.resample import Resampler, axis_operator
from stages.types import CropWindow, Frame, RenderedFrame

Floats = NDArray[np.float32]
GUIDE_SIDE = 256
"""Longer side, in pixels, of the pictures that motion is found in."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
SAME = 5.0
"""8-bit levels by which a place of the source may differ from its neighbour to have 1/e of the weight."""
AREA = 5
"""Side in guide pixels of the areas that are compared."""


class SteadyConfig(Section):
    """Filtering of the network's pictures over time, along the source's motion."""

    strength: float = Field(default=0.0, ge=0, le=1)
    """0: off; 1: neighbours count as a Gaussian says. A range that is rendered from an analysis has
    its neighbours in the shot rendered too."""
    window: int = Field(default=2, ge=1, le=4)
    """Frames to either side."""


class Steady:
    """RenderedFrame → RenderedFrame; keeps 2 · window + 1 frames."""

    name = "steady"

    def __init__(self, config: SteadyConfig) -> None:
        self._config = config
        self.lookahead = config.window if config.strength else 0
        """Frames held back before the first output."""

    def stream(self, items: Generator[RenderedFrame, None, None]) -> Generator[RenderedFrame, None, None]:
        """Filter, in order."""
        reach = self.lookahead
        held: deque[_Held] = deque(maxlen=2 * reach + 1)
        ready = 0  # frames in `held` that went out already
        mixer = _Mixer(self._config)
        with contextlib.closing(items):
            for item in items:
                if not reach:
                    yield item
                    continue
                if held and held[-1].item.face_frame.shot != item.face_frame.shot:
                    for place in range(ready, len(held)):
                        yield mixer.mixed(held, place)
                    held.clear()
                    ready = 0
                ready -= len(held) == held.maxlen
                held.append(_Held(item))
                if len(held) - ready > reach:
                    yield mixer.mixed(held, ready)
                    ready += 1
            for place in range(ready, len(held)):
                yield mixer.mixed(held, place)


class _Held:
    """A frame with what is known of its windows."""

    def __init__(self, item: RenderedFrame) -> None:
        self.item = item = replace(item, images=tuple(image.cpu() for image in item.images))
        frame = item.face_frame.frame
        rgb = frame.rgb() if item.images else None
        faces = item.face_frame.faces
        self.views: dict[int, _View] = {}
        for position, (window, image) in enumerate(zip(item.windows, item.images, strict=True)):
            assert rgb is not None
            track = faces[position].track_id
            self.views[track] = _View((frame.index, track), position, image, guide(frame, rgb, window))


@dataclass(eq=False, slots=True)
class _View:
    key: tuple[int, int]
    """Frame number and track: no other view of the clip has it."""
    position: int
    image: Tensor
    guide: NDArray[np.uint8]
    """[h, w]: luma of the source's window, at a small size."""


class _Mixer:
    """Finds motion, once per pair, and mixes."""

    def __init__(self, config: SteadyConfig) -> None:
        self._strength = config.strength
        self._reach = config.window
        self._sigma = config.window / 1.5
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._known: dict[tuple[tuple[int, int], tuple[int, int]], Floats] = {}

    def mixed(self, held: Sequence[_Held], place: int) -> RenderedFrame:
        """The frame at `place` with its neighbours mixed in."""
        now = held[place]
        images = list(now.item.images)
        for track, view in now.views.items():
            near = [
                (other.views[track], abs(k - place))
                for k, other in enumerate(held)
                if k != place
                and abs(k - place) <= self._reach
                and track in other.views
                and other.views[track].image.shape == view.image.shape
                and other.views[track].guide.shape == view.guide.shape
            ]
            if near:
                images[view.position] = self._mix(view, near)
        alive = {view.key for other in held for view in other.views.values()}
        self._known = {pair: flow for pair, flow in self._known.items() if alive.issuperset(pair)}
        return replace(now.item, images=tuple(images))

    def _mix(self, view: _View, near: Sequence[tuple[_View, int]]) -> Tensor:
        picture = np.ascontiguousarray(view.image.numpy().transpose(1, 2, 0))
        total, weights = picture.copy(), np.ones(picture.shape[:2], np.float32)
        height, width = picture.shape[:2]
        for other, distance in near:
            forward, back = self._flow(view, other), self._flow(other, view)
            weight = likeness(view.guide, other.guide, forward, back)
            weight *= np.float32(self._strength * math.exp(-0.5 * (distance / self._sigma) ** 2))
            weight = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
            large = cv2.resize(forward, (width, height), interpolation=cv2.INTER_LINEAR)
            large *= np.array([width / forward.shape[1], height / forward.shape[0]], np.float32)
            there = np.ascontiguousarray(other.image.numpy().transpose(1, 2, 0))
            total += weight[..., None] * warp(there, large, cv2.INTER_CUBIC)
            weights += weight
        return torch.from_numpy(np.ascontiguousarray((total / weights[..., None]).transpose(2, 0, 1)))

    def _flow(self, a: _View, b: _View) -> Floats:
        key = (a.key, b.key)
        if key not in self._known:
            found = self._dis.calc(a.guide, b.guide, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
            self._known[key] = np.asarray(found, np.float32)
        return self._known[key]


def guide(frame: Frame, rgb: Floats, window: CropWindow) -> NDArray[np.uint8]:
    """Luma of a window of the source [h, w], its longer side at most 256 pixels and no side under 16."""
    zoom = min(1.0, GUIDE_SIDE / max(window.width, window.height))
    columns, rows = (max(round(n * zoom), 16) for n in (window.width, window.height))
    small = Resampler(
        rows=axis_operator(rgb.shape[0], rows, window.scale * window.stretch * rows / window.height, window.top),
        cols=axis_operator(rgb.shape[1], columns, window.scale * columns / window.width, window.left),
    )
    return np.clip(np.rint(small(np.ascontiguousarray(rgb @ LUMA)) * 255), 0, 255).astype(np.uint8)


def likeness(here: NDArray[np.uint8], there: NDArray[np.uint8], forward: Floats, back: Floats) -> Floats:
    """[h, w] in [0, 1]: how surely a place shows in the other picture, where the motion says.

    0 where |f + W(b)|² > 0.01 (|f|² + |W(b)|²) + 0.25 or the place leaves the picture; else a Gaussian of the
    difference of areas.

    Args:
        here, there: uint8 [h, w].
        forward, back: [h, w, 2], from here to there and the other way.
    """
    returned = warp(back, forward, cv2.INTER_LINEAR)
    squares = (forward**2).sum(axis=-1) + (returned**2).sum(axis=-1)
    agrees = ((forward + returned) ** 2).sum(axis=-1) <= 0.01 * squares + 0.25
    height, width = here.shape
    x, y = np.arange(width) + forward[..., 0], np.arange(height)[:, None] + forward[..., 1]
    agrees &= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    difference = np.abs(warp(there.astype(np.float32), forward, cv2.INTER_CUBIC) - here)
    alike = np.exp(-((cv2.blur(difference, (AREA, AREA)) / SAME) ** 2))
    return np.asarray(cv2.blur(agrees.astype(np.float32), (3, 3)) * agrees * alike, np.float32)


def warp(picture: Floats, flow: Floats, interpolation: int) -> Floats:
    """The value at p is picture(p + flow(p)); the last row or column repeats beyond the edge."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return np.asarray(cv2.remap(picture, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE), np.float32)
