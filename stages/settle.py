"""settle: decide which faces are rendered, and smooth their geometry; numbers only, no picture is looked at.

Which faces are rendered is decided once per shot. `largest` takes the face with the largest median eye distance over
the look-ahead among those in sight, and stays with it until it has been gone for longer than `track.fill_s`; then it
chooses anew. A number takes the face of that rank in the same way (0 = largest).

Smoothed are similarities, never landmarks: the point between the eyes and the eye distance (for the window), and
place, size and turn of the FFHQ-aligned square (for the style crop). The filter is a Gaussian of finite support,
clipped to the face's unbroken presence in the shot and renormalised, so a shard needs only `smooth_frames` around it.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.by_shot import by_shot
from stages.errors import NoFaceError
from stages.filters import FWHM_PER_SIGMA
from stages.geometry import Similarity, face_center, outside_share, robust_eye_distance
from stages.track import MAX_REACH, TrackConfig
from stages.types import Face, FaceFrame, FaceSource, Opening, TrackedFace, TrackedFrame

Points = NDArray[np.float32]


class Settle:
    """TrackedFrame → FaceFrame."""

    name = "settle"

    def __init__(self, config: TrackConfig) -> None:
        self._config = config

    @property
    def lookahead(self) -> int:
        """Upper bound for any frame rate; a clip holds back `smooth_frames` of its own rate."""
        return MAX_REACH * (self._config.smooth_s > 0)

    def stream(self, items: Generator[TrackedFrame, None, None]) -> Generator[FaceFrame, None, None]:
        """Choose and smooth, in order.

        Raises:
            NoFaceError: a frame is left without a face and `no_face` is "fail".
        """
        first_face = _FirstFace()
        return by_shot(items, lambda first: _Shot(self._config, first, first_face))


@dataclass(frozen=True, slots=True)
class _Place:
    """A face in one frame, before smoothing."""

    face: TrackedFace
    time_s: float
    center: tuple[float, float]
    eye_distance: float
    aligned: Similarity


@dataclass(slots=True)
class _FirstFace:
    """Of the clip: known from one shot to the next."""

    landmarks: Points | None = None


class _Shot:
    """The faces of one shot. Frames are counted from its start: seen → emitted, `radius` behind."""

    def __init__(self, config: TrackConfig, first: TrackedFrame, first_face: _FirstFace) -> None:
        self.number = first.shot
        self._first_face = first_face
        self._config = config
        self._start = first.frame.pts
        self._radius = config.smooth_frames(first.frame.clip.smooth_rate)
        self._sigma_s = max(config.smooth_s / FWHM_PER_SIGMA, 1e-9)
        self._waiting: deque[TrackedFrame] = deque()
        self._tracks: dict[int, dict[int, _Place]] = {}
        """Track → frame → place, for the frames in the window."""
        self._chosen: int | None = None
        self._opening: Opening | None = None
        self._last_faces: tuple[Face, ...] = ()
        self._seen = self._emitted = 0

    def push(self, item: TrackedFrame) -> Iterator[FaceFrame]:
        time_s = float((item.frame.pts - self._start) * item.frame.clip.time_base)
        for face in item.faces:
            points = face.landmarks
            center, size = face_center(points), robust_eye_distance(points)
            place = _Place(face, time_s, center, size, Similarity.of_face(points))
            self._tracks.setdefault(face.track_id, {})[self._seen] = place
        self._waiting.append(item)
        self._seen += 1
        if self._seen - self._emitted > self._radius:
            yield self._emit()

    def finish(self) -> Iterator[FaceFrame]:
        while self._waiting:
            yield self._emit()

    def _emit(self) -> FaceFrame:
        frame, item = self._emitted, self._waiting[0]
        width, height = item.frame.clip.upright_size
        faces = [self._face(self._tracks[track], frame, width, height) for track in self._select(frame)]
        faces.sort(key=lambda face: (-face.eye_distance, face.track_id))
        if not faces and self._config.no_face == "hold":
            faces = [replace(face, source=FaceSource.HELD, score=0.0) for face in self._last_faces]
        if not faces and self._config.no_face == "fail":
            raise self._no_face_error()
        if faces and self._opening is None:
            if self._first_face.landmarks is None:
                self._first_face.landmarks = faces[0].landmarks
            self._opening = Opening(faces[0].eye_distance, len(faces), self._first_face.landmarks)
        self._last_faces = tuple(faces)
        self._waiting.popleft()
        self._emitted += 1
        self._forget()
        return FaceFrame(item.frame, self.number, self._last_faces, item.num_seen, self._opening)

    def _select(self, frame: int) -> list[int]:
        active = [track for track, places in self._tracks.items() if frame in places]
        if self._config.face == "all":
            return active
        if self._chosen not in active:
            rank = 0 if self._config.face == "largest" else self._config.face
            ranked = sorted(active, key=lambda track: (-self._median_size(track, frame), track))
            self._chosen = ranked[rank] if rank < len(ranked) else None
        return [track for track in active if track == self._chosen]

    def _median_size(self, track: int, frame: int) -> float:
        """Median eye distance over the look-ahead."""
        return float(np.median([place.eye_distance for k, place in self._tracks[track].items() if k >= frame]))

    def _face(self, places: dict[int, _Place], frame: int, width: int, height: int) -> Face:
        here = places[frame]
        smooth = _Smoother(places, frame, self._radius, self._sigma_s)
        (x, y), square, points = here.center, here.aligned, here.face.landmarks
        return Face(
            here.face.track_id,
            here.face.source,
            points,
            here.face.score,
            center=(x + smooth(lambda p: p.center[0] - x), y + smooth(lambda p: p.center[1] - y)),
            eye_distance=here.eye_distance * smooth.factor(lambda p: p.eye_distance / here.eye_distance),
            outside=outside_share(points, width, height),
            aligned=Similarity(
                square.x + smooth(lambda p: p.aligned.x - square.x),
                square.y + smooth(lambda p: p.aligned.y - square.y),
                square.size * smooth.factor(lambda p: p.aligned.size / square.size),
                square.angle + smooth(lambda p: math.remainder(p.aligned.angle - square.angle, math.tau)),
            ),
        )

    def _forget(self) -> None:
        oldest = self._emitted - self._radius
        for track, places in list(self._tracks.items()):
            kept = {k: place for k, place in places.items() if k >= oldest}
            if kept:
                self._tracks[track] = kept
            else:
                del self._tracks[track]

    def _no_face_error(self) -> NoFaceError:
        empty = list(itertools.takewhile(lambda item: not item.num_seen, self._waiting))
        first, last = self._waiting[0].frame, (empty or [self._waiting[0]])[-1].frame
        return NoFaceError(
            f"{first.clip.path.name}: no face in frames {first.index}–{last.index} "
            f"({first.time_s:.2f}–{last.time_s:.2f} s), and track.no_face is fail",
            "set track.no_face to pass or hold, or lower track.min_face_px or track.min_score",
        )


class _Smoother:
    """Weighted means around one frame, over the unbroken run of places about it.

    Means are of differences to the middle frame, summed in order, so that a face at rest keeps exactly its numbers.
    """

    def __init__(self, places: dict[int, _Place], frame: int, radius: int, sigma_s: float) -> None:
        first, last = frame, frame
        while first - 1 in places and frame - first < radius:
            first -= 1
        while last + 1 in places and last - frame < radius:
            last += 1
        self._run = [places[k] for k in range(first, last + 1)]
        times = np.array([place.time_s for place in self._run]) - places[frame].time_s
        self._weights = np.exp(-0.5 * (times / sigma_s) ** 2).tolist()
        self._total = math.fsum(self._weights)

    def __call__(self, value: Callable[[_Place], float]) -> float:
        """Mean of a difference."""
        total = 0.0
        for weight, place in zip(self._weights, self._run, strict=True):
            total += weight * value(place)
        return total / self._total

    def factor(self, ratio: Callable[[_Place], float]) -> float:
        """Geometric mean of a ratio."""
        return math.exp(self(lambda place: math.log(ratio(place))))
