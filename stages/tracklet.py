"""One face through one shot: its detections, the gaps filled, the geometry smoothed; and who is who."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.faces import Detection, bounds, box_iou
from stages.geometry import face_center, robust_eye_distance
from stages.types import FaceSource

MAX_DISTANCE = 1.0
"""Mean landmark distance, in eye distances, from which on a detection is another face."""
MAX_ZOOM = 2.0
"""Ratio of sizes from which on a detection is another face."""
VELOCITY_FRAMES = 4
FORBIDDEN = 1e6


@dataclass(frozen=True, slots=True)
class Placement:
    """A face's geometry in one frame, before smoothing."""

    source: FaceSource
    landmarks: NDArray[np.float32]
    score: float
    time_s: float
    center: tuple[float, float]
    eye_distance: float


class Tracklet:
    """Frames are counted from the start of the shot; `forget` bounds the memory."""

    def __init__(self, track_id: int, frame: int, time_s: float, found: Detection) -> None:
        self.track_id = track_id
        self.seen: dict[int, tuple[float, Detection]] = {}
        """Frame → time and detection."""
        self.placed: dict[int, Placement] = {}
        """Frame → geometry, gaps filled."""
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

    def place(self, frame: int, time_s: float, reach: int) -> None:
        """Settle the geometry in `frame`, when everything up to `frame + reach` was seen.

        Gaps of up to `reach` frames are interpolated; the ends of longer ones are held for `reach` frames.
        """
        if frame in self.seen:
            _, found = self.seen[frame]
            self._put(frame, time_s, FaceSource.DETECTED, found.landmarks, found.score)
            return
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
            return
        self._put(frame, time_s, FaceSource.FILLED, landmarks, 0.0)

    def _put(self, frame: int, time_s: float, source: FaceSource, landmarks: NDArray[np.float32], score: float) -> None:
        center, size = face_center(landmarks), robust_eye_distance(landmarks)
        self.placed[frame] = Placement(source, landmarks, score, time_s, center, size)

    def smoothed(self, frame: int, radius: int, sigma_s: float) -> tuple[tuple[float, float], float]:
        """Centre and eye distance (geometric mean) under a Gaussian of `sigma_s` seconds around `frame`.

        The window is clipped to the unbroken run of placed frames. Sums are of differences to the middle frame, in
        order, so that a face at rest keeps exactly its numbers.
        """
        here = self.placed[frame]
        first, last = frame, frame
        while first - 1 in self.placed and frame - first < radius:
            first -= 1
        while last + 1 in self.placed and last - frame < radius:
            last += 1
        total, dx, dy, zoom = 0.0, 0.0, 0.0, 0.0
        for k in range(first, last + 1):
            other = self.placed[k]
            weight = math.exp(-0.5 * ((other.time_s - here.time_s) / sigma_s) ** 2) if k != frame else 1.0
            total += weight
            dx += weight * (other.center[0] - here.center[0])
            dy += weight * (other.center[1] - here.center[1])
            zoom += weight * (math.log(other.eye_distance) - math.log(here.eye_distance))
        x, y = here.center
        return (x + dx / total, y + dy / total), here.eye_distance * math.exp(zoom / total)

    def median_size(self, frame: int) -> float:
        """Median eye distance over the placed frames from `frame` on."""
        return float(np.median([p.eye_distance for k, p in self.placed.items() if k >= frame]))

    def forget(self, seen_before: int, placed_before: int) -> None:
        """Drop what no later frame can need."""
        self.seen = {k: v for k, v in self.seen.items() if k >= seen_before}
        self.placed = {k: v for k, v in self.placed.items() if k >= placed_before}


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
