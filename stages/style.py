"""style: the w+ of every face in every frame, by one of four rules.

    clip    one w+ for everything: that of the clip's first face, from its first good view (the published script takes
            the first frame's)
    shot    one w+ per face and shot: the median over the best views near the face's first frame
    smooth  every frame's own w+, filtered over time by a symmetric FIR inside the shot
    frame   every frame's own w+

A good view is a frame where the face was really detected, with a high score, lies inside the picture and looks at the
camera. Where none of a face's first `wait_frames` + 1 is good, its w+ is that of its first frame in the shot. All but
`frame` hold a few frames back. Filters and medians never reach over a cut.

On its way every face gets the distance of its own w+ from a reference, where that is known without encoding anything
more: in `clip` and `shot` at the chosen views, from what they gave; in `smooth` wherever the face was seen, from the w+
that it is rendered with; in `frame` everywhere, from the face's first w+ in the shot.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from stages.base import Section
from stages.by_shot import by_shot
from stages.codes import Codes, CodeSource, distance
from stages.filters import Fir, OneEuro
from stages.geometry import frontality
from stages.types import Face, FaceFrame, FaceSource, StyledFrame, StyleRef

CLIP_KEY = (-1, -1)
MAX_REACH = 60


class StyleConfig(Section):
    """Where w+ comes from."""

    latents: Literal["clip", "shot", "smooth", "frame"] = "shot"
    """clip: the first face's w+ for everything (as published); shot: one per face and shot; smooth: every frame's,
    filtered over time; frame: every frame's."""
    wait_frames: int = Field(default=12, ge=0, le=250)
    """Frames, from a face's first in the shot, among which its views are chosen (clip, shot, and fine layers)."""
    views: int = Field(default=5, ge=1, le=25)
    """Best views whose median is the shot's w+ (shot)."""
    min_score: float = Field(default=0.8, ge=0, le=1)
    """A good view has at least this presence score of the detector."""
    max_outside: float = Field(default=0.1, ge=0, le=1)
    """A good view has at most this share of its landmarks outside the picture."""
    min_frontality: float = Field(default=0.5, ge=0, le=1)
    """A good view is at least this frontal: 1 looks straight at the camera, 0 is a profile."""
    filter: Literal["gaussian", "savgol", "one_euro"] = "gaussian"
    """Of `latents: smooth`. one_euro is causal, for live previews: it depends on every frame before."""
    smooth_s: float = Field(default=0.5, ge=0, le=2)
    """Width of the filter in seconds: full width at half maximum (gaussian), half the window (savgol)."""
    fine_from: int | None = Field(default=None, ge=1)
    """smooth: style inputs from this one on are not filtered but averaged, over the good views among the face's first
    `wait_frames` + 1 frames in the shot, and stay so (9 keeps colours and texture still)."""

    def smooth_frames(self, rate: Fraction) -> int:
        """Radius of the filter, at most 60 frames."""
        return min(math.ceil(self.smooth_s * rate), MAX_REACH)


class Style:
    """FaceFrame → StyledFrame.

    Args:
        codes: where w+ comes from; None: from x1, later (models whose inputs are not RGB).
    """

    name = "style"

    def __init__(self, config: StyleConfig, codes: CodeSource | None) -> None:
        self._config = config
        self._codes = codes

    @property
    def lookahead(self) -> int:
        """The most frames held back before the first output, for any frame rate."""
        config = self._config
        if self._codes is None or config.latents == "frame":
            return 0
        ahead = 0 if config.filter == "one_euro" else MAX_REACH
        if config.latents == "smooth":
            return max(ahead, config.wait_frames) if config.fine_from is not None else ahead
        return config.wait_frames

    def stream(self, items: Generator[FaceFrame, None, None]) -> Generator[StyledFrame, None, None]:
        """Attach a StyleRef to every face."""
        clip_wplus: dict[tuple[int, int], Codes] = {}
        return by_shot(items, lambda first: _Shot(self._config, self._codes, first, clip_wplus))


class _Shot:
    """The frames of one shot that wait, and what is known of its faces."""

    def __init__(
        self,
        config: StyleConfig,
        codes: CodeSource | None,
        first: FaceFrame,
        clip_wplus: dict[tuple[int, int], Codes],
    ) -> None:
        self.number = first.shot
        self._config = config
        self._codes = codes
        self._waiting: deque[FaceFrame] = deque()
        self._shared: dict[tuple[int, int], Codes] = clip_wplus if config.latents == "clip" else {}
        radius = config.smooth_frames(first.frame.clip.smooth_rate)
        self._own = _Smoothed(config, codes, radius) if codes is not None and config.latents == "smooth" else None
        self._first: dict[int, Codes] = {}
        self._last: dict[int, Codes] = {}
        self._distances: dict[tuple[int, int], float] = {}
        """(frame, track) → distance, of views that wait."""
        self._ahead = 0 if config.filter == "one_euro" or self._own is None else radius

    def push(self, item: FaceFrame) -> Generator[StyledFrame, None, None]:
        self._waiting.append(item)
        if self._own is not None:
            self._own.add(item)
        while self._waiting and len(self._waiting) > self._needed():
            yield self._emit()

    def finish(self) -> Generator[StyledFrame, None, None]:
        while self._waiting:
            yield self._emit()

    def _needed(self) -> int:
        """Frames that must wait behind the oldest one before it can go on."""
        unknown = self._shares and any(self._key(face) not in self._shared for face in self._waiting[0].faces)
        return max(self._ahead, self._config.wait_frames if unknown else 0)

    @property
    def _shares(self) -> bool:
        """Whether some layers of w+ are shared by the frames of the shot."""
        smooth_fine = self._config.latents == "smooth" and self._config.fine_from is not None
        return self._codes is not None and (self._config.latents in ("clip", "shot") or smooth_fine)

    def _key(self, face: Face) -> tuple[int, int]:
        return CLIP_KEY if self._config.latents == "clip" else (self.number, face.track_id)

    def _emit(self) -> StyledFrame:
        item = self._waiting[0]
        styles = tuple(self._style(item, face) for face in item.faces)
        faces = tuple(replace(face, wplus_distance=self._distance(item, face)) for face in item.faces)
        if self._own is not None:
            self._own.forget(item)
        self._waiting.popleft()
        return StyledFrame(replace(item, faces=faces), styles)

    def _style(self, item: FaceFrame, face: Face) -> StyleRef:
        key, reused = self._key(face), self._config.latents in ("clip", "shot")
        if self._codes is None:
            return StyleRef(key if reused else (item.frame.index, face.track_id), None, reused)
        if self._shares and key not in self._shared:
            self._shared[key] = self._shared_by(face)
        if reused:
            wplus = self._shared[key]
        elif face.source is FaceSource.HELD:
            wplus = self._last[face.track_id]
        elif self._own is None:
            wplus = self._codes.wplus(item, face)
        else:
            wplus = self._own.at(item, face)
            if self._config.fine_from is not None:
                fine = self._config.fine_from
                wplus = np.concatenate([wplus[:fine], self._shared[key][fine:]])
        self._last[face.track_id] = wplus
        return StyleRef(key, torch.from_numpy(wplus)[None], reused)

    def _distance(self, item: FaceFrame, face: Face) -> float | None:
        """Of a face that just got its w+."""
        track, index = face.track_id, item.frame.index
        if self._codes is None or face.source is FaceSource.HELD:
            return None
        if self._config.latents in ("clip", "shot"):
            return self._distances.pop((index, track), None)
        if self._own is None:
            return distance(self._last[track], self._first.setdefault(track, self._last[track]))
        own = self._own.seen(item, face)
        return None if own is None else distance(own, self._last[track])

    def _shared_by(self, face: Face) -> Codes:
        """What the frames of the shot share of this face, from its good views in the frames that wait, or else from its
        first frame: the median of the most frontal ones; in `smooth`, which knows every w+ anyhow, the mean of all."""
        assert self._codes is not None
        if (pinned := self._codes.pinned(self.number, face.track_id)) is not None:
            return pinned
        views = self._good_views(face.track_id) or [(self._waiting[0], face)]
        if self._own is not None:
            rows = [self._own.code(*view) for view in views]
            return np.asarray(np.mean(rows, axis=0, dtype=np.float64), np.float32)
        views.sort(key=lambda view: -frontality(view[1].landmarks))
        views = views[: 1 if self._config.latents == "clip" else self._config.views]
        rows = [self._codes.wplus(*view) for view in views]
        median = np.median(rows, axis=0).astype(np.float32)
        for (item, view), row in zip(views, rows, strict=True):
            self._distances[item.frame.index, view.track_id] = distance(row, median)
        return median

    def _good_views(self, track_id: int) -> list[tuple[FaceFrame, Face]]:
        """In order of time."""
        waiting = islice(self._waiting, self._config.wait_frames + 1)
        seen = ((item, face) for item in waiting for face in item.faces if face.track_id == track_id)
        return [(item, face) for item, face in seen if self._is_good(face)]

    def _is_good(self, face: Face) -> bool:
        config = self._config
        sure = face.source is FaceSource.DETECTED and face.score >= config.min_score
        inside = face.outside <= config.max_outside
        return sure and inside and frontality(face.landmarks) >= config.min_frontality


class _Smoothed:
    """Every frame's own w+ of every face in the shot, and the filter over them."""

    def __init__(self, config: StyleConfig, codes: CodeSource, radius: int) -> None:
        self._codes = codes
        self._fir = None if config.filter == "one_euro" else Fir(config.filter, radius)
        self._rows: dict[int, dict[int, Codes]] = {}
        self._causal: dict[int, OneEuro] = {}

    def add(self, item: FaceFrame) -> None:
        """Encode the faces that were really seen in a new frame."""
        for face in item.faces:
            if face.source is FaceSource.DETECTED:
                self._rows.setdefault(face.track_id, {})[item.frame.index] = self._codes.wplus(item, face)

    def at(self, item: FaceFrame, face: Face) -> Codes:
        """The filtered w+ of a face in a frame; its own where it was not seen anywhere near."""
        rows = self._rows.get(face.track_id, {})
        index = item.frame.index
        if self._fir is None:
            return self._causal.setdefault(face.track_id, OneEuro())(self.code(item, face), item.frame.time_s)
        if not any(abs(k - index) <= self._fir.radius for k in rows):
            return self._codes.wplus(item, face)
        return self._fir(rows, index)

    def seen(self, item: FaceFrame, face: Face) -> Codes | None:
        """A face's own w+ in a frame; None where it was not seen."""
        return self._rows.get(face.track_id, {}).get(item.frame.index)

    def code(self, item: FaceFrame, face: Face) -> Codes:
        """The same, encoded now where it was not seen."""
        row = self.seen(item, face)
        return self._codes.wplus(item, face) if row is None else row

    def forget(self, item: FaceFrame) -> None:
        """Drop what no later frame can need."""
        oldest = item.frame.index - (self._fir.radius if self._fir else 0)
        self._rows = {track: kept for track, rows in self._rows.items() if (kept := _from(rows, oldest))}


def _from(rows: Mapping[int, Codes], oldest: int) -> dict[int, Codes]:
    return {k: row for k, row in rows.items() if k >= oldest}
