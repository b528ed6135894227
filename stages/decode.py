"""Packets → pictures in display order, each with an exact integer time, whatever the file leaves out or has lost."""

import heapq
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from stages.errors import MediaError
from stages.media_probe import reason
from stages.seek import Entry, packets_from
from stages.types import ClipInfo

log = logging.getLogger(__name__)

DAMAGED = "copy the file again, or set read.on_corrupt to repeat (lost frames repeat the one before) or skip"


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of the clip."""

    frame: av.VideoFrame | None
    """None: the packet of this moment could not be decoded."""
    pts: int | None
    """In the stream's time base; None when the file does not say."""
    duration: int
    """0 when the file does not say."""
    corrupt: bool
    name: str = ""
    """File name of an image."""


def pictures(
    container: InputContainer, stream: VideoStream, clip: ClipInfo, strict: bool, entry: Entry | None = None
) -> Iterator[Picture]:
    """Decode the stream to its end, in display order.

    Lost pictures are found by their packets' times: once the decoder has complained, a time that a packet announced and
    no picture came for is a lost one. (Without a complaint it is a picture that is not meant to be shown.)

    Args:
        strict: damage is a MediaError; else lost pictures come as `frame=None` and a cut file ends where it is cut.
        entry: key frame to begin with; None: the start, without seeking.
    """
    announced: list[int] = []
    complaints: list[str] = []
    shown = entry.frames if entry else 0

    def complain(text: str) -> None:
        if strict:
            raise MediaError(f"{clip.path}: damaged at frame {shown} or shortly after: {text}", DAMAGED)
        complaints.append(text)

    def due(until: int | None) -> Iterator[Picture]:
        while announced and (until is None or announced[0] < until):
            pts = heapq.heappop(announced)
            if complaints:
                yield Picture(None, pts, 0, True)
        if announced and announced[0] == until:
            heapq.heappop(announced)

    packets, ended_early = entry.packets if entry else 0, False
    for packet, error in _demux(packets_from(container, stream, entry) if entry else container.demux(stream)):
        if error is not None:
            complain(reason(error))
            ended_early = True
        if packet is not None and packet.size:
            packets += 1
            if packet.pts is not None and not packet.is_discard:
                heapq.heappush(announced, packet.pts)
        try:
            frames = stream.decode(packet if packet is not None and packet.size else None)
        except FFmpegError as problem:
            complain(reason(problem))
            continue
        for frame in frames:
            if entry and (frame.pts is None or frame.pts < entry.pts):
                continue
            if frame.is_corrupt and shown:  # the first ones may lean on pictures before the file's start
                complain("a picture is damaged")
            if frame.pts is not None:
                yield from due(frame.pts)
            yield Picture(frame, frame.pts, frame.duration or 0, frame.is_corrupt)
            shown += 1
    if shown:
        yield from due(None)
    missing = _missing(container, stream, packets, ended_early)
    if missing:
        what = f"{clip.path}: the file is cut short: {shown} frames can be read, {missing}"
        if strict:
            raise MediaError(what, "copy the file again, or set read.on_corrupt to repeat to render what is there")
        log.warning("%s", what)
    if complaints:
        log.warning("%s: damaged: the decoder complained %d times (%s)", clip.path, len(complaints), complaints[0])


def _demux(source: Iterator[Any]) -> Iterator[tuple[Any, FFmpegError | None]]:
    """Packets, ending with one that flushes the decoder, whether the file ends well or in an error."""
    try:
        for packet in source:
            if packet.size:
                yield packet, None
    except FFmpegError as error:
        yield None, error
    else:
        yield None, None


def _missing(container: InputContainer, stream: VideoStream, packets: int, ended_early: bool) -> str:
    """What the container promised and did not hold, in words; empty when all is there."""
    promised = len(stream.index_entries) if "mp4" in container.format.name else 0
    if "avi" in container.format.name:
        promised = stream.frames
    if promised > packets:
        return f"{promised} are promised"
    if "matroska" in container.format.name and container.duration and container.duration > 0:
        whole = Fraction(container.duration, 1_000_000)
        reached = _end_of_packets(container)
        if reached is not None and reached < whole - Fraction(1, 2):
            return f"the last at {float(reached):.2f} s of {float(whole):.2f} s"
    return "the rest is damaged" if ended_early else ""


def _end_of_packets(container: InputContainer) -> Fraction | None:
    """End of the last packet of any stream, in seconds, from the file's last ten seconds."""
    try:
        container.seek(max(0, (container.duration or 0) - 10_000_000))
        ends = [
            (packet.pts + (packet.duration or 0)) * packet.time_base
            for packet in container.demux()
            if packet.size and packet.pts is not None
        ]
    except FFmpegError:
        return None
    return max(ends, default=None)
