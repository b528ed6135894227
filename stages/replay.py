"""replay: an analysis takes the place of shots, track, settle and style; only the pictures are read again."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import replace

from stages.analysis import Analysis
from stages.errors import AnalysisError
from stages.settle import Settle
from stages.style import Style, StyleConfig
from stages.track import TrackConfig
from stages.types import ClipInfo, Frame, StyledFrame


class Replay:
    """Frame → StyledFrame.

    The numbers of all frames from the first go through `settle` and `style`, so a range of frames gets what it would
    get in the whole clip.
    """

    name = "replay"
    lookahead = 0

    def __init__(self, analysis: Analysis, track: TrackConfig, style: StyleConfig, clip: ClipInfo) -> None:
        self._analysis = analysis
        self._track = track
        self._style = style
        self._clip = clip

    def stream(self, items: Generator[Frame, None, None]) -> Generator[StyledFrame, None, None]:
        """Give each picture its faces and their w+.

        Raises:
            AnalysisError: the frames are not those of the analysed clip.
        """
        faces = Settle(self._track).stream(self._analysis.tracked(self._clip))
        plan = Style(self._style, self._analysis).stream(faces)
        with contextlib.closing(items), contextlib.closing(plan):
            for frame in items:
                planned = next((styled for styled in plan if styled.face_frame.frame.index == frame.index), None)
                if planned is None or planned.face_frame.frame.pts != frame.pts:
                    raise AnalysisError(
                        f"{self._analysis.folder}: frame {frame.index} is not as it was when the clip was analysed",
                        "run `python run_pipeline.py analyze` again",
                    )
                yield StyledFrame(replace(planned.face_frame, frame=frame), planned.styles)
