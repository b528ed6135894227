"""Compare two clips: open, measure pair by pair, judge."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.blazeface import BlazeFaceDetector
from models.errors import CheckpointError
from models.faces import FaceDetector
from pipeline.errors import ConfigError
from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.judge import judge
from pipeline.metrics.learned import Learned
from pipeline.metrics.matte import Matte, WholeFrame, opened
from pipeline.metrics.meter import Meter
from pipeline.metrics.pairs import Pair, PairReader
from pipeline.metrics.report import FlickerReport
from pipeline.metrics.told import read_told
from pipeline.metrics.verdict import Verdict
from stages.read import ReadConfig
from stages.shots import ShotsConfig

LOSSLESS = frozenset(
    {"ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "tiff", "bmp", "exr", "v210", "qtrle"}
)
"""Codecs that keep every sample."""


def measure(
    source: str | Path,
    result: str | Path,
    config: FlickerConfig | None = None,
    *,
    matte: Matte | str | Path = "auto",
    start: int | None = None,
    end: int | None = None,
) -> FlickerReport:
    """Measure the flicker that OUTPUT has and INPUT has not.

    Args:
        source, result: video, image sequence or image, before and after the render.
        matte: where the render took place: a matte clip (its first frame belongs to `start`), `full` for everywhere,
            `auto` for where the pictures differ (`Difference`).
        start, end: range of the input that was rendered, the last one excluded; None: by the render's report beside the
            output, else all. The report tells, too, where shots begin and where other faces were drawn than before.

    Returns:
        Verdicts per metric, shot and region; `passed` is False when one is past its limit.

    Raises:
        UserError: a clip cannot be read; there is no such range.
    """
    settings, began = config or FlickerConfig(), time.perf_counter()
    told = read_told(Path(result))
    first = told.start if start is None else start
    last = told.end if end is None else end
    if first < 0 or (last is not None and last <= first):
        raise ConfigError(
            f"frames {first} to {last} of {source}: no such range", "give a start of 0 or more, and an end above it"
        )
    read = ReadConfig(start=first, end=last)
    shots = ShotsConfig(cuts=told.cuts) if told.cuts else ShotsConfig()
    reader = PairReader.open(source, result, read, shots, settings.max_side, told.changes)
    detector, excuse = _detector()
    pixel = reader.source.upright_size[0] / reader.size[0]
    report = FlickerReport(str(source), str(result), config=settings.model_dump(mode="json"))
    learned = Learned(settings)
    with opened(matte, first) as mask, contextlib.closing(reader.stream()) as pairs:
        report.matte = mask.name
        meter = Meter(settings, mask, reader.size, pixel, detector)
        for pair in pairs:
            learned.add(pair, meter.add(pair))
    _fill(report, meter, settings, reader.result.codec in LOSSLESS, excuse)
    report.verdicts += learned.verdicts()
    report.seconds = time.perf_counter() - began
    return report


def measure_arrays(
    source: Iterable[NDArray[Any]],
    result: Iterable[NDArray[Any]],
    config: FlickerConfig | None = None,
    *,
    cuts: Sequence[int] = (),
    matte: Matte | None = None,
    detector: FaceDetector | None = None,
) -> FlickerReport:
    """`measure` for pictures in memory, as tests have them.

    Args:
        source, result: pictures [H, W, 3] of the same size, uint8, or float in [0, 1].
        cuts: frame numbers at which a shot begins.
        matte: None: everything is inside.
        detector: for the landmarks; None: they are not measured.
    """
    settings, began = config or FlickerConfig(), time.perf_counter()
    meter: Meter | None = None
    for pair in _pairs(source, result, cuts):
        assert pair.source is not None
        if meter is None:
            height, width = pair.source.shape[:2]
            meter = Meter(settings, matte or WholeFrame(), (width, height), 1.0, detector)
        meter.add(pair)
    if meter is None:
        raise ValueError("no picture to compare")
    report = FlickerReport("input", "output", config=settings.model_dump(mode="json"))
    report.matte = (matte or WholeFrame()).name
    _fill(report, meter, settings, True, "no detector was given" if detector is None else "")
    report.seconds = time.perf_counter() - began
    return report


def _pairs(source: Iterable[NDArray[Any]], result: Iterable[NDArray[Any]], cuts: Sequence[int]) -> Iterator[Pair]:
    before: NDArray[Any] | None = None
    for index, (x, y) in enumerate(zip(source, result, strict=True)):
        if x.shape != y.shape:
            raise ValueError(f"frame {index}: pictures of {x.shape} and {y.shape}")
        repeated = before is not None and np.array_equal(before, x)
        yield Pair(index, sum(index >= cut for cut in cuts), _unit(x), _unit(y), repeated)
        before = x


def _unit(picture: NDArray[Any]) -> NDArray[np.float32]:
    scale = np.float32(1 / 255) if picture.dtype == np.uint8 else np.float32(1)
    return np.clip(picture.astype(np.float32) * scale, 0, 1)


def _fill(report: FlickerReport, meter: Meter, config: FlickerConfig, lossless: bool, excuse: str) -> None:
    measured = meter.finish()
    report.frames, report.shots, report.series = measured.frames, measured.shots, measured.series
    report.verdicts = judge(measured, config, lossless)
    seen = {verdict.metric for verdict in report.verdicts}
    if "static" not in seen:
        report.verdicts.append(Verdict("static", "not measured", note="the input repeats no frame"))
    if "landmark_jitter" not in seen:
        if not excuse:
            excuse = "no face in the input"
            if measured.faces:
                excuse = f"a face was found in {measured.toon_faces} of {measured.faces} output frames"
        report.verdicts.append(Verdict("landmark_jitter", "not measured", note=excuse))


def _detector() -> tuple[FaceDetector | None, str]:
    try:
        return BlazeFaceDetector(), ""
    except CheckpointError as error:
        return None, error.what
