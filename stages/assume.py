"""assume: every picture is one face at face scale; it takes the place of track where there is nothing to detect.

Line drawings and label maps are drawn for the model; a face detector would not know what to do with them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import numpy as np

from stages.geometry import Similarity
from stages.types import Face, FaceFrame, FaceSource, Opening, ShotFrame


class Assume:
    """ShotFrame → FaceFrame with one face in the middle.

    Args:
        eye_distance_px: face scale, as `crop` uses it: the window then has the picture's own pixels.
    """

    name = "assume"
    lookahead = 0

    def __init__(self, eye_distance_px: float) -> None:
        self._eye_distance = eye_distance_px

    def stream(self, items: Generator[ShotFrame, None, None]) -> Generator[FaceFrame, None, None]:
        """One face per frame, the same track through each shot."""
        with contextlib.closing(items):
            for item in items:
                width, height = item.frame.clip.upright_size
                center = ((width - 1) / 2, (height - 1) / 2)
                landmarks = np.tile(np.asarray(center, np.float32), (68, 1))
                eyes, square = self._eye_distance, Similarity(*center, 2 * self._eye_distance, 0.0)
                face = Face(item.shot, FaceSource.ASSUMED, landmarks, 0.0, center, eyes, 0.0, square)
                yield FaceFrame(item.frame, item.shot, (face,), 0, Opening(eyes, 1, landmarks))
