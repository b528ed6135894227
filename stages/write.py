"""write: finished frames → a file that appears under its name when it is whole, with the source's times and sound."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from av.container import OutputContainer
from pydantic import Field

from stages.avframe import frame_of_planes
from stages.base import Section
from stages.encoding import Wish, add_video, choose
from stages.errors import MediaError
from stages.image_write import image_encoding, write_folder, write_image
from stages.layout import ColorTags, PlaneLayout
from stages.media_probe import first_frame, open_media, video_stream
from stages.output import CONTAINERS, disk_errors, partial_file
from stages.types import ClipInfo, OutputFrame
from stages.video_file import Beside, VideoFile

log = logging.getLogger(__name__)


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
    picture_only: bool = False
    """Leave out sound, subtitles, chapters and metadata: parts of a clip are written so."""
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
                file = _Encoded(part, first, self._clip, self._config)
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


class _Encoded:
    """The encoder, and the file that its packets go to."""

    def __init__(self, path: Path, first: OutputFrame, clip: ClipInfo, config: WriteConfig) -> None:
        height, width = first.planes[0].shape
        self._encoding = choose(clip, config.wish(), path.suffix, width, height)
        if (self._encoding.layout, self._encoding.color) != (first.layout, first.color):
            raise ValueError(f"frames are {first.layout.pix_fmt} {first.color}, the encoder takes {self._encoding}")
        log.info("%s: %s %s", clip.path.name, self._encoding.codec, self._encoding.pix_fmt)
        self._clip, self._durations, self._end_pts = clip, {}, 0
        self._first: list[Any] | None = []
        first_pts, aspect = _opening(clip)
        frame = first.source.frame
        ranged = frame.index > 0
        self._shift = frame.pts - first_pts if ranged and config.timestamps == "zero" else 0

        def add_picture(container: OutputContainer) -> Any:
            stream = add_video(container, self._encoding, width, height, clip.rate, clip.time_base)
            if first.rotation:
                stream.set_display_rotation(first.rotation)
            if aspect and first.rotation == clip.rotation:
                stream.codec_context.sample_aspect_ratio = aspect
            return stream

        kinds = frozenset(name for name, on in (("audio", config.audio), ("subtitle", config.subtitles)) if on)
        begin = frame.pts * clip.time_base if ranged else None
        beside = None if config.picture_only else Beside(kinds, begin, self._shift * clip.time_base)
        self._file = VideoFile(path, clip, add_picture, beside)
        if self._file.dropped_timecode:
            log.warning("%s: the time code is left out, because only a part of the clip is rendered", clip.path)

    def write(self, item: OutputFrame) -> None:
        frame = frame_of_planes(item.planes, item.layout, item.color, self._encoding.pix_fmt)
        frame.pts, frame.time_base = item.pts - self._shift, self._clip.time_base
        frame.duration = self._durations[frame.pts] = item.source.frame.duration
        self._end_pts = frame.pts + frame.duration
        frame.pict_type = 0  # the encoder decides which frames are key frames
        self._mux(self._file.stream.encode(frame))

    def finish(self, last: OutputFrame, ranged: bool) -> None:
        """Flush the encoder, copy the rest of the sound (to the last frame's end if `ranged`) and write the index."""
        self._mux(self._file.stream.encode(None))
        for packet in self._first or ():
            packet.dts = packet.pts
        self._file.mux(self._first or ())
        frame = last.source.frame
        step = frame.duration or round(1 / self._clip.rate / self._clip.time_base)
        self._file.finish(self._end_pts, (frame.pts + step) * self._clip.time_base if ranged else None)

    def close(self) -> None:
        self._file.close()

    def _mux(self, packets: list[Any]) -> None:
        """Hold the first two packets until there is a third: x265 leaves the decoding times of fewer undefined."""
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0) or packet.duration  # SVT-AV1 loses it
        if self._first is not None:
            packets = self._first + packets
            self._first = packets if len(packets) < 3 else None
        if self._first is None:
            self._file.mux(packets)


def _opening(clip: ClipInfo) -> tuple[int, Fraction | None]:
    """Where the clip's own first picture lies, in its time base; and the shape of its pixels."""
    if clip.kind != "video":
        return 0, None
    with open_media(clip.path) as container:
        picture = video_stream(container, clip.path)
        return first_frame(container, picture, clip.path).pts or 0, picture.sample_aspect_ratio
