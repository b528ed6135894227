"""track: find the faces of every frame, keep who is who within a shot, and fill short gaps.

The detector runs on every fifth frame of a shot (`track.detect_every`); between them each face is found again where it
was, which is about five times cheaper and jitters as little. With 1 the landmarks are a function of each frame alone.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.blazeface import BlazeFaceDetector
from models.face_alignment_backend import FaceAlignmentDetector
from models.faces import Detection, FaceDetector, drop_duplicates
from stages.base import Section
from stages.by_shot import by_shot
from stages.geometry import outside_share
from stages.pixels import Box
from stages.tracklet import Tracklet, associate
from stages.types import Frame, ShotFrame, TrackedFrame

MAX_REACH = 32
MAX_LOST = 16


class TrackConfig(Section):
    """Which faces are rendered, and how they are followed."""

    detector: Literal["blazeface", "face-alignment"] = "blazeface"
    """blazeface: embedded, fast; face-alignment: S3FD and 2DFAN4, an optional extra with weights of its own."""
    weights_dir: Path | None = None
    """Folder of the face-alignment weights; default $TORCH_HOME/hub/checkpoints."""
    device: str = "cpu"
    """Where face-alignment runs: cpu, cuda, cuda:1."""
    face: Literal["largest", "all"] | Annotated[int, Field(ge=0)] = "largest"
    """Faces to render: largest, all, or a rank by size (0 = largest). Chosen per shot."""
    no_face: Literal["pass", "hold", "fail"] = "pass"
    """A frame left without a face: pass it untouched, hold the shot's last geometry, or fail."""
    detect_every: int = Field(default=5, ge=1, le=250)
    """Frames from one full detection to the next; between them known faces are followed. A lost face triggers one."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Presence score below which a detection is dropped."""
    min_face_px: float = Field(default=32.0, ge=8)
    """Longer side of the landmarks' bounding box, in pixels, below which a face is ignored."""
    max_outside: float = Field(default=0.5, ge=0, le=1)
    """A face with more than this share of its landmarks outside the picture counts as not seen."""
    smooth_s: float = Field(default=0.25, ge=0, le=2)
    """Width (full width at half maximum) in seconds of the Gaussian over place, size and turn; 0: no smoothing."""
    fill_s: float = Field(default=0.5, ge=0, le=2)
    """Seconds of a gap that are filled by interpolation; the ends of longer ones are held for as long."""

    def fill_frames(self, rate: Fraction) -> int:
        """`fill_s` in frames, at most 32."""
        return min(math.ceil(self.fill_s * rate), MAX_REACH)

    def smooth_frames(self, rate: Fraction) -> int:
        """Radius of the smoothing window in frames: `smooth_s` to either side (2.35 σ), at most 32."""
        return min(math.ceil(self.smooth_s * rate), MAX_REACH)


def load_detector(config: TrackConfig) -> FaceDetector:
    """The detector that `config` names.

    Raises:
        CheckpointError: it, or its weights, are not installed.
    """
    if config.detector == "face-alignment":
        return FaceAlignmentDetector(config.weights_dir, device=config.device)
    return BlazeFaceDetector()


class Track:
    """ShotFrame → TrackedFrame."""

    name = "track"

    def __init__(self, config: TrackConfig, detector: FaceDetector) -> None:
        self._config = config
        self._detector = detector

    @property
    def lookahead(self) -> int:
        """Upper bound for any frame rate; a clip holds back `fill_frames` of its own rate."""
        return MAX_REACH * (self._config.fill_s > 0)

    def stream(self, items: Generator[ShotFrame, None, None]) -> Generator[TrackedFrame, None, None]:
        """Attach every face to every frame, in order."""
        ids = itertools.count()
        return by_shot(items, lambda first: _Shot(self._config, self._detector, first, ids))


class _Shot:
    """The tracks of one shot. Frames are counted from its start: seen → placed (gaps filled)."""

    def __init__(self, config: TrackConfig, detector: FaceDetector, first: ShotFrame, ids: Iterator[int]) -> None:
        self.number = first.shot
        self._config = config
        self._detector = detector
        self._ids = ids
        self._start = first.frame.pts
        self._reach = config.fill_frames(first.frame.clip.smooth_rate)
        self._waiting: deque[tuple[ShotFrame, int]] = deque()  # from `_placed` on, with the number of faces seen
        self._tracks: list[Tracklet] = []
        self._seen = self._placed = 0

    def push(self, item: ShotFrame) -> Iterator[TrackedFrame]:
        self._waiting.append((item, self._observe(item)))
        self._seen += 1
        if self._seen - self._placed > self._reach:
            yield self._place()

    def finish(self) -> Iterator[TrackedFrame]:
        while self._waiting:
            yield self._place()

    def _observe(self, item: ShotFrame) -> int:
        """Find the faces of a new frame; returns how many."""
        frame, time_s = self._seen, self._time_s(item)
        size = item.frame.clip.upright_size
        following = [track for track in self._tracks if track.last_frame == frame - 1]
        if frame % self._config.detect_every and following:
            found = self._usable(size, self._followed(item.frame, [track.last for track in following]))
            if len(drop_duplicates(found)) == len(following):
                for track, detection in zip(following, found, strict=True):
                    track.observe(frame, time_s, detection)
                return len(found)
        found = self._usable(size, self._detector.detect(item.frame.rgb8()))
        known = associate(self._tracks, found, frame, self._reach)
        for index, detection in enumerate(found):
            if index in known:
                self._tracks[known[index]].observe(frame, time_s, detection)
            else:
                self._tracks.append(Tracklet(next(self._ids), frame, time_s, detection))
        return len(found)

    def _followed(self, frame: Frame, faces: list[Detection]) -> list[Detection | None]:
        """Each face again; only the pixels that are looked at are converted, where that is less than the picture."""
        width, height = frame.clip.upright_size
        boxes: list[Box] = []
        for face in faces:
            left, top, right, bottom = self._detector.reach(face) or (0, 0, width, height)
            boxes.append((max(left, 0), max(top, 0), min(right, width), min(bottom, height)))
        areas = [max(right - left, 0) * max(bottom - top, 0) for left, top, right, bottom in boxes]
        if min(areas) > 0 and sum(areas) < width * height:
            pairs = zip(faces, boxes, strict=True)
            return [self._detector.refine(frame.rgb8(box), face, box[:2]) for face, box in pairs]
        image = frame.rgb8()
        return [self._detector.refine(image, face) for face in faces]

    def _usable(self, size: tuple[int, int], detections: Sequence[Detection | None]) -> list[Detection]:
        return [
            found
            for found in detections
            if found is not None
            and found.score >= self._config.min_score
            and (found.box[2:] - found.box[:2]).max() >= self._config.min_face_px
            and outside_share(found.landmarks, *size) <= self._config.max_outside
        ]

    def _place(self) -> TrackedFrame:
        item, num_seen = self._waiting.popleft()
        places = [track.place(self._placed, self._time_s(item), self._reach) for track in self._tracks]
        self._placed += 1
        self._forget()
        return TrackedFrame(item.frame, self.number, tuple(face for face in places if face is not None), num_seen)

    def _forget(self) -> None:
        """Lost faces are remembered through the shot, so that one that comes back is the same; at most 16 of them."""
        for track in self._tracks:
            track.forget(self._placed - self._reach)
        lost = sorted((track for track in self._tracks if not track.seen), key=lambda track: track.last_frame)
        for track in lost[: max(len(lost) - MAX_LOST, 0)]:
            self._tracks.remove(track)

    def _time_s(self, item: ShotFrame) -> float:
        return float((item.frame.pts - self._start) * item.frame.clip.time_base)
