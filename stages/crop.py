"""crop: the window that the network sees, at face scale (64 px between the eyes), cut with anti-aliasing.

The whole frame when it fits a pixel budget at that scale, else a window that follows the face. The encoder needs no
alignment here (StyleGANEX §3.1: a first-layer feature for the unaligned frame); only the scale matters.

`frame: published` is what the published scripts do, for parity and for comparisons (configs/published.yaml): a window
settled by the clip's first face and never moved, not even at a cut, cut without anti-aliasing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from models.config import ALIGNED_SIZE
from stages.base import Section
from stages.content import Content, Rgb
from stages.device_pixels import axis, on_gpu, planes_to_rgb, resample
from stages.errors import UserError
from stages.geometry import PublishedWindow, published_window
from stages.pixels import Box, to_network
from stages.resample import KERNELS, Kernel
from stages.types import CroppedFace, CroppedFrame, CropWindow, Face, Frame, StyledFrame


class CropConfig(Section):
    """What the network sees."""

    frame: Literal["auto", "full", "window", "aligned", "published"] = "auto"
    """full: the whole frame at face scale; window: a square around the face; auto: full when it fits `max_pixels`.
    aligned: the FFHQ-aligned square of the largest face, which is then all that the output shows, at the model's own
    size; auto means this for plain pSp models. A square of 256, 512 or 1024 pixels without a face is taken as aligned.
    published: ±256 px about the eyes of the clip's first face, fixed for the clip, plain bilinear; it flickers more."""
    max_pixels: int = Field(default=400_000, ge=4096)
    """Budget of the network's input, in pixels at face scale, for `frame: auto`."""
    window_px: int = Field(default=512, ge=128, le=4096, multiple_of=8)
    """Side of the window, in pixels at face scale (published: 512)."""
    eye_distance_px: float = Field(default=64.0, ge=16, le=256)
    """Distance between the eyes in the network's input, in pixels. The published models were trained at 64."""
    margin_px: int = Field(default=16, ge=0, le=128, multiple_of=8)
    """Reflected pixels around a whole frame, cut off again afterwards: they keep the network's zero padding outside."""
    snap: float = Field(default=0.04, ge=0, le=0.2)
    """A whole frame whose scale is this close to 1 keeps its pixels' places (and, by a sharp filter, its pixels)."""
    filter: Literal["auto", "soft", "sharp"] = "auto"
    """How photographs are resampled, always with anti-aliasing. sharp: bicubic. soft: cubic B-spline; less of the
    source's grain comes through, which the network would draw as detail, anew in each frame (docs/stability.md).
    auto: sharp for single images and aligned squares, soft for clips."""


class Crop:
    """StyledFrame → CroppedFrame.

    Args:
        content: what the network sees; None: the frame itself.
        device: the network's. On a GPU photographs are converted and resampled there; everything else on the CPU.
    """

    name = "crop"
    lookahead = 0

    def __init__(self, config: CropConfig, content: Content | None = None, device: torch.device | None = None) -> None:
        self._config = config
        self._device = device if device is not None and on_gpu(device) else None
        self._content = content or Rgb()
        if config.frame == "published" and type(self._content) is not Rgb:
            raise UserError(
                "crop.frame: published: cut from photographs as they are, and this task shows the network others",
                "use auto, full or window",
            )

    def stream(self, items: Generator[StyledFrame, None, None]) -> Generator[CroppedFrame, None, None]:
        """Cut one window per face. A whole frame keeps the scale of its shot's first face, so that nothing breathes.

        Raises:
            UserError: `frame: published`, and the clip's first face has no published window.
        """
        with contextlib.closing(items):
            for item in items:
                if self._config.frame == "published":
                    yield _published(item)
                    continue
                scale, full = 1.0, False
                if self._config.frame == "aligned":
                    scale, full = aligned_scale(item.face_frame.frame.clip.upright_size), True
                elif (opening := item.face_frame.opening) is not None:
                    size = item.face_frame.frame.clip.upright_size
                    scale = self._face_scale(opening.eye_distance, self._config.snap)
                    full = self._is_full(size, scale, opening.num_faces)
                yield self._crop(item, scale, full and len(item.face_frame.faces) == 1)

    def _face_scale(self, eye_distance: float, snap: float = 0.0) -> float:
        scale = self._config.eye_distance_px / eye_distance
        return 1.0 if abs(scale - 1.0) <= snap else scale

    def _is_full(self, size: tuple[int, int], scale: float, num_faces: int) -> bool:
        if self._config.frame != "auto":
            return self._config.frame == "full"
        return num_faces == 1 and size[0] * scale * size[1] * scale <= self._config.max_pixels

    def _crop(self, item: StyledFrame, scale: float, full: bool) -> CroppedFrame:
        if not item.face_frame.faces:
            return CroppedFrame(item.face_frame, ())
        frame = item.face_frame.frame
        width, height = frame.clip.upright_size
        margin = 0 if self._config.frame == "aligned" else self._config.margin_px
        content = self._filtered(frame.clip.kind == "image")
        windows = [
            full_window(width, height, scale, margin) if full else self._following_window(face)
            for face in item.face_frame.faces
        ]
        if self._device is not None and type(content) is Rgb:
            images = on_device(frame, windows, content.kernel, self._device)
            found = zip(item.face_frame.faces, item.styles, windows, images, strict=True)
            return CroppedFrame(item.face_frame, tuple(CroppedFace(*each) for each in found))
        boxes = [_reach(content, window, width, height) for window in windows]
        areas = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
        whole = frame.rgb() if areas >= width * height else None
        crops: list[CroppedFace] = []
        for face, style, window, box in zip(item.face_frame.faces, item.styles, windows, boxes, strict=True):
            if whole is not None:
                image = content.from_source(whole, window)
            else:  # only the pixels that are looked at are converted
                part = replace(window, left=window.left - box[0], top=window.top - box[1])
                image = content.from_source(frame.rgb(box), part)
            crops.append(CroppedFace(face, style, window, image))
        return CroppedFrame(item.face_frame, tuple(crops))

    def _filtered(self, still: bool) -> Content:
        """The content with the filter's kernel; contents that are not plain photographs have their own."""
        if type(self._content) is not Rgb:
            return self._content
        by_itself = still or self._config.frame == "aligned"  # that square was resampled already
        sharp = self._config.filter == "sharp" or (self._config.filter == "auto" and by_itself)
        return Rgb("cubic" if sharp else "bspline")

    def _following_window(self, face: Face) -> CropWindow:
        scale, side = self._face_scale(face.eye_distance), self._config.window_px
        left, top = (c + 0.5 - side / scale / 2 for c in face.center)
        return CropWindow(scale, left, top, side, side, full=False)


@torch.inference_mode()
def on_device(frame: Frame, windows: Sequence[CropWindow], kernel: Kernel, device: torch.device) -> list[Tensor]:
    """x1 [3, h, w] of every window, as `Rgb.from_source`; the frame crosses once, in its code values."""
    rgb = planes_to_rgb(frame.planes, frame.layout, frame.color, frame.rotation, device)
    height, width = rgb.shape[1:]
    return [
        resample(
            rgb,
            axis(device, height, window.height, window.scale, window.top, kernel=kernel),
            axis(device, width, window.width, window.scale, window.left, kernel=kernel),
        )
        * 2
        - 1
        for window in windows
    ]


def _reach(content: Content, window: CropWindow, width: int, height: int) -> Box:
    """The part of a picture of width × height pixels that the window's x1 is made from."""
    if not isinstance(content, Rgb) or window.full:
        return 0, 0, width, height
    reach = KERNELS[content.kernel][1] * max(1.0, 1.0 / window.scale) + 1
    left, right = _span(window.left, window.width / window.scale, width, reach)
    top, bottom = _span(window.top, window.height / window.scale, height, reach)
    return left, top, right, bottom


def _span(start: float, length: float, size: int, reach: float) -> tuple[int, int]:
    """Samples in [0, size) that an interval, widened by `reach`, sees; the mirror at either end included."""
    first, last = math.floor(start - reach), math.ceil(start + length + reach)
    low, high = max(first, 0), min(last, size)
    if first < 0:
        high = max(high, -first)
    if last > size:
        low = min(low, 2 * size - last)
    return (low, high) if 0 <= low < high <= size else (0, size)


def full_window(width: int, height: int, scale: float, margin: int = 0) -> CropWindow:
    """The whole frame at `scale` with `margin` pixels around it, its size rounded up to multiples of 8.

    What lies beyond the frame is reflected.
    """
    columns, rows = (8 * math.ceil(max(round(n * scale), 1) / 8) + 2 * margin for n in (width, height))
    return CropWindow(scale, -margin / scale, -margin / scale, columns, rows, full=True)


def _published(item: StyledFrame) -> CroppedFrame:
    """The published window with the frame's largest face; the scripts know of one face alone."""
    faces, opening = item.face_frame.faces, item.face_frame.opening
    if not faces or opening is None:
        return CroppedFrame(item.face_frame, ())
    clip = item.face_frame.frame.clip
    width, height = clip.upright_size
    try:
        bounds = published_window(opening.clip_landmarks, height, width)
    except ValueError:
        bounds = None
    if bounds is None or bounds.bottom <= bounds.top or bounds.right <= bounds.left:
        raise UserError(
            f"{clip.path.name}: the published rule finds no window: the clip's first face is turned too far, or tiny",
            "use crop.frame: auto, or --start at a frame where the face looks at the camera",
        )
    across, down = bounds.width / width, bounds.height / height
    window = CropWindow(
        scale=across,
        left=bounds.left / across,
        top=bounds.top / down,
        width=bounds.right - bounds.left,
        height=bounds.bottom - bounds.top,
        full=False,
        stretch=down / across,
    )
    image = published_image(item.face_frame.frame.rgb8(), bounds)
    return CroppedFrame(item.face_frame, (CroppedFace(faces[0], item.styles[0], window, image),))


def published_image(rgb: NDArray[np.uint8], bounds: PublishedWindow) -> NDArray[np.float32]:
    """x1 as the published scripts make it: 8 bits, resized by plain bilinear, then cut.

    Args:
        rgb: uint8 [H, W, 3].

    Returns:
        float32 [3, h, w] in [−1, 1].
    """
    resized = cv2.resize(rgb, (bounds.width, bounds.height), interpolation=cv2.INTER_LINEAR)
    part = resized[bounds.top : bounds.bottom, bounds.left : bounds.right]
    return to_network(part.astype(np.float32) / np.float32(255))


def aligned_scale(size: tuple[int, int]) -> float:
    """Window pixels per pixel of an aligned square of (width, height) pixels.

    Raises:
        UserError: it is no square.
    """
    width, height = size
    if width != height:
        raise UserError(
            f"a picture of {width}x{height} pixels: aligned faces, and drawings of them, are squares",
            "crop it to a square, or use a StyleGANEX model, which takes any size",
        )
    return ALIGNED_SIZE / width
