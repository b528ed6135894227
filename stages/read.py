"""read: a file, image or image sequence → frames in display order, with their samples as they came and exact times."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Literal

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from pydantic import Field, model_validator

from stages.avframe import planes_of_frame
from stages.base import Section
from stages.decode import DAMAGED, Picture, pictures
from stages.errors import MediaError
from stages.layout import PlaneLayout
from stages.media_probe import first_frame, layout_of_frame, open_media, rotation_of_frame, video_stream
from stages.seek import find_entry
from stages.sequence import list_images
from stages.types import ClipInfo, Frame

log = logging.getLogger(__name__)


class ReadConfig(Section):
    """Which frames are read, and what happens where the file is damaged."""

    start: int = Field(default=0, ge=0)
    """First frame, counted from 0 in display order."""
    end: int | None = Field(default=None, ge=1)
    """First frame that is not read any more; null: to the end of the clip."""
    on_corrupt: Literal["fail", "repeat", "skip"] = "fail"
    """A damaged or cut file: fail; repeat the frame before each lost one, so that time goes on; or skip lost frames."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads of the decoder. They do not change the pictures."""
    sequence_rate: str = Field(default="25", pattern=r"^[1-9]\d*(/[1-9]\d*)?$")
    """Frames per second of an image sequence, e.g. 24 or 24000/1001. Videos say it themselves."""

    @model_validator(mode="after")
    def _some_frame(self) -> ReadConfig:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be above start ({self.start})")
        return self


class Read:
    """The source of the pipeline: frames `start` to `end` of a clip.

    Frames before `start` are decoded and dropped, so that frame numbers are exact for every codec; or, when the time of
    frame `start` is known, decoding begins at the key frame before it, wherever that gives the same frames. A frame's
    duration is the distance to the next one; only the last frame's is taken from the file. Missing times are made from
    the rate, and times that do not grow are moved behind the frame before; both are logged.

    Args:
        start_pts: of frame `start`, from an analysis; None: not known.
    """

    name = "read"
    lookahead = 0

    def __init__(self, config: ReadConfig, clip: ClipInfo, start_pts: int | None = None) -> None:
        self._config = config
        self._clip = clip
        self._start_pts = start_pts

    def stream(self) -> Generator[Frame, None, None]:
        """Yield frames lazily, in display order.

        Raises:
            MediaError: the clip is damaged (`on_corrupt: fail`), changes its size, or ends before `start`.
        """
        config, clip = self._config, self._clip
        first, source = self._source()
        moments = _timed(source if config.on_corrupt == "skip" else _filled(source, clip), clip)
        count = last = 0
        with contextlib.closing(source), contextlib.closing(moments):
            for index, moment in enumerate(moments, first):
                last = index
                if index < config.start or moment.frame is None:
                    continue
                if index == config.end:
                    break
                yield _frame(moment, moment.frame, index, clip)
                count += 1
        if not count:
            what = f"{clip.path}: no frame {config.start}: the clip has {last + 1} frames"
            raise MediaError(what, f"set read.start below {last + 1}" if config.start else DAMAGED)

    def _source(self) -> tuple[int, Generator[Picture, None, None]]:
        """The number of the first picture, and the pictures."""
        config, clip, pts = self._config, self._clip, self._start_pts
        if config.start and pts is not None and clip.kind == "video" and config.on_corrupt == "fail":
            sought = _sought(config, clip, pts)
            head = next(sought, None)
            if head is not None:
                return config.start, _preceded(head, sought)
            log.info("%s: frame %d is reached by decoding from the start", clip.path, config.start)
        return 0, _decoded(config, clip)


def _preceded(head: Picture, rest: Generator[Picture, None, None]) -> Generator[Picture, None, None]:
    with contextlib.closing(rest):
        yield head
        yield from rest


def _decoded(config: ReadConfig, clip: ClipInfo) -> Generator[Picture, None, None]:
    strict = config.on_corrupt == "fail"
    if clip.kind != "video":
        yield from _images(clip, strict)
        return
    with _opened(config, clip) as (container, stream):
        yield from pictures(container, stream, clip, strict)


def _sought(config: ReadConfig, clip: ClipInfo, start_pts: int) -> Generator[Picture, None, None]:
    """Frame `start` and what follows; nothing at all where seeking does not lead there."""
    with _opened(config, clip) as (container, stream):
        entry = find_entry(container, stream, config.start, start_pts)
        if entry is None:
            return
        arrived = False
        try:
            for picture in pictures(container, stream, clip, True, entry):
                if not arrived and picture.pts is not None and picture.pts < start_pts:
                    continue
                if not arrived and picture.pts != start_pts:
                    return
                arrived = True
                yield picture
        except (FFmpegError, MediaError):
            if arrived:
                raise


@contextlib.contextmanager
def _opened(config: ReadConfig, clip: ClipInfo) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_media(clip.path) as container:
        stream = video_stream(container, clip.path)
        stream.thread_type = "AUTO"
        stream.thread_count = config.threads
        yield container, stream


def _images(clip: ClipInfo, strict: bool) -> Iterator[Picture]:
    files = list_images(clip.path) if clip.kind == "sequence" else [clip.path]
    for index, file in enumerate(files):
        frame = None
        try:
            with open_media(file) as container:
                frame = first_frame(container, video_stream(container, file), file)
        except MediaError as error:
            if strict:
                raise
            log.warning("%s", error.what)
        yield Picture(frame, index, 1, frame is None, file.name)


def _filled(source: Iterator[Picture], clip: ClipInfo) -> Iterator[Picture]:
    """Give each lost picture the one before it, or the first one that there is."""
    previous: av.VideoFrame | None = None
    waiting: list[Picture] = []
    lost = 0
    for picture in source:
        if picture.frame is None:
            lost += 1
            if previous is None:
                waiting.append(picture)
            else:
                yield replace(picture, frame=previous)
            continue
        previous = picture.frame
        while waiting:
            yield replace(waiting.pop(0), frame=previous)
        yield picture
    if lost:
        log.warning("%s: %d lost frames repeat the one before them", clip.path, lost)


def _timed(source: Iterator[Picture], clip: ClipInfo) -> Generator[Picture, None, None]:
    """Give every picture a pts that grows and, one picture late, the duration up to the next one."""
    step = max(1, round(1 / clip.rate / clip.time_base))
    held: Picture | None = None
    moved = 0
    untimed = False
    for number, picture in enumerate(source):
        if number == 0:
            untimed = picture.pts is None
        pts = round(number / clip.rate / clip.time_base) if untimed else picture.pts
        if held is not None and held.pts is not None:
            if pts is None or pts <= held.pts:
                pts = held.pts + (held.duration or step)
                moved += 1
                if moved == 1:
                    log.warning(
                        "%s: times do not grow at frame %d; it is moved behind the one before", clip.path, number
                    )
            yield replace(held, duration=pts - held.pts)
        held = replace(picture, pts=pts)
    if held is not None:
        yield held
    if untimed and clip.kind == "video":
        log.info("%s: the file gives no times; they are made from its rate, %s per second", clip.path, clip.rate)
    if moved > 1:
        log.warning("%s: the times of %d frames did not grow", clip.path, moved)


def _frame(picture: Picture, decoded: av.VideoFrame, index: int, clip: ClipInfo) -> Frame:
    rotation = rotation_of_frame(decoded)
    layout = layout_of_frame(decoded, clip.path)
    found, expected = (decoded.width, decoded.height, layout), (clip.width, clip.height, clip.layout)
    if found != expected or (rotation != clip.rotation and clip.kind != "video"):
        where = f"{clip.path}: frame {index}" + (f" ({picture.name})" if picture.name else "")
        what = f"{where} is {_describe(found, rotation)}, the first one {_describe(expected, clip.rotation)}"
        raise MediaError(what, "split the clip where it changes, or convert it to one size and pixel format")
    planes, _ = planes_of_frame(decoded)
    pts = picture.pts if picture.pts is not None else 0
    return Frame(
        planes, layout, clip.color, clip.rotation, pts, picture.duration, index, clip, picture.corrupt, picture.name
    )


def _describe(form: tuple[int, int, PlaneLayout], rotation: int) -> str:
    return f"{form[0]}x{form[1]} {form[2].pix_fmt}" + (f" turned by {rotation}°" if rotation else "")
