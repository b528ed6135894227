"""Landmarks → distances, scales and the FFHQ-aligned crop. Pure functions; points are (x, y) in pixel-index
coordinates (centre of the first pixel = 0), landmarks [68, 2] in iBUG order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.resample import Resampler, axis_operator

Points = NDArray[np.floating]
EYE_DISTANCE = 64.0
"""Pixels between the eyes at face scale (StyleGANEX; spec §6)."""


def eye_centers(landmarks: Points) -> NDArray[np.float64]:
    """[2, 2]: the eye on the image's left (landmarks 36–41), then the one on its right (42–47)."""
    return landmarks[36:48].astype(np.float64).reshape(2, 6, 2).mean(axis=1)


def mouth_center(landmarks: Points) -> NDArray[np.float64]:
    """[2]: between the outer corners, 48 and 54."""
    return landmarks[[48, 54]].astype(np.float64).mean(axis=0)


def face_center(landmarks: Points) -> tuple[float, float]:
    """The point between the eyes."""
    x, y = eye_centers(landmarks).mean(axis=0)
    return float(x), float(y)


def inter_ocular_distance(landmarks: Points) -> float:
    """Euclidean distance between the eye centres, in pixels."""
    left, right = eye_centers(landmarks)
    return math.hypot(*(right - left))


def robust_eye_distance(landmarks: Points) -> float:
    """Inter-ocular distance that does not collapse in profile: at least 0.9 of the eyes' distance to the mouth.

    0.9 is the ratio at which the two sides of the FFHQ quad's max(2·|eye|, 1.8·|mouth|) meet.
    """
    left, right = eyes = eye_centers(landmarks)
    to_mouth = mouth_center(landmarks) - eyes.mean(axis=0)
    return max(math.hypot(*(right - left)), 0.9 * math.hypot(*to_mouth), 1e-3)


def outside_share(landmarks: Points, width: int, height: int) -> float:
    """Share of the landmarks that lie outside a picture of width × height pixels, in [0, 1]."""
    x, y = landmarks[:, 0], landmarks[:, 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return 1.0 - float(inside.mean())


@dataclass(frozen=True, slots=True)
class PublishedWindow:
    """What the published scripts cut from a frame, for parity (spec §6, §8)."""

    scale: float
    height: int
    """Of the whole frame after it was resized by `scale`."""
    width: int
    top: int
    """Bounds of the window in the resized frame, multiples of 8."""
    bottom: int
    left: int
    right: int


def published_window(landmarks: Points, height: int, width: int) -> PublishedWindow:
    """The published face scale, from the x-distance of the eyes alone, and the ±256 px window.

    Raises:
        ValueError: the face is turned so far that the published rule has no answer (x-distance not positive).
    """
    left_eye, right_eye = eye_centers(landmarks)
    across = float(right_eye[0] - left_eye[0])
    if across <= 0:
        raise ValueError("the published face scale needs the right eye to the right of the left one")
    scale = EYE_DISTANCE / across
    tall, wide = round(height * scale), round(width * scale)
    x, y = (left_eye + right_eye) / 2 * scale
    bounds = [(max(round(c - 256), 0) // 8 * 8, min(round(c + 256), n) // 8 * 8) for c, n in ((y, tall), (x, wide))]
    return PublishedWindow(scale, tall, wide, *bounds[0], *bounds[1])


def ffhq_quad(landmarks: Points) -> NDArray[np.float64]:
    """[4, 2]: corners of the FFHQ-aligned square, top left, bottom left, bottom right, top right (spec §6)."""
    left_eye, right_eye = eye_centers(landmarks)
    eyes = (left_eye + right_eye) / 2
    eye, mouth = right_eye - left_eye, mouth_center(landmarks) - eyes
    x = eye - _rot90(mouth)
    x *= max(2.0 * math.hypot(*eye), 1.8 * math.hypot(*mouth)) / max(math.hypot(*x), 1e-9)
    y, center = _rot90(x), eyes + 0.1 * mouth
    return np.stack([center - x - y, center - x + y, center + x + y, center + x - y])


class Similarity(NamedTuple):
    """Place, size and turn of a square."""

    x: float
    """Centre, in pixel-index coordinates."""
    y: float
    size: float
    """Half its side, in pixels."""
    angle: float
    """Radians by which its upper edge is turned clockwise, as seen on the screen."""

    @classmethod
    def of_face(cls, landmarks: Points) -> Similarity:
        """The FFHQ-aligned square of a face."""
        quad = ffhq_quad(landmarks)
        (x, y), (across, down) = quad.mean(axis=0), (quad[3] - quad[0]) / 2
        return cls(float(x), float(y), max(math.hypot(across, down), 1e-6), math.atan2(down, across))

    @property
    def quad(self) -> NDArray[np.float64]:
        """[4, 2]: corners, as `ffhq_quad` orders them."""
        x = np.array([math.cos(self.angle), math.sin(self.angle)]) * self.size
        y, center = _rot90(x), np.array([self.x, self.y])
        return np.stack([center - x - y, center - x + y, center + x + y, center + x - y])


def frontality(landmarks: Points) -> float:
    """1: the tip of the nose lies midway between the outer corners of the eyes, along their line; 0: beyond one."""
    corners = landmarks[[36, 45]].astype(np.float64)
    axis = corners[1] - corners[0]
    place = float((landmarks[30] - corners[0]) @ axis / max(float(axis @ axis), 1e-9))
    return max(0.0, 1.0 - abs(2.0 * place - 1.0))


def align_face(image: NDArray[np.uint8], landmarks: Points, size: int = 256) -> NDArray[np.uint8]:
    """The FFHQ-aligned style crop x2 of landmarks [68, 2]; see `align_quad`."""
    return align_quad(image, ffhq_quad(landmarks), size)


def align_quad(image: NDArray[np.uint8], quad: NDArray[np.float64], size: int = 256) -> NDArray[np.uint8]:
    """A turned square of a picture, with FFHQ's own preparation (spec §6), values truncated.

    Args:
        image: uint8 R'G'B' [H, W, 3].
        quad: [4, 2], from `ffhq_quad`.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3]. A quad that leaves the picture sees its blurred reflection there.
    """
    side = math.hypot(*(quad[3] - quad[0]))
    shrink = int(side / size * 0.5)
    if shrink > 1:
        image = _shrink(image, shrink)
        quad, side = quad / shrink, side / shrink
    border = max(round(side * 0.1), 3)
    low = np.floor(quad.min(axis=0)).astype(int) - border
    high = np.ceil(quad.max(axis=0)).astype(int) + border
    size_xy = np.array(image.shape[1::-1])
    start, stop = low.clip(0, size_xy - 1), high.clip(1, size_xy)
    pads = np.stack([np.maximum(-low, 0), np.maximum(high - size_xy, 0)])  # [before | after, x | y]
    picture = image[start[1] : stop[1], start[0] : stop[0]]
    quad = quad - start
    if pads.max() > border - 4:
        pads = np.maximum(pads, max(round(side * 0.3), 1))
        picture = _pad(picture, pads, blur=0.02 * side)
        quad = quad + pads[0]
    return _sample_quad(picture, quad, size)


def _rot90(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([-v[1], v[0]])


def _shrink(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    height, width = (round(n / factor) for n in image.shape[:2])
    rows, cols = (
        axis_operator(n, m, m / n, 0.0, kernel="lanczos3", edge="clip")
        for n, m in zip(image.shape[:2], (height, width), strict=True)
    )
    return _to_uint8(Resampler(rows, cols)(image.astype(np.float32)))


def _pad(image: NDArray[np.uint8], pads: NDArray[np.int_], blur: float) -> NDArray[np.uint8]:
    """Reflect by `pads` ([before | after, x | y] pixels), then hide the seam: blur, further out the median colour."""
    (left, top), (right, bottom) = pads.tolist()
    picture = np.pad(image, ((top, bottom), (left, right), (0, 0)), "reflect").astype(np.float32)
    height, width = picture.shape[:2]
    across = _edge_mask(width, left, right)
    down = _edge_mask(height, top, bottom)
    mask = np.maximum(down[:, None], across[None, :])[..., None]
    blurred = _blurred(picture, blur)
    blurred -= picture
    blurred *= np.clip(mask * 3 + 1, 0, 1)
    picture += blurred
    picture += (np.median(picture, axis=(0, 1)) - picture) * np.clip(mask, 0, 1)
    return _to_uint8(picture)


def _blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian, cut off at 4 σ; beyond the edges the picture is reflected."""
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    return np.asarray(cv2.sepFilter2D(picture, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT), np.float32)


def _edge_mask(length: int, before: int, after: int) -> NDArray[np.float32]:
    """1 at the ends, 0 where the padding begins, negative inside."""
    position = np.arange(length, dtype=np.float32)
    return 1 - np.minimum(position / before, (length - 1 - position) / after)


def _sample_quad(image: NDArray[np.uint8], quad: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Bilinear sampling of the quad [4, 2] at (i + ½)/size along its edges; uint8 [size, size, 3], truncated."""
    steps = (np.arange(size) + 0.5) / size
    points = quad[0] + steps[None, :, None] * (quad[3] - quad[0]) + steps[:, None, None] * (quad[1] - quad[0])
    limit = np.array(image.shape[1::-1]) - 1
    points = points.clip(0, limit)
    low = np.minimum(points.astype(np.intp), np.maximum(limit - 1, 0))
    x, y = np.moveaxis(low, -1, 0)
    fx, fy = np.moveaxis(points - low, -1, 0)[..., None]
    x1, y1 = np.minimum(x + 1, limit[0]), np.minimum(y + 1, limit[1])
    flat, width = image.reshape(-1, 3), image.shape[1]
    top = flat.take(y * width + x, axis=0) * (1 - fx) + flat.take(y * width + x1, axis=0) * fx
    bottom = flat.take(y1 * width + x, axis=0) * (1 - fx) + flat.take(y1 * width + x1, axis=0) * fx
    return (top * (1 - fy) + bottom * fy).astype(np.uint8)


def _to_uint8(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
