"""One face through one shot: its detections, the gaps filled; and who is who."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.faces import Detection, bounds, box_iou
from stages.geometry import robust_eye_distance
from stages.types import FaceSource, TrackedFace

MAX_DISTANCE = 1.0
"""Mean landmark distance, in eye distances, from which on a detection is another face."""
MAX_ZOOM = 2.0
"""Ratio of sizes from which on a detection is another face."""
VELOCITY_FRAMES = 4
FORBIDDEN = 1e6


class Tracklet:
    """Frames are counted from the start of the shot; `forget` bounds the memory."""

    def __init__(self, track_id: int, frame: int, time_s: float, found: Detection) -> None:
        self.track_id = track_id
        self.seen: dict[int, tuple[float, Detection]] = {}
        """Frame → time and detection."""
        self.observe(frame, time_s, found)

    def observe(self, frame: int, time_s: float, found: Detection) -> None:
        """The face was found in `frame`, later than all before."""
        self.seen[frame] = (time_s, found)
        self.last_frame, self.last = frame, found

    def predict(self, frame: int, reach: int) -> NDArray[np.float32]:
        """Landmarks expected in `frame`: moved on in a straight line, for at most `reach` frames."""
        earlier = min((k for k in self.seen if self.last_frame - VELOCITY_FRAMES <= k < self.last_frame), default=None)
        gap = frame - self.last_frame
        if earlier is None or gap > reach + 1:
            return self.last.landmarks
        moved = self.last.landmarks.mean(axis=0) - self.seen[earlier][1].landmarks.mean(axis=0)
        return self.last.landmarks + moved * np.float32(gap / (self.last_frame - earlier))

    def place(self, frame: int, time_s: float, reach: int) -> TrackedFace | None:
        """The face in `frame`, when everything up to `frame + reach` was seen; None where it is not there.

        Gaps of up to `reach` frames are interpolated; the ends of longer ones are held for `reach` frames.
        """
        if frame in self.seen:
            _, found = self.seen[frame]
            return self._placed(FaceSource.DETECTED, found.landmarks, found.score)
        before = max((k for k in self.seen if frame - reach <= k < frame), default=None)
        after = min((k for k in self.seen if frame < k <= frame + reach), default=None)
        if before is not None and after is not None and after - before <= reach + 1:
            (t0, first), (t1, last) = self.seen[before], self.seen[after]
            share = (time_s - t0) / (t1 - t0) if t1 > t0 else 0.5
            landmarks = (first.landmarks + (last.landmarks - first.landmarks) * share).astype(np.float32)
        elif before is not None or after is not None:
            _, nearest = self.seen[before if before is not None else after]  # pyright: ignore[reportArgumentType]
            landmarks = nearest.landmarks
        else:
            return None
        return self._placed(FaceSource.FILLED, landmarks, 0.0)

    def _placed(self, source: FaceSource, landmarks: NDArray[np.float32], score: float) -> TrackedFace:
        return TrackedFace(self.track_id, source, landmarks, score)

    def forget(self, before: int) -> None:
        """Drop the detections that no later frame can need."""
        self.seen = {k: v for k, v in self.seen.items() if k >= before}


def associate(tracklets: Sequence[Tracklet], detections: Sequence[Detection], frame: int, reach: int) -> dict[int, int]:
    """Index of a detection → index of its tracklet; detections without one are new faces.

    The assignment with the least sum of landmark distance (in eye distances) and 1 − IoU. A face that was lost for
    more than `reach` frames comes after those in sight.
    """
    if not tracklets or not detections:
        return {}
    costs = np.full((len(detections), len(tracklets)), FORBIDDEN)
    boxes = np.stack([d.box for d in detections])
    for j, track in enumerate(tracklets):
        expected = track.predict(frame, reach)
        overlap = box_iou(bounds(expected), boxes)
        size = robust_eye_distance(expected)
        for i, found in enumerate(detections):
            found_size = robust_eye_distance(found.landmarks)
            apart = np.linalg.norm(found.landmarks - expected, axis=1).mean() / math.sqrt(size * found_size)
            if apart <= MAX_DISTANCE and 1 / MAX_ZOOM <= found_size / size <= MAX_ZOOM:
                costs[i, j] = apart + 1 - overlap[i] + (frame - track.last_frame > reach + 1)
    pairs = zip(*linear_sum_assignment(costs), strict=True)
    return {int(i): int(j) for i, j in pairs if costs[i, j] < FORBIDDEN}
