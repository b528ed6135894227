"""shots: find hard cuts while the frames go by.

Two small measures of a frame pair: the distance of the luma and chroma histograms, and the difference of 1/16-size luma
thumbnails. A cut is a pair that is far above both a fixed floor and its neighbourhood's mean, so that a pan or a fast
dance is none; and no picture of just before comes back just after, so that a flash is none. Hence a short look-ahead.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.base import Section
from stages.types import Frame, PlaneArray, ShotFrame

FLASH = 2
"""Frames that a flash may last."""
BINS = 32
TOP = 1.0 + 1e-6
"""Just above the highest sample, so that it falls into the last bin."""
THUMBNAIL = 16
_BIN_OF_CODE = np.floor(np.arange(256) / 256 * (BINS / TOP)).astype(np.intp)


class ShotsConfig(Section):
    """When a new shot begins."""

    enabled: bool = True
    """False: the whole clip is one shot."""
    threshold: float = Field(default=0.35, gt=0, le=2)
    """Least difference of a cut: half the histograms' L1 distance plus the mean thumbnail difference, each 0 to 1."""
    contrast: float = Field(default=3.0, ge=1)
    """A cut is this many times above the mean difference of its neighbours."""
    neighbours: int = Field(default=6, ge=1, le=48)
    """Frame pairs before the candidate that its neighbourhood consists of (one more lies after it)."""
    min_length: int = Field(default=4, ge=1)
    """Frames of the shortest shot."""
    cuts: tuple[int, ...] | None = None
    """First frame numbers of shots, from an edit list; overrides detection."""


class _Signature(NamedTuple):
    histogram: NDArray[np.float32]
    thumbnail: NDArray[np.float32]


class Shots:
    """Frame → ShotFrame."""

    name = "shots"

    def __init__(self, config: ShotsConfig) -> None:
        self._config = config

    @property
    def lookahead(self) -> int:
        """Frames held back before the first output."""
        return 1 + FLASH if self._config.enabled and self._config.cuts is None else 0

    def stream(self, items: Iterator[Frame]) -> Generator[ShotFrame, None, None]:
        """Number the shots."""
        with contextlib.closing(items) if isinstance(items, Generator) else contextlib.nullcontext():
            if self.lookahead:
                yield from self._detected(items)
            else:
                yield from self._listed(items)

    def _listed(self, items: Iterator[Frame]) -> Iterator[ShotFrame]:
        cuts, shot, first = set(self._config.cuts or ()) if self._config.enabled else set(), 0, True
        for frame in items:
            shot += frame.index in cuts and not first
            first = False
            yield ShotFrame(frame, shot)

    def _detected(self, items: Iterator[Frame]) -> Iterator[ShotFrame]:
        past: deque[_Signature] = deque(maxlen=1 + FLASH)
        changes: deque[float] = deque(maxlen=self._config.neighbours)
        shot, length = 0, 0
        for frame, coming in _with_coming(items, 1 + FLASH):
            now = coming[0]
            change = _difference(past[-1], now) if past else 0.0
            after = _difference(now, coming[1]) if len(coming) > 1 else 0.0
            around = (sum(changes) + after) / (len(changes) + 1)
            far = change >= self._config.threshold and change >= self._config.contrast * around
            if far and length >= self._config.min_length and not self._returns(past, coming[: 1 + FLASH]):
                shot, length = shot + 1, 0
                changes.clear()
            elif length:
                changes.append(change)
            length += 1
            past.append(now)
            yield ShotFrame(frame, shot)

    def _returns(self, before: Iterable[_Signature], after: Iterable[_Signature]) -> bool:
        """True when a picture of `before` is seen again in `after`."""
        return any(_difference(old, new) < self._config.threshold / 2 for old in before for new in after)


def _with_coming(items: Iterator[Frame], count: int) -> Iterator[tuple[Frame, list[_Signature]]]:
    """Each frame with the signatures of itself and of up to `count` frames after it."""
    held: deque[tuple[Frame, _Signature]] = deque()
    for frame in items:
        held.append((frame, _signature(frame)))
        if len(held) > count:
            yield held[0][0], [signature for _, signature in held]
            held.popleft()
    while held:
        yield held[0][0], [signature for _, signature in held]
        held.popleft()


def _signature(frame: Frame) -> _Signature:
    """Histograms of the first three planes, and a thumbnail of the first (luma, or green)."""
    full = np.float32(1.0 if frame.layout.is_float else 1 << frame.layout.bits)
    histograms = [_histogram(np.ascontiguousarray(plane[::2, ::2]), full) for plane in frame.planes[:3]]
    height, width = (max(n // THUMBNAIL, 4) for n in frame.planes[0].shape)
    thumbnail = cv2.resize(frame.planes[0].astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return _Signature(np.stack(histograms), np.asarray(thumbnail, np.float32) / full)


def _histogram(samples: PlaneArray, full: np.float32) -> NDArray[np.float32]:
    """[BINS] shares of the samples."""
    if samples.dtype == np.uint8:  # count codes, then join them: no need to convert every sample
        codes = cv2.calcHist([np.asarray(samples, np.uint8)], [0], None, [256], [0, 256]).reshape(-1)
        counts = np.bincount(_BIN_OF_CODE, weights=codes, minlength=BINS)
    else:
        counts = cv2.calcHist([samples.astype(np.float32) / full], [0], None, [BINS], [0.0, TOP]).reshape(-1)
    return np.asarray(counts / max(samples.size, 1), np.float32)


def _difference(a: _Signature, b: _Signature) -> float:
    if a.histogram.shape != b.histogram.shape or a.thumbnail.shape != b.thumbnail.shape:
        return 2.0
    histogram = float(np.abs(a.histogram - b.histogram).sum(axis=1).mean()) / 2
    return histogram + float(np.abs(a.thumbnail - b.thumbnail).mean())
