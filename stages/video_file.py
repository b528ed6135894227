"""A video file being written: picture packets, whoever made them, among everything that the source has beside them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from stages.encoding import trial_container
from stages.media_probe import video_stream
from stages.output import CONTAINERS
from stages.remux import Remux, lasting
from stages.types import ClipInfo

MAX_TIMESCALE = 100_000_000


@dataclass(frozen=True, slots=True)
class Beside:
    """What of the source goes beside the picture. Chapters and time code go with the whole clip only."""

    kinds: frozenset[str]
    """Of "audio", "subtitle"."""
    begin: Fraction | None = None
    """Seconds at which a range begins; None: the clip from its start."""
    shift: Fraction = Fraction(0)
    """Seconds to subtract from every time."""


class VideoFile:
    """Packets in decoding order → a file. `finish` completes it; `close` frees it in any case.

    Args:
        path: its suffix decides the container.
        clip: the source.
        add_picture: adds the picture's stream to a container, ready for the header.
        beside: what is copied from the source; None: the file holds the picture alone.

    Attributes:
        stream: what `add_picture` returned.
        dropped_timecode: True when the source has a time code that a range cannot carry.
    """

    def __init__(
        self, path: Path, clip: ClipInfo, add_picture: Callable[[OutputContainer], Any], beside: Beside | None
    ) -> None:
        self._clip = clip
        self._others: Remux | None = None
        self._held: Any = None
        self._first_times: tuple[int, int] | None = None
        self._by_dts = CONTAINERS[path.suffix.lower()] in ("mp4", "mov")
        self.dropped_timecode = False
        self._out: OutputContainer = av.open(str(path), "w", format=CONTAINERS[path.suffix.lower()])
        try:
            self.stream = add_picture(self._out)
            if beside is not None and clip.kind == "video":
                self._carry_over(path.suffix, add_picture, beside)
            if self._by_dts:
                self._out.container_options["movie_timescale"] = str(self._movie_timescale())
            self._out.start_encoding()
        except BaseException:
            self.close()
            raise

    def _carry_over(self, suffix: str, add_picture: Callable[[OutputContainer], Any], beside: Beside) -> None:
        clip = self._clip

        def trial() -> OutputContainer:
            container = trial_container(suffix)
            add_picture(container)
            return container

        self._others = Remux(clip.path, self._out, trial, beside.kinds, beside.begin, beside.shift)
        source = self._others.source
        self._out.metadata.update(lasting(source.metadata))
        tags = lasting(video_stream(source, clip.path).metadata)
        whole = beside.begin is None
        if not whole:
            self.dropped_timecode = tags.pop("timecode", None) is not None
        self.stream.metadata.update(tags)
        if whole:
            self._out.set_chapters(source.chapters())

    def _movie_timescale(self) -> int:
        """Ticks per second in which QuickTime files state where streams start: fine enough for each to be exact."""
        picture = self._clip.time_base.denominator
        bases = [stream.time_base for stream in self._out.streams if stream.type == "audio"]
        scale = math.lcm(picture, *(base.denominator for base in bases if base is not None))
        return scale if scale <= MAX_TIMESCALE else picture

    def mux(self, packets: Iterable[Any]) -> None:
        """Write picture packets, one late, and the sound that is due before each."""
        for packet in packets:
            if self._first_times is None:
                self._first_times = packet.pts, packet.dts
            self._mux_held()
            self._held = packet

    def finish(self, end_pts: int, end: Fraction | None) -> None:
        """Write what is left, and the index.

        Args:
            end_pts: end of the picture, in the packets' time base.
            end: seconds in the source at which a range ends, and its sound; None: all of it.
        """
        if self._held is not None and self._first_times is not None and self._by_dts:
            # QuickTime's table of durations follows decoding order: the clip's end hangs on the packet decoded last.
            first_pts, first_dts = self._first_times
            left = (end_pts - first_pts) - (self._held.dts - first_dts)
            self._held.duration = max(left, self._held.duration)
        self._mux_held()
        if self._others is not None:
            self._others.copy_rest(end)
        self._out.close()

    def close(self) -> None:
        """Free everything, whether it is finished or not."""
        if self._others is not None:
            self._others.close()
        with contextlib.suppress(OSError, ValueError):  # the trailer of a file that is thrown away
            self._out.close()

    def _mux_held(self) -> None:
        if self._held is not None:
            if self._others is not None:
                self._others.copy_until(Fraction(self._held.dts) * self._held.time_base)
            self._out.mux(self._held)
            self._held = None
