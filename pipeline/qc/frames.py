"""The strip of the page: frames of input and output, side by side, small, and bounded in bytes."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from pipeline.metrics.pairs import PairReader, Picture
from stages.read import ReadConfig
from stages.shots import ShotsConfig

LOOKS = ((1.0, 80), (0.75, 70), (0.5, 60))
"""(share of the longer side, quality of the WebP pictures): the later ones are tried before frames are left out."""


@dataclass(frozen=True, slots=True)
class StripFrame:
    """One frame, before and after."""

    index: int
    """Number of the input frame."""
    before: str
    """data: URI of a WebP picture."""
    after: str | None
    """None: the output has no frame at this time."""

    @property
    def size(self) -> int:
        """Characters in the page."""
        return len(self.before) + len(self.after or "")


@dataclass(slots=True)
class Strip:
    """Takes frames in order and keeps every 1st, 2nd, 4th … of them, whatever the limit allows.

    The clip's length need not be known: when the limit is passed, every second frame is dropped and the step doubles.
    """

    budget: int
    """Characters kept at the regular step."""
    wanted: Collection[int] = ()
    """Frames that are kept in any case, besides."""
    step: int = 1
    frames: list[StripFrame] = field(default_factory=list)
    width: int = 0
    height: int = 0
    _first: int | None = None

    def wants(self, index: int) -> bool:
        """Whether this frame will be kept for now."""
        if self._first is None:
            self._first = index
        return self._is_regular(index) or index in self.wanted

    def add(self, frame: StripFrame) -> None:
        """Keep a frame that `wants` has asked for."""
        self.frames.append(frame)
        regular = [kept for kept in self.frames if self._is_regular(kept.index)]
        while len(regular) > 1 and sum(f.size for f in regular) > self.budget:
            self.step *= 2
            regular = [kept for kept in regular if self._is_regular(kept.index)]
            self.frames = [kept for kept in self.frames if self.wants(kept.index)]

    def _is_regular(self, index: int) -> bool:
        return (index - (self._first or 0)) % self.step == 0


def read_strip(
    source: Path,
    result: Path,
    read: ReadConfig,
    *,
    side: int,
    budget: int,
    wanted: Collection[int] = (),
) -> Strip:
    """Read both clips in lockstep and keep a strip of them: every frame, in the best of `LOOKS` that the budget allows.

    Where not even the last one allows it, frames are left out.

    Args:
        read: range of the input that was rendered.
        side: longer side of the pictures, in pixels, at most.
        budget: see `Strip`; `wanted` frames come on top.

    Raises:
        MediaError: a clip cannot be read.
    """
    *better, last = LOOKS
    for look in better:
        strip = _strip(source, result, read, side, Strip(budget, wanted), look, thin=False)
        if strip.step == 1:
            return strip
    return _strip(source, result, read, side, Strip(budget, wanted), last, thin=True)


def _strip(
    source: Path, result: Path, read: ReadConfig, side: int, strip: Strip, look: tuple[float, int], *, thin: bool
) -> Strip:
    """Fill the strip; without `thin`, only until it has to leave frames out."""
    share, quality = look
    reader = PairReader.open(source, result, read, ShotsConfig(enabled=False), max(round(side * share), 1))
    strip.width, strip.height = reader.size
    with contextlib.closing(reader.stream()) as pairs:
        for pair in pairs:
            if pair.source is not None and strip.wants(pair.index):
                after = data_uri(pair.result, quality) if pair.result is not None else None
                strip.add(StripFrame(pair.index, data_uri(pair.source, quality), after))
            if strip.step > 1 and not thin:
                break
    return strip


def data_uri(picture: Picture, quality: int) -> str:
    """A picture [H, W, 3] R'G'B' in [0, 1] as the address of a WebP picture that holds itself."""
    levels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    done, data = cv2.imencode(".webp", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of {picture.shape}")
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")
