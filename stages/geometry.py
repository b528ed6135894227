"""Pure geometry of faces: distances between landmarks, the published window, and FFHQ's alignment.

Points are (x, y) in pixel-index coordinates: the centre of the first pixel is (0, 0). Landmarks are iBUG's 68 points;
the subject's right eye, on the left of the picture, comes first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stages.resample import Resampler, axis_operator

Points = NDArray[np.floating]
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
MOUTH_CORNERS = (48, 54)
PROFILE_RATIO = 0.9
"""Distance between the eyes over distance from eyes to mouth, of a frontal face at least; below it the head is turned."""
PUBLISHED_EYE_DISTANCE = 64.0
PUBLISHED_REACH = 256


class EyesAndMouth(NamedTuple):
    """The points that FFHQ's alignment is made of, each [2] float64."""

    right_eye: NDArray[np.float64]
    left_eye: NDArray[np.float64]
    mouth: NDArray[np.float64]

    @property
    def between_eyes(self) -> NDArray[np.float64]:
        """Middle of the two eye centres."""
        return (self.right_eye + self.left_eye) / 2


def eyes_and_mouth(landmarks: Points) -> EyesAndMouth:
    """From landmarks [68, 2]."""
    points = np.asarray(landmarks, np.float64)
    mouth = points[list(MOUTH_CORNERS)].mean(axis=0)
    return EyesAndMouth(points[RIGHT_EYE].mean(axis=0), points[LEFT_EYE].mean(axis=0), mouth)


def eye_distance(landmarks: Points) -> float:
    """Distance between the eye centres in pixels; for a turned head, what it would be from the front.

    Unlike the published x-distance it does not depend on roll, and it does not collapse in profile.
    """
    face = eyes_and_mouth(landmarks)
    apart = float(np.linalg.norm(face.left_eye - face.right_eye))
    return max(apart, PROFILE_RATIO * float(np.linalg.norm(face.mouth - face.between_eyes)))


class PublishedWindow(NamedTuple):
    """The published scripts' window, in pixels of the frame resized to width × height."""

    height: int
    width: int
    top: int
    bottom: int
    left: int
    right: int
    scale: float


def published_window(landmarks: Points, height: int, width: int) -> PublishedWindow:
    """Face scale by the x-distance of the eyes and ±256 px around them, clipped, bounds rounded down to 8."""
    face = eyes_and_mouth(landmarks)
    scale = PUBLISHED_EYE_DISTANCE / float(face.left_eye[0] - face.right_eye[0])
    center = face.between_eyes * scale
    rows, columns = round(height * scale), round(width * scale)
    bounds = []
    for middle, size in ((center[1], rows), (center[0], columns)):
        bounds.append(max(round(middle - PUBLISHED_REACH), 0) // 8 * 8)
        bounds.append(min(round(middle + PUBLISHED_REACH), size) // 8 * 8)
    return PublishedWindow(rows, columns, *bounds, scale)


def ffhq_quad(landmarks: Points) -> NDArray[np.float64]:
    """[4, 2]: corners of FFHQ's turned square, top left, bottom left, bottom right, top right."""
    face = eyes_and_mouth(landmarks)
    eyes, down = face.left_eye - face.right_eye, face.mouth - face.between_eyes
    x = eyes - _rot90(down)
    x *= max(2.0 * np.linalg.norm(eyes), 1.8 * np.linalg.norm(down)) / np.linalg.norm(x)
    y = _rot90(x)
    center = face.between_eyes + 0.1 * down
    return np.stack([center - x - y, center - x + y, center + x + y, center + x - y])


def _rot90(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([-vector[1], vector[0]])


def align_face(image: NDArray[np.uint8], landmarks: Points, size: int = 256) -> NDArray[np.uint8]:
    """FFHQ's aligned crop: large faces reduced, borders reflected and blurred away, then the quad sampled.

    Args:
        image: [H, W, 3].
        landmarks: [68, 2].

    Returns:
        [size, size, 3].
    """
    quad = ffhq_quad(landmarks)
    image, quad = _reduced(image, quad)
    side = float(np.linalg.norm(quad[3] - quad[0]))
    border = max(round(0.1 * side), 3)
    image, quad = _cut(image, quad, border)
    image, quad = _padded(image, quad, side, border)
    return _sampled(image, quad, size)


def _reduced(image: NDArray[np.uint8], quad: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    factor = int(np.linalg.norm(quad[3] - quad[0]) // 512)
    if factor <= 1:
        return image, quad
    height, width = image.shape[:2]
    rows, columns = round(height / factor), round(width / factor)
    small = Resampler(
        rows=axis_operator(height, rows, rows / height, 0.0, "lanczos3"),
        cols=axis_operator(width, columns, columns / width, 0.0, "lanczos3"),
    )(image.astype(np.float32))
    return np.clip(np.rint(small), 0, 255).astype(np.uint8), quad / factor


def _cut(
    image: NDArray[np.uint8], quad: NDArray[np.float64], border: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    low, high = _box(quad)
    height, width = image.shape[:2]
    x0, y0 = np.maximum(low - border, 0)
    x1, y1 = np.minimum(high + border, [width, height])
    if x1 - x0 < 1 or y1 - y0 < 1:  # the face lies outside the picture: keep what there is
        return image, quad
    return image[y0:y1, x0:x1], quad - [x0, y0]


def _box(quad: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.floor(quad.min(axis=0)).astype(np.int64), np.ceil(quad.max(axis=0)).astype(np.int64)


def _padded(
    image: NDArray[np.uint8], quad: NDArray[np.float64], side: float, border: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Reflect what is missing around the picture, and hide the seam under a blur that ends in the median colour."""
    low, high = _box(quad)
    height, width = image.shape[:2]
    before = np.maximum(border - low, 0)
    after = np.maximum(high - [width, height] + border, 0)
    if max(before.max(), after.max()) <= border - 4:
        return image, quad
    before, after = (np.maximum(pad, round(0.3 * side)) for pad in (before, after))
    wide = np.pad(
        image.astype(np.float32), ((before[1], after[1]), (before[0], after[0]), (0, 0)), mode="reflect"
    )
    rows, columns = wide.shape[:2]
    across = _distance(columns, before[0], after[0])
    down = _distance(rows, before[1], after[1])
    mask = np.maximum(1.0 - across[None, :], 1.0 - down[:, None])[..., None]
    sigma = 0.02 * side
    blurred = ndimage.gaussian_filter(wide, [sigma, sigma, 0])
    wide += (blurred - wide) * np.clip(3.0 * mask + 1.0, 0.0, 1.0)
    wide += (np.median(wide, axis=(0, 1)) - wide) * np.clip(mask, 0.0, 1.0)
    return np.clip(np.rint(wide), 0, 255).astype(np.uint8), quad + before


def _distance(count: int, before: int, after: int) -> NDArray[np.float32]:
    """[count]: smaller of the distances to the two ends, each in units of its pad."""
    position = np.arange(count, dtype=np.float32)
    return np.minimum(position / np.float32(before), (count - 1 - position) / np.float32(after))


def _sampled(image: NDArray[np.uint8], quad: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Bilinear samples of the quad, values truncated; black outside the picture."""
    steps = (np.arange(size) + 0.5) / size
    origin, right, down = quad[0], quad[3] - quad[0], quad[1] - quad[0]
    x = origin[0] + steps[None, :] * right[0] + steps[:, None] * down[0]
    y = origin[1] + steps[None, :] * right[1] + steps[:, None] * down[1]
    height, width = image.shape[:2]
    outside = (x < -0.5) | (y < -0.5) | (x >= width - 0.5) | (y >= height - 0.5)
    channels = [ndimage.map_coordinates(c.astype(np.float32), [y, x], order=1, mode="nearest") for c in _planes(image)]
    crop = np.stack(channels, axis=-1)
    crop[outside] = 0
    return np.clip(crop + 1e-4, 0, 255).astype(np.uint8)  # the epsilon keeps a whole number that rounding fell short of


def _planes(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [image[..., channel] for channel in range(image.shape[2])]
