"""Pictures for the report: evenly spaced frames of a finished clip, and a before/after sheet.

decord reads 8-bit video quickest, so it is used where it is installed; only in ascending order, in which it is exact.
The samples that are rendered never come this way.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.contact_sheet import contact_sheet
from stages.media_probe import probe
from stages.read import Read, ReadConfig
from stages.types import ClipInfo, OutputFrame

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
DECORD_CODECS = frozenset({"h264", "hevc", "mpeg4", "vp9", "mjpeg"})
TILE_HEIGHT = 240
"""Of a picture in the sheet, in pixels."""


def sample_frames(
    path: str | Path, count: int, read: ReadConfig | Mapping[str, Any] | None = None
) -> list[tuple[int, Picture]]:
    """Up to `count` evenly spaced frames of a clip, or of the range that `read` names.

    Returns:
        (frame number, upright uint8 R'G'B' [H, W, 3]) pairs in ascending order.

    Raises:
        MediaError: the clip cannot be read.
    """
    config = read if isinstance(read, ReadConfig) else ReadConfig.model_validate(dict(read or {}))
    clip = probe(path)
    total = clip.num_frames
    if (
        clip.kind != "video"
        or total is None
        or clip.codec not in DECORD_CODECS
        or clip.layout.bits > 8
        or not _has_decord()
    ):
        return _by_reading(clip, config, count, total)
    pictures = _by_decord(clip, config, count)
    return pictures if pictures is not None else _by_reading(clip, config, count, total)


class Kept:
    """Some frames, kept while they go by: the source's picture and the finished one, so that neither is read again.

    Args:
        numbers: of the frames to keep.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = frozenset(numbers)
        self.before: list[tuple[int, Picture]] = []
        self.after: list[tuple[int, Picture]] = []

    def add(self, item: OutputFrame) -> None:
        """Look at one finished frame."""
        frame = item.source.frame
        if frame.index in self._numbers:
            self.before.append((frame.index, frame.rgb8()))
            self.after.append((frame.index, item.rgb8()))


def spread(start: int, end: int, count: int) -> list[int]:
    """Up to `count` numbers in [start, end), the middles of equal parts."""
    length = max(end - start, 0)
    return sorted({start + (2 * part + 1) * length // (2 * count) for part in range(count)} if length else set())


def before_after_sheet(
    before: Sequence[tuple[int, Picture]], after: Sequence[tuple[int, Picture]], path: str | Path
) -> None:
    """Write a PNG with the source's frames above the result's, one column per frame, numbered.

    Pictures are scaled to the same height; a missing one leaves its place empty.

    Raises:
        MediaError: no picture at all, or the file cannot be written.
    """
    rows = [[_tile(picture) for _, picture in row] for row in (before, after)]
    numbers = [number for number, _ in max(before, after, key=len)]
    widest = max((tile.shape[1] for row in rows for tile in row), default=TILE_HEIGHT)
    contact_sheet(
        Path(path),
        rows,
        column_labels=[f"frame {number}" for number in numbers],
        row_labels=["before", "after"],
        cell_px=max(TILE_HEIGHT, widest),
    )


def _has_decord() -> bool:
    return importlib.util.find_spec("decord") is not None


def _by_decord(clip: ClipInfo, config: ReadConfig, count: int) -> list[tuple[int, Picture]] | None:
    """None when decord cannot read the clip after all."""
    import decord

    try:
        reader = decord.VideoReader(str(clip.path), num_threads=config.threads)
        total = len(reader)
        end = total if config.end is None else min(config.end, total)
        numbers = spread(config.start, end, count)
        wanted, found = set(numbers), []
        for number in range(numbers[-1] + 1 if numbers else 0):
            picture = reader.next()
            if number in wanted:
                found.append((number, picture.asnumpy().astype(np.uint8)))
        return found
    except (RuntimeError, StopIteration, decord.DECORDError) as error:
        log.debug("%s: decord cannot read it, PyAV does: %s", clip.path, str(error).splitlines()[:1])
        return None


def _by_reading(clip: ClipInfo, config: ReadConfig, count: int, total: int | None) -> list[tuple[int, Picture]]:
    lenient = config.model_copy(update={"on_corrupt": "repeat"})
    if total is None:
        with contextlib.closing(Read(lenient, clip).stream()) as frames:
            total = max(frame.index for frame in frames) + 1
    numbers = spread(config.start, total if config.end is None else min(config.end, total), count)
    last = lenient.model_copy(update={"end": numbers[-1] + 1}) if numbers else lenient
    with contextlib.closing(Read(last, clip).stream()) as frames:
        return list(_picked(frames, set(numbers)))


def _picked(frames: Iterator[Any], numbers: set[int]) -> Iterator[tuple[int, Picture]]:
    for frame in frames:
        if frame.index in numbers:
            yield frame.index, frame.rgb8()


def _tile(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (max(1, round(width * TILE_HEIGHT / height)), TILE_HEIGHT)
    method = cv2.INTER_AREA if height > TILE_HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)
