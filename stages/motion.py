"""How the source moves under a window: flow between two frames, and how surely a place shows in both.

DIS optical flow (Kroeger et al., ECCV 2016) on luma at a small size, forward and backward, with the consistency check
of Lai et al. (ECCV 2018).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.pixels import matrices
from stages.resample import Resampler, axis_operator
from stages.types import CropWindow, Frame

Floats = NDArray[np.float32]
GUIDE_SIDE = 256
"""Longer side, in pixels, of the pictures that motion is found in."""
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
SAME = 5.0
"""8-bit levels by which a place of the source may differ from its neighbour to have 1/e of the weight."""
AREA = 5
"""Side in guide pixels of the areas that are compared."""


class Motion:
    """Flow between guides; not to be shared between threads."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setGradientDescentIterations(12)  # more find nothing more on pictures this small

    def __call__(self, here: NDArray[np.uint8], there: NDArray[np.uint8]) -> Floats:
        """[h, w, 2]: what shows at p of `here` shows at p + flow(p) of `there`."""
        return np.asarray(self._dis.calc(here, there, None), np.float32)  # pyright: ignore[reportCallIssue, reportArgumentType]


def guide(frame: Frame, window: CropWindow) -> NDArray[np.uint8]:
    """Luma of a window of the source [h, w], its longer side at most 256 pixels and no side under 16."""
    zoom = min(1.0, GUIDE_SIDE / max(window.width, window.height))
    columns, rows = (max(round(n * zoom), 16) for n in (window.width, window.height))
    source = luma(frame)
    small = Resampler(
        rows=axis_operator(source.shape[0], rows, window.scale * window.stretch * rows / window.height, window.top),
        cols=axis_operator(source.shape[1], columns, window.scale * columns / window.width, window.left),
    )
    return np.clip(np.rint(small(source) * 255), 0, 255).astype(np.uint8)


def luma(frame: Frame) -> Floats:
    """Upright luma [H, W], nominal range [0, 1]: of Y'CbCr the first plane alone, chroma is not even upsampled."""
    to_rgb, _ = matrices(frame.layout, frame.color)
    codes = frame.planes[0].astype(np.float32)
    if frame.layout.is_rgb:
        green, blue, red = (plane.astype(np.float32) for plane in frame.planes[:3])
        weights = LUMA @ to_rgb
        level = weights[0] * red + weights[1] * green + weights[2] * blue + weights[3]
    elif frame.layout.is_gray:
        level = codes * to_rgb[0, 0] + to_rgb[0, 1]
    else:  # without colour R', G' and B' are alike
        middle = 0.5 if frame.layout.is_float else float(1 << (frame.layout.bits - 1))
        level = codes * to_rgb[0, 0] + (to_rgb[0, 1] + to_rgb[0, 2]) * middle + to_rgb[0, 3]
    return np.ascontiguousarray(np.rot90(level, frame.rotation // 90), np.float32)


def likeness(here: NDArray[np.uint8], there: NDArray[np.uint8], forward: Floats, back: Floats) -> Floats:
    """[h, w] in [0, 1]: how surely a place shows in the other picture, where the motion says.

    0 where |f + W(b)|² > 0.01 (|f|² + |W(b)|²) + 0.25 or the place leaves the picture; else a Gaussian of the
    difference of areas.

    Args:
        here, there: uint8 [h, w].
        forward, back: [h, w, 2], from here to there and the other way.
    """
    height, width = here.shape
    along, down = cv2.split(forward)
    x = np.arange(width, dtype=np.float32) + along
    y = np.arange(height, dtype=np.float32)[:, None] + down
    along_back, down_back = cv2.split(warp(back, forward))
    squares = along**2 + down**2 + along_back**2 + down_back**2
    agrees = (along + along_back) ** 2 + (down + down_back) ** 2 <= 0.01 * squares + 0.25
    agrees &= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    moved = warp(there.astype(np.float32), forward, cv2.INTER_CUBIC)
    alike = np.exp(-((cv2.blur(np.abs(moved - here), (AREA, AREA)) / SAME) ** 2))
    return np.asarray(cv2.blur(agrees.astype(np.float32), (3, 3)) * agrees * alike, np.float32)


def warp(picture: Floats, flow: Floats, interpolation: int = cv2.INTER_LINEAR) -> Floats:
    """Backward warp W(picture, flow): the value at p is picture(p + flow(p)); the last row or column repeats beyond."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return np.asarray(cv2.remap(picture, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE), np.float32)
