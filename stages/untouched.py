"""untouched: the short path of a task that renders nothing; it takes the place of track to synthesize."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from stages.types import FaceFrame, RenderedFrame, ShotFrame


class Untouched:
    """ShotFrame → RenderedFrame without pictures, so that every frame passes as it came."""

    name = "untouched"
    lookahead = 0

    def stream(self, items: Generator[ShotFrame, None, None]) -> Generator[RenderedFrame, None, None]:
        """Wrap every frame; look for nothing."""
        with contextlib.closing(items):
            for item in items:
                yield RenderedFrame(FaceFrame(item.frame, item.shot, (), 0), (), ())
