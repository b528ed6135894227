"""Where to begin decoding so that frame N of a clip comes out as if everything before it had been decoded.

The packets before N are read and not decoded, which takes no longer than reading the file does. Their times say exactly
which frame number each one has and which key frame to begin at; a container's own index says neither for open groups of
pictures, variable rates or MPEG transport streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Entry:
    """A key frame that decoding can begin with."""

    pts: int
    """In the stream's time base. Pictures before this time may lean on earlier ones and are not to be shown."""
    dts: int
    """What containers without an index look for."""
    position: int | None
    """Of its packet, in bytes from the start of the file: with the time, its identity."""
    packets: int
    """Packets before it."""
    frames: int
    """Frames shown before it."""


def find_entry(container: InputContainer, stream: VideoStream, index: int, pts: int) -> Entry | None:
    """The last key frame that is shown no later than frame number `index`, whose time is `pts`.

    None where that cannot be told: packets without times, damage before the frame, or a number of pictures before `pts`
    that is not `index` (two at one time, times that jump back, pictures that are never shown).
    """
    before: list[int] = []
    key: Any = None
    key_number = 0
    found = False
    try:
        for number, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            if packet.pts is None or packet.is_corrupt:
                return None
            if packet.dts is not None and packet.dts > pts:
                break  # whatever follows is shown later still
            if packet.is_keyframe and not packet.is_discard and packet.pts <= pts:
                key, key_number = packet, number
            if packet.pts < pts and not packet.is_discard:
                before.append(packet.pts)
            found = found or packet.pts == pts
    except FFmpegError:
        return None
    if key is None or not found or len(before) != index or len(set(before)) != index:
        return None
    frames = sum(time < key.pts for time in before)
    return Entry(key.pts, key.pts if key.dts is None else key.dts, key.pos, key_number, frames)


def packets_from(container: InputContainer, stream: VideoStream, entry: Entry) -> Iterator[Any]:
    """The packets from `entry` on; none where the container cannot find it again."""
    container.seek(entry.dts, stream=stream)
    begun = False
    for packet in container.demux(stream):
        begun = begun or (packet.is_keyframe and packet.pts == entry.pts and packet.pos == entry.position)
        if begun:
            yield packet
