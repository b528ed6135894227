"""Join the parts of a clip by stream copy: packets as they were encoded, times of the source, the sound once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.container import OutputContainer
from av.error import FFmpegError

from stages.errors import MediaError
from stages.media_probe import open_media, probe, reason, video_stream
from stages.output import CONTAINERS, disk_errors, partial_file
from stages.types import ClipInfo
from stages.video_file import Beside, VideoFile

_AGAIN = "render this part again (--overwrite)"


@dataclass(frozen=True, slots=True)
class Part:
    """A file that holds the pictures of consecutive frames, and nothing else."""

    path: Path
    pts: tuple[int, ...]
    """Of its frames, in display order, in the clip's time base."""


def join(parts: Sequence[Part], end_pts: int, clip: ClipInfo, output: Path, kinds: frozenset[str]) -> None:
    """Write `output`: what a render of the whole clip would have written, where the codec's pictures stand alone.

    Every picture gets its time in the source, whatever the part's container made of it. Decoding times follow the rule
    of the encoders themselves: with a reordering depth of d pictures, packet n is decoded at the time of picture n − d
    in display order; the first d are as far before the first picture as picture d is behind it.

    Args:
        parts: in display order, without a gap; each begins with a key frame that nothing before it leans on.
        end_pts: end of the last frame; equal to its start where the source does not say.
        clip: the source: sound, subtitles, chapters, metadata and time code come from it.
        kinds: which of "audio", "subtitle" to copy.

    Raises:
        MediaError: a part is damaged or was encoded in another way; the container does not take the codec; the disk.
    """
    orders = [_order(part) for part in parts]
    depth = max(order.depth for order in orders)
    for part, order in zip(parts, orders, strict=True):
        if (order.codec, order.extradata) != (orders[0].codec, orders[0].extradata):
            raise MediaError(
                f"{part.path}: encoded otherwise than {parts[0].path.name}: its codec header differs",
                "render all parts with the same versions of this program and of PyAV",
            )
    rotation = probe(parts[0].path).rotation
    times = [pts for part in parts for pts in part.pts]
    times.append(max(end_pts, times[-1]))
    with (
        open_media(parts[0].path) as first,
        partial_file(output) as unfinished,
        contextlib.ExitStack() as cleanup,
    ):
        template: Any = video_stream(first, parts[0].path)

        def add_picture(container: OutputContainer) -> Any:
            stream: Any = container.add_stream_from_template(template, opaque=True)
            context, tag = stream.codec_context, template.codec_context.codec_tag
            stream.time_base, context.framerate = clip.time_base, clip.rate
            if rotation:
                stream.set_display_rotation(rotation)
            if template.sample_aspect_ratio:
                context.sample_aspect_ratio = template.sample_aspect_ratio
            if orders[0].codec == "prores" or _family(parts[0].path) == _family(output):
                context.codec_tag = tag  # ProRes profiles differ in nothing else
            elif orders[0].codec == "hevc" and _family(output) == "mov":
                context.codec_tag = "hvc1"
            return stream

        with disk_errors(output):
            try:
                file = VideoFile(unfinished, clip, add_picture, Beside(kinds))
            except (FFmpegError, ValueError) as error:
                raise MediaError(
                    f"{output}: {orders[0].codec} cannot be stored in a {output.suffix} file: {reason(error)}",
                    f"give an output in {parts[0].path.suffix}, as the parts are, or in .mkv",
                ) from error
            cleanup.callback(file.close)
            file.mux(_retimed(parts, orders, times, min(depth, len(times) - 2), clip, file.stream))
            file.finish(times[-1], None)


@dataclass(frozen=True, slots=True)
class _Order:
    codec: str
    extradata: bytes
    ranks: tuple[int, ...]
    """Of each packet, in decoding order: the number of its picture in display order."""
    depth: int
    """By how many pictures decoding runs ahead of showing."""


def _order(part: Part) -> _Order:
    """Read a part's packets once.

    Raises:
        MediaError: it cannot be read, or does not hold the frames that it should.
    """
    times: list[int] = []
    ahead = 0
    for packet in _packets(part.path):
        if packet.pts is None or packet.is_corrupt or (not times and not packet.is_keyframe):
            raise MediaError(f"{part.path}: damaged: packet {len(times)} has no time or no key frame", _AGAIN)
        times.append(packet.pts)
        codec, first = packet.stream.codec_context, times[0]
        ahead += packet.dts is not None and packet.dts < first and len(times) == ahead + 1
    if len(times) != len(part.pts) or len(set(times)) != len(times):
        raise MediaError(f"{part.path}: damaged: it holds {len(times)} pictures instead of {len(part.pts)}", _AGAIN)
    rank_of = {time: rank for rank, time in enumerate(sorted(times))}
    ranks = tuple(rank_of[time] for time in times)
    depth = max(ahead, max(number - rank for number, rank in enumerate(ranks)))
    return _Order(codec.name, bytes(codec.extradata or b""), ranks, depth)


def _retimed(
    parts: Sequence[Part], orders: Sequence[_Order], times: Sequence[int], depth: int, clip: ClipInfo, stream: Any
) -> Iterator[Any]:
    number = offset = 0
    for part, order in zip(parts, orders, strict=True):
        for packet, rank in zip(_packets(part.path), order.ranks, strict=True):
            shown = offset + rank
            kept = round((packet.duration or 0) * packet.time_base / clip.time_base)
            packet.time_base, packet.pts = clip.time_base, times[shown]
            early = number < depth
            packet.dts = times[number] - (times[depth] - times[0]) if early else times[number - depth]
            packet.duration = times[shown + 1] - times[shown] or kept
            packet.stream = stream
            number += 1
            yield packet
        offset += len(order.ranks)


def _packets(path: Path) -> Iterator[Any]:
    with open_media(path) as container:
        try:
            for packet in container.demux(video_stream(container, path)):
                if packet.size:
                    yield packet
        except FFmpegError as error:
            raise MediaError(f"{path}: damaged: {reason(error)}", _AGAIN) from error


def _family(path: Path) -> str:
    return CONTAINERS[path.suffix.lower()].replace("mp4", "mov")
