"""style: decide which picture each face's w+ is taken from, and cut the FFHQ-aligned crop there.

The published script takes w+ once, from the first face of the clip. Here it is taken once per face and shot, from a
frame where the face was really detected and lies inside the picture; it may come a little later than the face's first
frame, so a few frames wait.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.base import Section
from stages.content import Content, Rgb
from stages.geometry import align_face
from stages.pixels import quantize, to_network
from stages.types import Face, FaceFrame, FaceSource, StyledFrame, StyleRef

CLIP_KEY = -1


class StyleConfig(Section):
    """Where w+ comes from."""

    latents: Literal["clip", "shot", "frame"] = "shot"
    """clip: the first face's w+ for everything (as published); shot: one w+ per face and shot; frame: one per frame."""
    wait_frames: int = Field(default=12, ge=0, le=250)
    """Frames that may wait for the first good view of a face; then the best so far is taken."""
    max_outside: float = Field(default=0.1, ge=0, le=1)
    """A good view has at most this share of its landmarks outside the picture."""


class Style:
    """FaceFrame → StyledFrame.

    Args:
        content: what the encoder sees; the aligned crop is cut from its version of the picture.
        aligned: False for models whose w+ comes from x1: no crop is cut.
        eye_distance_px: face scale, as `crop` uses it.
    """

    name = "style"

    def __init__(
        self, config: StyleConfig, content: Content | None = None, *, aligned: bool = True, eye_distance_px: float = 64
    ) -> None:
        self._config = config
        self._content = content or Rgb()
        self._aligned = aligned
        self._eye_distance_px = eye_distance_px

    @property
    def lookahead(self) -> int:
        """Frames held back before the first output."""
        return self._config.wait_frames if self._config.latents == "shot" and self._aligned else 0

    def stream(self, items: Generator[FaceFrame, None, None]) -> Generator[StyledFrame, None, None]:
        """Attach a StyleRef to every face; the first face with a key carries the crop."""
        known: set[int] = set()
        waiting: deque[FaceFrame] = deque()
        with contextlib.closing(items):
            for item in items:
                if waiting and item.shot != waiting[-1].shot:
                    while waiting:
                        yield self._emit(waiting, known)
                waiting.append(item)
                while waiting and (len(waiting) > self.lookahead or not self._must_wait(waiting, known)):
                    yield self._emit(waiting, known)
            while waiting:
                yield self._emit(waiting, known)

    def _key(self, item: FaceFrame, face: Face) -> int:
        match self._config.latents:
            case "clip":
                return CLIP_KEY
            case "shot":
                return face.track_id
            case _:
                return item.frame.index * 1024 + item.faces.index(face)

    def _must_wait(self, waiting: deque[FaceFrame], known: set[int]) -> bool:
        head = waiting[0]
        return any(
            self._key(head, face) not in known and self._good_view(waiting, face.track_id) is None
            for face in head.faces
        )

    def _good_view(self, waiting: deque[FaceFrame], track_id: int) -> tuple[FaceFrame, Face] | None:
        for item in waiting:
            for face in item.faces:
                seen = face.source is FaceSource.DETECTED and face.outside <= self._config.max_outside
                if face.track_id == track_id and seen:
                    return item, face
        return None

    def _emit(self, waiting: deque[FaceFrame], known: set[int]) -> StyledFrame:
        head = waiting[0]
        styles: list[StyleRef] = []
        for face in head.faces:
            key = self._key(head, face)
            aligned = None
            if key not in known:
                if self._aligned:
                    view = self._good_view(waiting, face.track_id) if self.lookahead else None
                    aligned = self._cut(*(view or (head, face)))
                if self._config.latents != "frame":
                    known.add(key)
            styles.append(StyleRef(key, aligned, reused=self._config.latents != "frame"))
        waiting.popleft()
        return StyledFrame(head, tuple(styles))

    def _cut(self, item: FaceFrame, face: Face) -> NDArray[np.float32]:
        picture = self._content.style_source(item.frame.rgb(), self._eye_distance_px / face.eye_distance)
        crop = align_face(quantize(picture), face.landmarks)
        return to_network(crop.astype(np.float32) / np.float32(255))
