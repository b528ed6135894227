"""Small valid instances of the types that flow, for tests."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from stages.geometry import Similarity
from stages.pixels import ColorTags, PlaneLayout, rgb_to_planes
from stages.types import ClipInfo, Face, FaceFrame, FaceSource, Frame, Opening

COLOR = ColorTags(matrix=1, range=1, primaries=1, transfer=1, chroma_location=1)


def clip(width=64, height=48, pix_fmt="yuv444p", rotation=0):
    return ClipInfo(
        path=Path("made.mp4"),
        kind="video",
        width=width,
        height=height,
        rotation=rotation,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        num_frames=None,
        layout=PlaneLayout.named(pix_fmt),
        color=COLOR,
        color_guessed=False,
        codec="rawvideo",
        has_audio=False,
    )


def frame(index=0, rgb=None, info=None):
    """A frame of `rgb` [H, W, 3] in [0, 1] (upright), grey noise by default."""
    info = info or clip()
    width, height = info.upright_size
    if rgb is None:
        rgb = np.random.default_rng(index).uniform(0.2, 0.8, (height, width, 3)).astype(np.float32)
    planes = rgb_to_planes(rgb.astype(np.float32), info.layout, info.color, info.rotation)
    return Frame(planes, info.layout, info.color, info.rotation, index, 1, index, info)


def opening(faces):
    """What a shot that begins with these faces settles."""
    return Opening(faces[0].eye_distance, len(faces), faces[0].landmarks) if faces else None


def face(track_id=0, center=(32.0, 24.0), eye_distance=16.0, source=FaceSource.DETECTED, outside=0.0):
    """A frontal face whose 68 points are roughly where they should be."""
    points = np.zeros((68, 2), np.float32)
    x, y = center
    half = eye_distance / 2
    points[:] = (x, y + half)
    points[36:42] = (x - half, y)
    points[42:48] = (x + half, y)
    points[48] = (x - half * 0.8, y + 2 * half)
    points[54] = (x + half * 0.8, y + 2 * half)
    score = 1.0 if source is FaceSource.DETECTED else 0.0
    return Face(track_id, source, points, score, center, eye_distance, outside, Similarity.of_face(points))


def face_frame(index=0, shot=0, faces=(), info=None, rgb=None, begins=None):
    """`begins`: what the shot began with, where that is not this frame's faces."""
    return FaceFrame(frame(index, rgb, info), shot, tuple(faces), len(faces), begins or opening(faces))
