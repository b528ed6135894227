"""replay: an analysis takes the place of shots and track; settle and style go over its numbers again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from dataclasses import replace

from stages.analysis import Analysis, Pin
from stages.codes import Codes, CodeSource
from stages.read import Read, ReadConfig
from stages.settle import Settle
from stages.style import Style, StyleConfig
from stages.track import TrackConfig
from stages.types import ClipInfo, Face, FaceFrame, Frame, StyledFrame

log = logging.getLogger(__name__)


class Replay:
    """Frame → StyledFrame.

    The numbers of all frames from the first go through `settle` and `style`, so a range of frames gets what it would
    get in the whole clip.

    Args:
        read: which frames are wanted.
        encoder: gives the w+, because those of the analysis are another network's; None: they are taken as stored.
    """

    name = "replay"
    lookahead = 0

    def __init__(
        self,
        analysis: Analysis,
        track: TrackConfig,
        style: StyleConfig,
        clip: ClipInfo,
        read: ReadConfig,
        encoder: CodeSource | None = None,
    ) -> None:
        self._analysis = analysis
        self._track = track
        self._style = style
        self._clip = clip
        self._read = read
        self._encoder = encoder

    def stream(self, items: Generator[Frame, None, None]) -> Generator[StyledFrame, None, None]:
        """Give each wanted picture its faces and their w+.

        Args:
            items: the wanted frames; with an `encoder` all frames of the clip, which looks at some of the others too.

        Raises:
            AnalysisError: the frames are not those of the analysed clip.
        """
        codes = _Codes(self._analysis, self._track, self._clip, self._read, self._encoder)
        styled = self._stored(items, codes) if self._encoder is None else self._anew(items, codes)
        end = 0
        with contextlib.closing(styled):
            for item in styled:
                yield item
                end = item.face_frame.frame.index + 1
        for pin in self._analysis.table.pin:
            if pin.frame < end and pin not in codes.used:
                where = f"{self._analysis.folder}: pin: track {pin.track}, frame {pin.frame}"
                log.warning("%s: not used with style.latents: %s", where, self._style.latents)

    def _stored(self, items: Generator[Frame, None, None], codes: _Codes) -> Generator[StyledFrame, None, None]:
        plan = self._plan(self._analysis.bare(self._clip), codes)
        with contextlib.closing(items), contextlib.closing(plan):
            for frame in items:
                self._analysis.check(frame)
                planned = next(styled for styled in plan if styled.face_frame.frame.index == frame.index)
                yield StyledFrame(replace(planned.face_frame, frame=frame), planned.styles)

    def _anew(self, items: Generator[Frame, None, None], codes: _Codes) -> Generator[StyledFrame, None, None]:
        plan = self._plan(items, codes)
        with contextlib.closing(items), contextlib.closing(plan):
            for styled in plan:
                index = styled.face_frame.frame.index
                if self._read.end is not None and index >= self._read.end:
                    return
                if index >= self._read.start:
                    yield styled

    def _plan(self, frames: Generator[Frame, None, None], codes: _Codes) -> Generator[StyledFrame, None, None]:
        return Style(self._style, codes).stream(Settle(self._track).stream(self._analysis.tracked(frames)))


class _Codes:
    """Where `Style` gets w+ from; notes which pins it asked for."""

    def __init__(
        self, analysis: Analysis, track: TrackConfig, clip: ClipInfo, read: ReadConfig, encoder: CodeSource | None
    ) -> None:
        self.used: set[Pin] = set()
        self._analysis = analysis
        self._track = track.model_copy(update={"face": "all", "no_face": "pass"})
        self._clip = clip
        self._read = read
        self._encoder = encoder

    def wplus(self, item: FaceFrame, face: Face) -> Codes:
        """See `CodeSource`."""
        if self._encoder is not None:
            return self._encoder.wplus(item, face)
        return self._analysis.wplus(item.frame.index, face.track_id)

    def pinned(self, shot: int, track_id: int) -> Codes | None:
        """See `CodeSource`."""
        pin = self._analysis.pins.get((shot, track_id))
        if pin is None:
            return None
        self.used.add(pin)
        if self._encoder is None:
            return self._analysis.wplus(pin.frame, track_id)
        return self._encoder.wplus(*self._seen(pin))

    def _seen(self, pin: Pin) -> tuple[FaceFrame, Face]:
        """The pinned frame with its picture, and the face in it."""
        read = self._read.model_copy(update={"start": pin.frame, "end": pin.frame + 1})
        with contextlib.closing(Read(read, self._clip, self._analysis.pts(pin.frame)).stream()) as frames:
            frame = next(frames)
        settled = Settle(self._track).stream(self._analysis.tracked(self._analysis.bare(self._clip)))
        with contextlib.closing(settled):
            item = next(item for item in settled if item.frame.index == pin.frame)
        return replace(item, frame=frame), next(face for face in item.faces if face.track_id == pin.track)
