"""Two clips side by side: each input frame with the output frame of the same time, both read once, in lockstep."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.media_probe import first_frame, open_media, probe, video_stream
from stages.read import Read, ReadConfig
from stages.shots import Shots, ShotsConfig
from stages.types import ClipInfo, Frame, ShotFrame

Picture = NDArray[np.float32]
"""[H, W, 3] R'G'B' in [0, 1], clipped."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An input frame and what became of it."""

    index: int
    """Number of the input frame in its clip; of an extra output frame, that of the output frame in its own clip."""
    shot: int
    source: Picture | None
    """None: the output shows a frame at a time at which the input has none."""
    result: Picture | None
    """At the source's size. None: the output has no frame at this time."""
    repeated: bool = False
    """The input frame has the same samples as the one before it, bit for bit."""
    apart: bool = False
    """Other faces were drawn than in the frame before, so that nothing is measured across."""


@dataclass(frozen=True, slots=True)
class PairReader:
    """Reads INPUT and OUTPUT together.

    Frames belong together when their times differ by less than a quarter of a frame; in an image or image sequence,
    whose times nobody wrote down, when their numbers are the same. An output of another size is brought to the input's
    size by area averaging, so that metrics of a 4x render and of a 1x render compare.
    """

    source: ClipInfo
    result: ClipInfo
    read: ReadConfig
    """Range of the input that the output was rendered from; the output is always read whole."""
    shots: ShotsConfig
    max_side: int = 1920
    """Longer side in pixels at which pictures are compared; larger ones are reduced."""
    changes: Collection[int] = ()
    """Input frames in which other faces were drawn than in the frame before."""

    @classmethod
    def open(
        cls,
        source: str | Path,
        result: str | Path,
        read: ReadConfig,
        shots: ShotsConfig,
        max_side: int,
        changes: Collection[int] = (),
    ) -> PairReader:
        """Probe both clips. Damaged frames are repeated, not refused: what was rendered from them is compared too."""
        lenient = read.model_copy(update={"on_corrupt": "repeat"})
        return cls(probe(source), probe(result), lenient, shots, max_side, changes)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures in the pairs."""
        width, height = self.source.upright_size
        zoom = min(1.0, self.max_side / max(width, height))
        return max(round(width * zoom), 1), max(round(height * zoom), 1)

    def stream(self) -> Generator[Pair, None, None]:
        """Yield pairs in order of time; holds one frame of each clip besides the look-ahead of the cut detector."""
        inputs = Shots(self.shots).stream(Read(self.read, self.source).stream())
        outputs = Read(ReadConfig(on_corrupt="repeat", threads=self.read.threads), self.result).stream()
        with contextlib.closing(inputs), contextlib.closing(outputs):
            yield from self._merged(inputs, outputs)

    def _merged(self, inputs: Iterator[ShotFrame], outputs: Iterator[Frame]) -> Iterator[Pair]:
        before: Frame | None = None
        item, out = next(inputs, None), next(outputs, None)
        by_number = self.source.kind != "video" or self.result.kind != "video"
        shift = Fraction(0) if item is None or by_number else self._shift(item.frame)
        near = 1 / (4 * max(self.source.rate, self.result.rate, Fraction(1)))
        shot = 0
        while item is not None or out is not None:
            late = Fraction(0)  # of the output frame after the input frame, in seconds
            if item is not None and out is not None and by_number:
                late = Fraction(out.index - (item.frame.index - self.read.start))
            elif item is not None and out is not None:
                late = out.pts * self.result.time_base - (item.frame.pts * self.source.time_base - shift)
            if item is None or (out is not None and late < -near):
                assert out is not None
                yield Pair(out.index, shot, None, self._picture(out))
                out = next(outputs, None)
                continue
            frame, shot = item.frame, item.shot
            partner = out if out is not None and late <= near else None
            repeated = before is not None and _same(before, frame)
            drawn = partner and self._picture(partner)
            yield Pair(frame.index, shot, self._picture(frame), drawn, repeated, frame.index in self.changes)
            before, item = frame, next(inputs, None)
            if partner is not None:
                out = next(outputs, None)

    def _shift(self, first: Frame) -> Fraction:
        """Seconds by which the output of a range begins earlier than the range: it starts where the clip starts."""
        if not self.read.start:
            return Fraction(0)
        with open_media(self.source.path) as container:
            stream = video_stream(container, self.source.path)
            start = first_frame(container, stream, self.source.path).pts or 0
        return (first.pts - start) * self.source.time_base

    def _picture(self, frame: Frame) -> Picture:
        return resized(np.clip(frame.rgb(), 0, 1), self.size)


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """[H, W(, C)] float32 at (width, height): by area where it shrinks, by cubic interpolation where it grows."""
    if picture.shape[1::-1] == size:
        return picture
    grows = size[0] > picture.shape[1] or size[1] > picture.shape[0]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC if grows else cv2.INTER_AREA), np.float32)


def _same(a: Frame, b: Frame) -> bool:
    return len(a.planes) == len(b.planes) and all(map(np.array_equal, a.planes, b.planes))
