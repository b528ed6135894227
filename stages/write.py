"""write: finished frames → a file that appears under its name when it is whole, with the source's times and sound."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.container import OutputContainer
from pydantic import Field

from stages.avframe import frame_of_planes
from stages.base import Section
from stages.encoding import Wish, add_video, choose, trial_container
from stages.errors import MediaError
from stages.image_write import image_encoding, write_folder, write_image
from stages.layout import ColorTags, PlaneLayout
from stages.media_probe import first_frame, open_media, video_stream
from stages.output import CONTAINERS, disk_errors, partial_file
from stages.remux import Remux, lasting
from stages.types import ClipInfo, OutputFrame

log = logging.getLogger(__name__)

MAX_TIMESCALE = 100_000_000


class WriteConfig(Section):
    """How the result is encoded, and what is copied beside it."""

    codec: str = "auto"
    """auto: the source's family where it can be written, else H.264; or h264, hevc, prores, ffv1, …, libav's name."""
    quality: float | None = Field(default=None, ge=0, le=63)
    """Constant-quality factor (CRF; lower is better) for h264, hevc, av1, vp9, and 1 to 31 for mjpeg; null: fine."""
    pix_fmt: str = "auto"
    """auto: the source's samples where the encoder takes them, else the nearest; or FFmpeg's name, e.g. yuv420p."""
    preset: str | None = None
    """The encoder's own speed setting, e.g. fast or slow; null: its default."""
    threads: int = Field(default=4, ge=1, le=64)
    """Threads of the encoder. Some encoders' files depend on it, so it is a fixed number and not the machine's."""
    overwrite: bool = False
    """Replace an output that exists already."""
    audio: bool = True
    """Copy the sound, packet for packet."""
    subtitles: bool = True
    """Copy the subtitles, packet for packet."""
    timestamps: Literal["zero", "source"] = "zero"
    """When only a range is rendered: begin where the clip itself begins, or keep each frame's time of the source."""

    def wish(self) -> Wish:
        return Wish(self.codec, self.pix_fmt, self.quality, self.preset, self.threads)


def choose_encoding(
    clip: ClipInfo, config: WriteConfig, suffix: str, width: int, height: int
) -> tuple[PlaneLayout, ColorTags]:
    """How finished planes should lie, and what their samples should mean, for an output of this suffix ("": a folder).

    Args:
        width, height: of the finished, upright picture; the planes are to be turned like the clip's own.

    Raises:
        MediaError: the codec, pixel format and container do not go together.
    """
    if suffix.lower() not in CONTAINERS:
        return image_encoding(clip, suffix)
    if clip.rotation in (90, 270):
        width, height = height, width
    encoding = choose(clip, config.wish(), suffix, width, height)
    return encoding.layout, encoding.color


class Write:
    """OutputFrame → OutputFrame, each one passed on after the encoder took it.

    Args:
        clip: the source, whose rate, time base, sound, subtitles, chapters and metadata the output gets.
        output: checked by `check_output`; a video file, an image, or a folder of images.
        end: frame number at which a range ends; None when the clip is rendered to its end. Sound stops there as well.
    """

    name = "write"
    lookahead = 0

    def __init__(self, config: WriteConfig, clip: ClipInfo, output: Path, end: int | None = None) -> None:
        self._config = config
        self._clip = clip
        self._output = output
        self._end = end

    def stream(self, items: Generator[OutputFrame, None, None]) -> Generator[OutputFrame, None, None]:
        """Write every frame; the file is whole when the stream has ended, and gone when it is left before.

        Raises:
            MediaError: the disk is full or fails, or the encoder refuses.
        """
        with contextlib.closing(items):
            suffix = self._output.suffix.lower()
            if suffix in CONTAINERS:
                yield from self._video(items)
            elif suffix:
                yield from write_image(items, self._output)
            else:
                yield from write_folder(items, self._output, self._clip)

    def _video(self, items: Iterator[OutputFrame]) -> Iterator[OutputFrame]:
        first = next(items, None)
        if first is None:
            raise MediaError(f"{self._clip.path}: no frame to write", "check read.start and read.end")
        with partial_file(self._output) as part, contextlib.ExitStack() as cleanup:
            with disk_errors(self._output):
                file = _VideoFile(part, first, self._clip, self._config)
                cleanup.callback(file.close)
                file.write(first)
            last = first
            yield first
            for item in items:
                with disk_errors(self._output):
                    file.write(item)
                last = item
                yield item
            with disk_errors(self._output):
                ranged = self._end is not None and last.source.frame.index + 1 >= self._end
                file.finish(last, ranged)


class _VideoFile:
    """One video file being written. `finish` completes it; `close` frees it in any case."""

    def __init__(self, path: Path, first: OutputFrame, clip: ClipInfo, config: WriteConfig) -> None:
        height, width = first.planes[0].shape
        self._encoding = choose(clip, config.wish(), path.suffix, width, height)
        if (self._encoding.layout, self._encoding.color) != (first.layout, first.color):
            raise ValueError(f"frames are {first.layout.pix_fmt} {first.color}, the encoder takes {self._encoding}")
        log.info("%s: %s %s", clip.path.name, self._encoding.codec, self._encoding.pix_fmt)
        self._clip, self._shift, self._size = clip, 0, (width, height)
        self._others: Remux | None = None
        self._durations: dict[int, int] = {}
        self._held: Any = None
        self._first_times: tuple[int, int] | None = None
        self._end_pts = 0
        self._by_dts = CONTAINERS[path.suffix.lower()] in ("mp4", "mov")
        time_base = clip.time_base
        self._out: OutputContainer = av.open(str(path), "w", format=CONTAINERS[path.suffix.lower()])
        try:
            self._stream = add_video(self._out, self._encoding, width, height, clip.rate, time_base)
            if first.rotation:
                self._stream.set_display_rotation(first.rotation)
            if clip.kind == "video":
                self._carry_over(path.suffix, first, config)
            if self._by_dts:
                self._out.container_options["movie_timescale"] = str(self._movie_timescale())
            self._out.start_encoding()
        except BaseException:
            self.close()
            raise

    def _carry_over(self, suffix: str, first: OutputFrame, config: WriteConfig) -> None:
        clip, frame = self._clip, first.source.frame
        width, height = self._size

        def trial() -> OutputContainer:
            container = trial_container(suffix)
            add_video(container, self._encoding, width, height, clip.rate, clip.time_base)
            return container

        wanted = {"audio": config.audio, "subtitle": config.subtitles}
        kinds = frozenset(kind for kind, copied in wanted.items() if copied)
        ranged = frame.index > 0
        begin = frame.pts * clip.time_base
        if ranged and config.timestamps == "zero":
            self._shift = frame.pts - _first_pts(clip)
        moved = self._shift * clip.time_base
        self._others = Remux(clip.path, self._out, trial, kinds, begin if ranged else None, moved)
        source = self._others.source
        picture = video_stream(source, clip.path)
        self._out.metadata.update(lasting(source.metadata))
        tags = lasting(picture.metadata)
        if ranged and tags.pop("timecode", None):
            log.warning("%s: the time code is left out, because only a part of the clip is rendered", clip.path)
        self._stream.metadata.update(tags)
        if picture.sample_aspect_ratio and first.rotation == clip.rotation:
            self._stream.codec_context.sample_aspect_ratio = picture.sample_aspect_ratio
        if not ranged:
            self._out.set_chapters(source.chapters())

    def _movie_timescale(self) -> int:
        """Ticks per second in which QuickTime files state where streams start: fine enough for each to be exact."""
        picture = self._clip.time_base.denominator
        bases = [stream.time_base for stream in self._out.streams if stream.type == "audio"]
        scale = math.lcm(picture, *(base.denominator for base in bases if base is not None))
        return scale if scale <= MAX_TIMESCALE else picture

    def write(self, item: OutputFrame) -> None:
        frame = frame_of_planes(item.planes, item.layout, item.color, self._encoding.pix_fmt)
        frame.pts, frame.time_base = item.pts - self._shift, self._clip.time_base
        frame.duration = self._durations[frame.pts] = item.source.frame.duration
        self._end_pts = frame.pts + frame.duration
        frame.pict_type = 0  # the encoder decides which frames are key frames
        self._mux(self._stream.encode(frame))

    def finish(self, last: OutputFrame, ranged: bool) -> None:
        """Flush the encoder, copy the rest of the sound (to the last frame's end if `ranged`) and write the index."""
        self._mux(self._stream.encode(None))
        self._mux_last()
        if self._others is not None:
            frame = last.source.frame
            step = frame.duration or round(1 / self._clip.rate / self._clip.time_base)
            self._others.copy_rest((frame.pts + step) * self._clip.time_base if ranged else None)
        self._out.close()

    def close(self) -> None:
        if self._others is not None:
            self._others.close()
        with contextlib.suppress(OSError, ValueError):  # the trailer of a file that is thrown away
            self._out.close()

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._first_times is None:
                self._first_times = packet.pts, packet.dts
            packet.duration = self._durations.pop(packet.pts, 0) or packet.duration  # SVT-AV1 loses it
            self._mux_held()
            self._held = packet

    def _mux_last(self) -> None:
        """QuickTime's table of durations follows decoding order, so the clip's end hangs on the packet decoded last."""
        if self._held is not None and self._first_times is not None and self._by_dts:
            first_pts, first_dts = self._first_times
            left = (self._end_pts - first_pts) - (self._held.dts - first_dts)
            self._held.duration = max(left, self._held.duration)
        self._mux_held()

    def _mux_held(self) -> None:
        if self._held is not None:
            if self._others is not None:
                self._others.copy_until(Fraction(self._held.dts) * self._held.time_base)
            self._out.mux(self._held)
            self._held = None


def _first_pts(clip: ClipInfo) -> int:
    """Where the clip's own first picture lies, in its time base."""
    with open_media(clip.path) as container:
        return first_frame(container, video_stream(container, clip.path), clip.path).pts or 0
