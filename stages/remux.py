"""Sound, subtitles and whatever else lies beside the picture, copied packet for packet while the picture is written."""

import logging
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition

from stages.media_probe import open_media, reason, video_stream

log = logging.getLogger(__name__)

STALE = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "vendor_id", "DURATION", "rotate"})
"""Metadata that describes the source file itself and not its content."""
_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_")


HIDDEN = Fraction(-1, 10)
"""Seconds. QuickTime files may hold sound from before the clip, which no player plays. Where the output cannot hide it,
it is dropped, but for the codec's own run-in, which is shorter than this."""


def lasting(metadata: dict[str, str]) -> dict[str, str]:
    """The part of a metadata dictionary that is true of the copy as well."""
    return {k: v for k, v in metadata.items() if k not in STALE and not k.startswith(_STATISTICS)}


class Remux:
    """The non-picture streams of `source`, on their way into `out`.

    Packets keep their payload and their time; a range moves or drops whole packets: a packet is copied when it begins
    inside the range. A stream that the container refuses is left out with a warning. Memory: one packet.

    Args:
        source: file to copy from; it is opened a second time.
        out: container with its picture stream added, before its header is written.
        trial: makes a throw-away container of the same kind with the same picture stream.
        kinds: which of "audio", "subtitle" to copy.
        start: seconds; earlier packets are dropped. None: all are kept.
        shift: seconds to subtract from every time.
    """

    def __init__(
        self,
        source: Path,
        out: OutputContainer,
        trial: Callable[[], OutputContainer],
        kinds: frozenset[str],
        start: Fraction | None = None,
        shift: Fraction = Fraction(0),
    ) -> None:
        self._out, self._start, self._shift, self._refused = out, start, shift, 0
        self._path = source
        self._has_edit_lists = out.format.name in ("mp4", "mov")
        self.source: InputContainer = open_media(source)
        try:
            kept = self._kept(trial, kinds)
            self._targets = {stream.index: _add(out, stream) for stream in kept}
            for stream in self.source.streams:
                if stream.index not in self._targets:
                    stream.discard = Discard.all
            self._packets = self._read(kept)
            self._next = next(self._packets, None)
        except BaseException:
            self.source.close()
            raise

    def copy_until(self, time: Fraction) -> None:
        """Copy what is due before the picture of this time (seconds, in the output's times) is written."""
        while self._next is not None and _due(self._next) - self._shift <= time:
            self._copy(self._next)
            self._next = next(self._packets, None)

    def copy_rest(self, end: Fraction | None) -> None:
        """Copy to the end of the file, or of the range: packets that begin before `end` (seconds, source times)."""
        while self._next is not None:
            if end is None or _begin(self._next) < end:
                self._copy(self._next)
            elif _due(self._next) > end + 10:  # whatever is interleaved has been seen by now
                break
            self._next = next(self._packets, None)
        if self._refused:
            log.warning("%s: %d packets of sound or subtitles could not be copied", self._path, self._refused)

    def close(self) -> None:
        self.source.close()

    def _kept(self, trial: Callable[[], OutputContainer], kinds: frozenset[str]) -> list[Any]:
        wanted: list[Any] = []
        picture = video_stream(self.source, self._path)
        for stream in cast(Iterable[Any], self.source.streams):
            if stream.type in ("audio", "subtitle"):
                if stream.type in kinds:
                    wanted.append(stream)
            elif _is_cover(stream):
                wanted.append(stream)
            elif stream.type == "attachment" and self._out.format.name == "matroska":
                self._out.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data or b"")
            elif stream.index != picture.index and not _rewritten(stream):
                log.warning("%s: %s is not copied", self._path, _describe(stream))
        if not _trial_error(trial, wanted):
            return wanted
        kept: list[Any] = []
        for stream in wanted:
            error = _trial_error(trial, [*kept, stream])
            if error:
                text = "%s: %s cannot be stored in this kind of file (%s) and is LEFT OUT; .mov or .mkv may take it"
                log.warning(text, self._path, _describe(stream), error)
            else:
                kept.append(stream)
        return kept

    def _read(self, kept: list[Any]) -> Iterator[Any]:
        if not kept:
            return
        try:
            for packet in self.source.demux(*kept):
                timed = packet.pts is not None or packet.dts is not None
                if packet.size and (timed or _is_cover(packet.stream)) and not _is_end_mark(packet):
                    yield packet
        except FFmpegError as error:
            log.warning("%s: sound and subtitles end early: %s", self._path, reason(error))

    def _copy(self, packet: Any) -> None:
        cover = _is_cover(packet.stream)  # has no time of its own
        if self._start is not None and _begin(packet) < self._start and not cover:
            return
        if packet.is_discard and _begin(packet) < HIDDEN and not self._has_edit_lists:
            return
        if self._shift and not cover:
            ticks = round(self._shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        packet.stream = self._targets[packet.stream.index]
        try:
            self._out.mux(packet)
        except ValueError:  # a packet that makes no sense in the new container; anything of the disk's is no ValueError
            self._refused += 1


def _add(out: OutputContainer, stream: Any) -> Any:
    copy: Any = out.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(lasting(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _trial_error(trial: Callable[[], OutputContainer], streams: list[Any]) -> str:
    try:
        with trial() as container:
            for stream in streams:
                _add(container, stream)
            container.start_encoding()
    except (FFmpegError, ValueError) as error:
        return reason(error)
    return ""


def _rewritten(stream: Any) -> bool:
    """True for data streams whose content the output gets in another way: time code, QuickTime chapter titles."""
    return stream.type == "data" and ("timecode" in stream.metadata or stream.name in ("bin_data", None))


def _is_cover(stream: Any) -> bool:
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def _is_end_mark(packet: Any) -> bool:
    """True for the empty text that ends a QuickTime subtitle track; the muxer makes its own."""
    codec = packet.stream.codec_context
    return packet.size == 2 and not packet.duration and codec is not None and codec.name == "mov_text"


def _describe(stream: Any) -> str:
    name = getattr(stream.codec_context, "name", None) or stream.name or "unknown"
    language = f", {stream.language}" if stream.language else ""
    return f"stream {stream.index} ({stream.type}, {name}{language})"


def _due(packet: Any) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base


def _begin(packet: Any) -> Fraction:
    ticks = packet.pts if packet.pts is not None else packet.dts
    return (ticks or 0) * packet.time_base
