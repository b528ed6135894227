"""Run one render: open, wire, drive, report, close."""

from __future__ import annotations

import contextlib
import logging
import operator
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.allocator import settle_allocator
from models.errors import UserError
from models.latent_file import load_latents
from pipeline.analyze import open_analysis
from pipeline.config import ReportConfig, RunConfig, settle
from pipeline.errors import ConfigError
from pipeline.fingerprint import fingerprint, report_path
from pipeline.flow import Flow
from pipeline.progress import with_progress
from pipeline.report import Recorder, RunReport, clip_facts, versions
from pipeline.resources import Loader, Rendering, fit_config
from pipeline.wire import finished_size, wire, wire_to_file
from stages.layout import MATRIX_RGB, RANGE_FULL
from stages.media_probe import probe
from stages.output import check_output, default_suffix
from stages.pixels import ColorTags, PlaneLayout
from stages.preview import Kept, before_after_sheet, sample_frames, spread
from stages.types import ClipInfo
from stages.verify import verify
from stages.write import choose_encoding

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamedFrame:
    """A finished frame, as `stream` gives it."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB, upright."""
    pts: int
    time_base: Fraction
    index: int
    """Frame number in the source."""
    touched: bool
    """False: no face was rendered here; the picture is the source's."""


def render(
    source: str | Path,
    output: str | Path | None = None,
    *,
    task: str | Mapping[str, Any] | None = None,
    config: RunConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
    loader: Loader | None = None,
    progress: bool = False,
) -> RunReport:
    """Render a clip into a file, with a report beside it.

    Args:
        source: a video, an image, a folder of images or a pattern such as ``shot.%04d.png``.
        output: file or, for image sequences, folder; None: ``output/{stem}_{task}{suffix}``.
        task: ``"toonify"`` or a mapping such as ``{"kind": "toonify", "style": "arcane"}``; overrides the config's.
        config: from `load_config`; None: the defaults.
        overrides: dotted setting → value, laid over `config`.
        loader: keeps the models between calls; None: they are loaded for this call.
        progress: show a progress bar on a terminal, or a log line every ten seconds elsewhere.

    Raises:
        UserError: the source, the output, the configuration or the weights are not usable. Nothing is left behind.
    """
    settings = settle(config, task, overrides)
    source = Path(source)
    target = Path(output) if output else default_output(source, settings)
    check_output(source, target, overwrite=settings.write.overwrite)
    settings.latents.check_save(overwrite=settings.write.overwrite)
    clip = probe(source, Fraction(settings.read.sequence_rate))
    rendering = _load(loader, settings, source)
    made_from = fingerprint(source, settings, rendering.model.sha256 if rendering else "")
    settings = fit_config(settings, rendering)
    report = RunReport(str(source), str(target), versions=versions(), config=settings.model_dump(mode="json"))
    report.clip, report.fingerprint = clip_facts(clip), made_from
    if rendering is not None:
        model = rendering.model
        report.model = {"name": model.name, "path": str(model.path), "sha256": model.sha256, "note": model.note}
        report.wplus = wplus_origin(settings, rendering)
    with _collect_warnings(report.warnings):
        kept = _drive(settings, clip, rendering, target, report, progress)
        if settings.report.verify:
            whole = settings.read.start == 0 and settings.read.end is None
            report.warnings += verify(source, target, whole)
    if settings.report.enabled:
        _write_report(report, source, target, settings.report, kept)
    return report


def stream(
    source: str | Path,
    *,
    task: str | Mapping[str, Any] | None = None,
    config: RunConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
    loader: Loader | None = None,
) -> Generator[StreamedFrame, None, None]:
    """Yield finished frames as they are done, without writing a file. Arguments as for `render`.

    Leaving the loop early stops every thread and closes the source.
    """
    settings = settle(config, task, overrides)
    source = Path(source)
    clip = probe(source, Fraction(settings.read.sequence_rate))
    rendering = _load(loader, settings, source)
    settings = fit_config(settings, rendering)
    layout = PlaneLayout.named("gbrp" if clip.layout.bits == 8 else "gbrp16le")
    color = ColorTags(MATRIX_RGB, RANGE_FULL, clip.color.primaries, clip.color.transfer)
    flow = _flow(settings)
    with contextlib.closing(wire(settings, clip, rendering, flow, (layout, color))) as frames:
        for item in frames:
            yield StreamedFrame(item.rgb8(), item.pts, clip.time_base, item.source.frame.index, item.touched)


def default_output(source: Path, config: RunConfig) -> Path:
    """``output/{stem}_{task}{suffix}``; the suffix is the source's where it can be written."""
    return Path("output") / f"{source.stem}_{config.task.kind}{default_suffix(source)}"


def _load(loader: Loader | None, config: RunConfig, source: Path) -> Rendering | None:
    check_filter(config)
    settle_allocator()  # also where nothing is rendered: frames are large blocks too
    rendering = (loader or Loader()).load(config)
    if rendering is not None and config.latents.source is not None:
        with load_latents(config.latents.source, rendering.model.net.config):
            pass  # it can be read and fits the model: known before any work is done
    if rendering is None or config.analysis is None:
        return rendering
    return open_analysis(config.analysis, source, config, rendering)


def wplus_origin(config: RunConfig, rendering: Rendering) -> str:
    """See `RunReport.wplus`."""
    if rendering.recipe.style != "aligned":
        return ""
    if config.latents.source is not None or rendering.recipe.optimize is not None:
        return "replaced"
    return "encoder" if rendering.analysis is None or rendering.encode else "analysis"


def check_filter(config: RunConfig) -> None:
    """Raise ConfigError where w+ would depend on where the range begins, or on frames that an analysis stands for."""
    causal = config.style.latents == "smooth" and config.style.filter == "one_euro"
    if causal and (config.read.start or config.analysis is not None):
        raise ConfigError(
            "style.filter: one_euro is causal, for live previews; it is not used with an analysis, in parts or from a "
            "later frame on",
            "use gaussian or savgol, or begin at frame 0",
        )


def _flow(config: RunConfig) -> Flow:
    return Flow(config.buffers.model_dump(), partial(operator.add, config.read.start))


def _drive(
    config: RunConfig, clip: ClipInfo, rendering: Rendering | None, target: Path, report: RunReport, progress: bool
) -> Kept:
    """Render into the file; returns the pictures for the report."""
    width, height = finished_size(config, clip, rendering)
    planes = choose_encoding(clip, config.write, target.suffix, width, height)
    flow = _flow(config)
    recorder, kept = Recorder(report), Kept(_for_preview(config, clip))
    started = time.perf_counter()
    with contextlib.closing(wire_to_file(config, clip, rendering, flow, planes, target)) as written:
        for item in with_progress(written, clip, config.read, progress):
            recorder.add(item)
            kept.add(item)
    recorder.finish(flow, time.perf_counter() - started)
    if rendering is not None and not report.rendered:
        log.warning("%s: no face was found in any frame; the output is the source", clip.path)
    return kept


def _for_preview(config: RunConfig, clip: ClipInfo) -> list[int]:
    """Frames to keep; none where they are not known beforehand, or are cut to squares on the way."""
    if not config.report.enabled or clip.num_frames is None or config.crop.frame == "aligned":
        return []
    end = clip.num_frames if config.read.end is None else min(config.read.end, clip.num_frames)
    return spread(config.read.start, end, config.report.preview_frames)


@contextlib.contextmanager
def _collect_warnings(into: list[str]) -> Iterator[None]:
    """Put every warning that the project logs meanwhile into the report as well."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.split(".")[0] in ("models", "stages", "pipeline"):
                text = record.getMessage()
                if text not in into:
                    into.append(text)

    handler = Collector(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _write_report(report: RunReport, source: Path, target: Path, config: ReportConfig, kept: Kept) -> None:
    preview, count = None, config.preview_frames
    if count:
        preview = target.with_name(f"{target.name}.preview.png")
        before, after = kept.before, kept.after
        if not before:
            before, after = sample_frames(source, count, report.config["read"]), sample_frames(target, count)
        before_after_sheet(before, after, preview)
    report_path(target).write_text(report.to_json(), encoding="utf-8")
    target.with_name(f"{target.name}.report.md").write_text(report.to_markdown(preview), encoding="utf-8")
    if config.qc:
        from pipeline.qc import write_page

        try:
            write_page(source, target)
        except UserError as error:  # the output is finished and right
            log.warning("%s: no QC page: %s; %s", target, error.what, error.remedy)
