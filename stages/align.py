"""align: every picture becomes the FFHQ-aligned square of its face, for models that draw aligned faces (pSp).

Such a model has no feature of the place (StyleGANEX §3.1 says why): all that it draws comes from w+. So the square
takes the frame's place from here on, and the output shows the square, at the model's own size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.config import ALIGNED_SIZE
from stages.geometry import Points, Similarity, align_quad, outside_share
from stages.layout import MATRIX_RGB, RANGE_FULL
from stages.pixels import ColorTags, PlaneLayout, quantize, rgb_to_planes
from stages.resample import Resampler, axis_operator
from stages.types import Face, FaceFrame, FaceSource, Frame, StyledFrame, StyleRef

ALIGNED_ALREADY = (256, 512, 1024)
"""Sides of squares that are taken for aligned faces where no face is found in them."""
_MIDDLE = (ALIGNED_SIZE - 1) / 2
_WHOLE = Similarity(_MIDDLE, _MIDDLE, ALIGNED_SIZE / 2, 0.0)
_LAYOUT = PlaneLayout.named("gbrp")


class Align:
    """StyledFrame → StyledFrame of 256×256 pixels with at most one face, which fills it: the largest.

    A picture without a face that is a square of 256, 512 or 1024 pixels is taken whole, as an aligned face. Of any
    other the middle is shown, untouched.
    """

    name = "align"
    lookahead = 0

    def stream(self, items: Generator[StyledFrame, None, None]) -> Generator[StyledFrame, None, None]:
        """Cut, in order."""
        with contextlib.closing(items):
            for item in items:
                yield _aligned(item)


def _aligned(item: StyledFrame) -> StyledFrame:
    seen = item.face_frame
    if seen.faces:
        face, frame = seen.faces[0], seen.frame
        square = align_quad(frame.rgb8(), face.aligned.quad)
        return _styled(seen, square, _moved(face), item.styles[0])
    square = _reduced_middle(seen.frame)
    width, height = seen.frame.clip.upright_size
    if width != height or width not in ALIGNED_ALREADY:
        return StyledFrame(replace(seen, frame=_frame(seen.frame, square)), ())
    points = np.full((68, 2), _MIDDLE, np.float32)
    face = Face(seen.shot, FaceSource.ASSUMED, points, 0.0, (_MIDDLE, _MIDDLE), ALIGNED_SIZE / 4, 0.0, _WHOLE)
    return _styled(seen, square, face, StyleRef((-2, seen.frame.index), None, reused=False))


def _styled(seen: FaceFrame, square: NDArray[np.uint8], face: Face, style: StyleRef) -> StyledFrame:
    return StyledFrame(FaceFrame(_frame(seen.frame, square), seen.shot, (face,), seen.num_seen), (style,))


def _moved(face: Face) -> Face:
    """The face as it lies in its own square."""
    x, y = place_in_square(np.array([face.center]), face.aligned)[0].tolist()
    landmarks = place_in_square(face.landmarks, face.aligned).astype(np.float32)
    return replace(
        face,
        landmarks=landmarks,
        center=(x, y),
        eye_distance=face.eye_distance * ALIGNED_SIZE / (2 * face.aligned.size),
        outside=outside_share(landmarks, ALIGNED_SIZE, ALIGNED_SIZE),
        aligned=_WHOLE,
    )


def place_in_square(points: Points, square: Similarity) -> NDArray[np.float64]:
    """Points [N, 2] of the picture → pixel-index coordinates in the square that `align_quad` cuts."""
    corner, bottom, _, right = square.quad
    sides = np.stack([right - corner, bottom - corner])
    # align_quad samples pixel i at (i + ½)/256 of the side.
    return (points.astype(np.float64) - corner) @ sides.T / (sides[0] @ sides[0]) * ALIGNED_SIZE - 0.5


def _reduced_middle(frame: Frame) -> NDArray[np.uint8]:
    """The largest square in the middle, [256, 256, 3]."""
    rgb = frame.rgb()
    height, width = rgb.shape[:2]
    side = min(height, width)
    scale = ALIGNED_SIZE / side
    rows, cols = (axis_operator(n, ALIGNED_SIZE, scale, float((n - side) // 2)) for n in (height, width))
    return quantize(Resampler(rows, cols)(rgb))


def _frame(frame: Frame, square: NDArray[np.uint8]) -> Frame:
    color = ColorTags(MATRIX_RGB, RANGE_FULL, frame.color.primaries, frame.color.transfer)
    clip = replace(frame.clip, width=ALIGNED_SIZE, height=ALIGNED_SIZE, rotation=0, layout=_LAYOUT, color=color)
    planes = rgb_to_planes(square.astype(np.float32) / np.float32(255), _LAYOUT, color)
    return replace(frame, planes=planes, layout=_LAYOUT, color=color, rotation=0, clip=clip)
