"""Takes pairs of frames one after another and fills the series of every shot and region. Keeps three pairs at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.faces import FaceDetector
from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.flow import Brought, FlowEstimator, Motion, Trio, bring, excess, pops, residual
from pipeline.metrics.landmarks import FacePair, Faces, jitter
from pipeline.metrics.matte import Matte
from pipeline.metrics.pairs import Pair, Picture, resized
from pipeline.metrics.series import Series
from pipeline.metrics.temporal import LEVELS, changes, still_difference, wobbles
from pipeline.metrics.timing import Likeness, gains

Mask = NDArray[np.bool_]
SMALLEST = 0.005
"""Share of the frame below which a region is too small to be measured."""


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    pair: Pair
    source: Picture
    result: Picture
    mask: Mask
    small: tuple[Picture, Picture]
    """(source, result) at the size of the flow."""
    face: FacePair | None


@dataclass(frozen=True, slots=True, eq=False)
class _Move:
    """Between two held pairs."""

    motion: Motion
    source: Brought
    result: Brought


@dataclass(slots=True)
class Measured:
    """Everything that was counted while the pairs went by."""

    shots: list[int] = field(default_factory=list)
    """First input frame number of each shot."""
    series: list[Series] = field(default_factory=list)
    frames: int = 0
    """Input frames seen."""
    missing: list[int] = field(default_factory=list)
    """Input frames without an output frame."""
    extra: list[int] = field(default_factory=list)
    """Output frames, by their own number, without an input frame."""
    repeated: int = 0
    """Pairs whose input frames are the same."""
    faces: int = 0
    """Frames with a face in the input."""
    toon_faces: int = 0
    """Of these, frames with a face in the output."""

    def of(self, shot: int, region: str) -> Series:
        """The series of this shot and region, made when it is new."""
        for series in reversed(self.series):
            if series.shot == shot and series.region == region:
                return series
        self.series.append(Series(shot, region))
        return self.series[-1]


class Meter:
    """Measures pairs in order.

    Args:
        size: (width, height) of the pairs' pictures.
        pixel_size: input pixels per pixel of the pairs' pictures.
        detector: for the landmarks; None: they are not measured.
    """

    def __init__(
        self,
        config: FlickerConfig,
        matte: Matte,
        size: tuple[int, int],
        pixel_size: float = 1.0,
        detector: FaceDetector | None = None,
    ) -> None:
        self.measured = Measured()
        self._flow = FlowEstimator(config.flow_side)
        self._flow_size = self._flow.size(*size)
        self._pixel = pixel_size * size[0] / self._flow_size[0]
        self._matte = matte
        self._faces = Faces(detector) if detector is not None else None
        self._reach = config.timing.reach
        self._likeness = Likeness(self._reach)
        self._held: deque[_Held] = deque(maxlen=3)
        self._moves: deque[_Move] = deque(maxlen=2)
        self._shot = -1

    def add(self, pair: Pair) -> FacePair | None:
        """Measure one pair against the ones before it; returns the face that was found in it."""
        measured = self.measured
        if pair.source is None:
            measured.extra.append(pair.index)
            return None
        measured.frames += 1
        if pair.shot != self._shot:
            self._end_shot()
            self._shot = pair.shot
            measured.shots.append(pair.index)
        if self._reach:
            self._put_scores(self._likeness.push(pair.index, pair.source, pair.result))
        if pair.result is None:
            measured.missing.append(pair.index)
            self._held.clear()
            return None
        if pair.apart:
            self._held.clear()
        self._held.append(self._hold(pair, pair.source, pair.result))
        if len(self._held) >= 2:
            self._measure_pair(*list(self._held)[-2:])
        if len(self._held) == 3:
            self._measure_triple(*self._held)
        return self._held[-1].face

    def finish(self) -> Measured:
        """End the last shot."""
        self._end_shot()
        return self.measured

    def _end_shot(self) -> None:
        self._put_scores(self._likeness.finish())
        self._likeness = Likeness(self._reach)
        self._held.clear()
        if self._faces is not None:
            self._faces.reset()

    def _put_scores(self, scores: Iterable[tuple[int, dict[int, float]]]) -> None:
        series = self.measured.of(self._shot, "frame") if self._shot >= 0 else None
        for frame, likeness in scores:
            assert series is not None
            steps = gains(likeness)
            series.put(frame, **{f"lag{step:+d}": gain for step, gain in steps.items()})

    def _hold(self, pair: Pair, source: Picture, result: Picture) -> _Held:
        face = self._faces(pair) if self._faces is not None else None
        self.measured.faces += face is not None
        self.measured.toon_faces += face is not None and face.result is not None
        small = resized(source, self._flow_size), resized(result, self._flow_size)
        return _Held(pair, source, result, self._matte(pair), small, face)

    def _regions(self, *held: _Held) -> dict[str, Mask]:
        inside = np.logical_or.reduce([item.mask for item in held])
        regions = {"inside": inside, "outside": ~inside}
        return {name: mask for name, mask in regions.items() if mask.mean() >= SMALLEST}

    def _measure_pair(self, a: _Held, b: _Held) -> None:
        regions, frame = self._regions(a, b), b.pair.index
        for region, values in changes((a.source, b.source), (a.result, b.result), regions).items():
            self._put(region, frame, values)
        if b.pair.repeated:
            self.measured.repeated += 1
            for region, values in still_difference((a.result, b.result), regions).items():
                self._put(region, frame, values)
        motion = self._flow(a.small[0], b.small[0])
        move = _Move(motion, bring(a.small[0], b.small[0], motion), bring(a.small[1], b.small[1], motion))
        self._moves.append(move)
        for name, mask in regions.items():
            seen = motion.visible & self._small(mask)
            source = residual(a.small[0], move.source.later, seen)
            result = residual(a.small[1], move.result.later, seen)
            if source is None or result is None:
                continue
            shift, offset = excess(source, result)
            values = {"input_warp": source.error, "output_warp": result.error}
            values |= {"shake": shift * self._pixel, "color_offset": offset * LEVELS}
            self._put(name, frame, values)

    def _measure_triple(self, a: _Held, b: _Held, c: _Held) -> None:
        frame = b.pair.index
        regions = self._regions(a, b, c)
        found = wobbles((a.source, b.source, c.source), (a.result, b.result, c.result), regions)
        for region, values in found.items():
            self._put(region, frame, values)
        before, after = self._moves
        for name, mask in regions.items():
            seen = before.motion.visible_back & after.motion.visible & self._small(mask)
            source = Trio(before.source.earlier, b.small[0], after.source.later)
            result = Trio(before.result.earlier, b.small[1], after.result.later)
            values = pops(source, result, seen)
            if values is not None:
                self._put(name, frame, {column: value * LEVELS for column, value in values.items()})
        if a.face is None or b.face is None or c.face is None:
            return
        series = self.measured.of(self._shot, "frame")
        series.put(frame, input_jitter=jitter(a.face.source, b.face.source, c.face.source, b.face.eye_distance))
        if a.face.result is not None and b.face.result is not None and c.face.result is not None:
            wobble = jitter(a.face.result, b.face.result, c.face.result, b.face.eye_distance)
            series.put(frame, output_jitter=wobble)

    def _small(self, mask: Mask) -> Mask:
        return cv2.resize(mask.astype(np.uint8), self._flow_size, interpolation=cv2.INTER_NEAREST) > 0

    def _put(self, region: str, frame: int, values: dict[str, float]) -> None:
        self.measured.of(self._shot, region).put(frame, **values)
