"""Which pixels of a frame were rendered: the matte that splits every metric into inside and outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.pairs import Pair, resized
from stages.errors import MediaError
from stages.media_probe import probe
from stages.read import Read, ReadConfig

Mask = NDArray[np.bool_]
TILE = 16
"""Side in pixels of the tiles that are compared."""
CHANGED = 5 / 255
"""Mean difference of a tile from which on it was rendered; re-encoding at usual qualities stays below."""
WHOLE = 0.9
"""A matte that covers more than this share of the frame covers all of it."""


class Matte(Protocol):
    """Finds the rendered part of each frame."""

    @property
    def name(self) -> str:
        """Where it comes from, for the report."""
        ...

    def __call__(self, pair: Pair) -> Mask:
        """[H, W] True inside, at the pair's size. Called once per matched pair, in order."""
        ...


class WholeFrame:
    """Everything is inside."""

    name = "nothing: all is inside"

    def __call__(self, pair: Pair) -> Mask:
        assert pair.source is not None
        return np.ones(pair.source.shape[:2], np.bool_)


class Difference:
    """Inside is where output and input differ.

    Tiles of 16 × 16 pixels whose mean difference exceeds 5/255, joined to connected parts, each filled to its bounding
    box and one tile more: the composite pastes rectangles, and what lies in the corners about a head counts as inside.
    Needs no file, and is right for any renderer that leaves the rest of the frame alone. A frame that was left alone as
    a whole has nothing inside.
    """

    name = "the difference of the pictures"

    def __call__(self, pair: Pair) -> Mask:
        assert pair.source is not None
        assert pair.result is not None
        height, width = pair.source.shape[:2]
        columns, rows = max(round(width / TILE), 1), max(round(height / TILE), 1)
        tiles = cv2.resize(
            np.abs(pair.result - pair.source).mean(axis=2), (columns, rows), interpolation=cv2.INTER_AREA
        )
        changed = cv2.dilate((tiles > CHANGED).astype(np.uint8), np.ones((3, 3), np.uint8))
        count, _, boxes, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
        mask = np.zeros((rows, columns), np.uint8)
        for left, top, wide, tall, _ in boxes[1:count].tolist():
            mask[top : top + tall, left : left + wide] = 1
        if mask.mean() > WHOLE:
            mask[:] = 1
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) > 0


class MatteClip:
    """Inside is where a matte clip is brighter than half: a video, image sequence or single image.

    Its first frame belongs to frame `start` of the input; a single image holds for all. Its size may differ. Close it.

    Raises:
        MediaError: it cannot be read, or ends before the clip does.
    """

    def __init__(self, path: str | Path, start: int = 0) -> None:
        clip = probe(path)
        self.name = f"the matte {path}"
        self._path, self._start, self._still = path, start, clip.kind == "image"
        self._frames = Read(ReadConfig(), clip).stream()
        self._number = -1
        self._light: NDArray[np.float32] | None = None

    def __call__(self, pair: Pair) -> Mask:
        assert pair.source is not None
        while self._number < (0 if self._still else pair.index - self._start):
            frame = next(self._frames, None)
            if frame is None:
                what = f"{self._path}: the matte ends at frame {self._number}, the clip does not"
                raise MediaError(what, "give a matte with one frame per frame of the input's range")
            self._number += 1
            self._light = np.ascontiguousarray(frame.rgb().mean(axis=2), np.float32)
        assert self._light is not None
        height, width = pair.source.shape[:2]
        return resized(self._light, (width, height)) > 0.5

    def close(self) -> None:
        """Close the file."""
        self._frames.close()


@contextlib.contextmanager
def opened(matte: Matte | str | Path, start: int = 0) -> Iterator[Matte]:
    """`auto`: by difference; `full`: the whole frame; another word or path: a matte clip, closed on leaving."""
    if not isinstance(matte, str | Path):
        yield matte
    elif matte in ("auto", "full"):
        yield Difference() if matte == "auto" else WholeFrame()
    else:
        with contextlib.closing(MatteClip(matte, start)) as clip:
            yield clip
