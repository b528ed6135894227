"""Landmarks of the same face in input and output, for the jitter metric and for aligning identity crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.faces import Detection, FaceDetector, box_iou
from pipeline.metrics.pairs import Pair
from stages.geometry import robust_eye_distance

Points = NDArray[np.float32]
SEARCH_EVERY = 5
"""Frames between two searches while no face is in sight."""
MIN_IOU = 0.3
MIN_SCORE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FacePair:
    """One face, seen in both pictures."""

    source: Points
    """[68, 2] in pixels of the pair."""
    result: Points | None
    """None: no face was found there in the output; stylised faces are not always found."""
    eye_distance: float
    """Of the input's face, in pixels."""


class Faces:
    """Follows the largest face of the input; looks for it in the output where the input has it.

    Both networks look at the same region, so that the region's own jitter cancels. Call `reset` at each cut.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._last: Detection | None = None
        self._wait = 0

    def reset(self) -> None:
        """Forget the face: a new shot begins."""
        self._last, self._wait = None, 0

    def __call__(self, pair: Pair) -> FacePair | None:
        """The face of this pair, or None where the input shows none. Deterministic; pairs come in order."""
        assert pair.source is not None
        assert pair.result is not None
        picture = _codes(pair.source)
        region = self._last
        self._last = self._follow(picture)
        if self._last is None:
            return None
        found = self._detector.refine(_codes(pair.result), region or self._last)
        landmarks = None
        if found is not None and found.score >= MIN_SCORE and box_iou(found.box, self._last.box[None])[0] >= MIN_IOU:
            landmarks = found.landmarks
        return FacePair(self._last.landmarks, landmarks, robust_eye_distance(self._last.landmarks))

    def _follow(self, picture: NDArray[np.uint8]) -> Detection | None:
        if self._last is not None:
            found = self._detector.refine(picture, self._last)
            if found is not None and found.score >= MIN_SCORE:
                return found
        elif self._wait:
            self._wait -= 1
            return None
        faces = [face for face in self._detector.detect(picture) if face.score >= MIN_SCORE]
        self._wait = SEARCH_EVERY - 1
        return max(faces, key=lambda face: robust_eye_distance(face.landmarks), default=None)


def jitter(a: Points, b: Points, c: Points, eye_distance: float) -> float:
    """Root mean square over the points of |a − 2b + c|, over the eye distance: 0 for steady motion."""
    second = (a - 2.0 * b + c).astype(np.float64)
    return float(np.sqrt(np.square(second).sum(axis=1).mean())) / eye_distance


def _codes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
