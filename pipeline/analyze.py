"""analyze: pass 1 alone. Faces, shots and every frame's own w+ go into a folder that later renders read."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from models.digest import encoder_sha256
from models.latent_file import LatentWriter
from pipeline.config import RunConfig, settle
from pipeline.errors import ConfigError
from pipeline.fingerprint import source_sha256
from pipeline.flow import Flow
from pipeline.progress import with_progress
from pipeline.resources import Loader, Rendering
from pipeline.wire import wire_faces
from stages.analysis import (
    FILES,
    NUMBERS,
    Analysis,
    AnalysisTable,
    MadeBy,
    MadeFrom,
    is_analysis,
    latent_frame,
    latent_info,
)
from stages.codes import EncoderCodes
from stages.errors import AnalysisError
from stages.media_probe import probe
from stages.output import check_writable, disk_errors

log = logging.getLogger(__name__)
EVERY_FACE = {"face": "all", "no_face": "pass"}
"""What an analysis has in place of the settings of `track` that a render may choose anew."""


def analyze(
    source: str | Path,
    output: str | Path | None = None,
    *,
    config: RunConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
    loader: Loader | None = None,
    progress: bool = False,
) -> Path:
    """Analyse a clip into a folder; returns the folder.

    Args:
        source: as for `render`; always the whole clip.
        output: folder, new or empty; None: ``output/{stem}.analysis``. With `write.overwrite` an older analysis in it
            is replaced, and nothing else there is touched.
        config, overrides, loader, progress: as for `render`. The model decides the w+, `track` and `shots` the rest;
            every face is kept, so that a render may choose (`track.face`).

    Raises:
        UserError: as `render`; or the task's w+ does not come from aligned faces. Nothing is left behind.
    """
    settings = settle(config, None, overrides)
    source = Path(source)
    target = Path(output) if output else Path("output") / f"{source.stem}.analysis"
    check_target(target, settings.write.overwrite)
    whole = {"read": settings.read.model_copy(update={"start": 0, "end": None})}
    settings = settings.model_copy(update=whole | {"track": settings.track.model_copy(update=EVERY_FACE)})
    clip = probe(source, Fraction(settings.read.sequence_rate))
    rendering = (loader or Loader()).load(settings)
    if rendering is None or rendering.recipe.style != "aligned":
        raise ConfigError(
            f"task {settings.task.kind}: there is nothing to analyse: its w+ does not come from aligned faces",
            "render it in one go",
        )
    codes = EncoderCodes(rendering.model.net, rendering.recipe.content, settings.crop.eye_distance_px)
    table = AnalysisTable(
        source=MadeFrom(name=source.name, sha256=source_sha256(source)),
        model=MadeBy(name=rendering.model.name, encoder_sha256=encoder_sha256(rendering.model.net)),
        settings=decisive_settings(settings, rendering),
        cuts=[],
        seen=[],
    )
    cuts: list[int] = []
    seen: list[int] = []
    flow = Flow({"settle": settings.buffers.crop})
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target if target.exists() else target.parent))
    try:
        with (
            LatentWriter(part / NUMBERS, latent_info(table, clip)) as writer,
            contextlib.closing(wire_faces(settings, clip, rendering, flow)) as frames,
        ):
            for item in with_progress(frames, clip, settings.read, progress):
                if item.shot > len(cuts):
                    cuts.append(item.frame.index)
                seen.append(item.num_seen)
                writer.write(latent_frame(item, codes))
        table.model_copy(update={"cuts": cuts, "seen": seen}).save(part)
        with disk_errors(target):
            target.mkdir(exist_ok=True)
            for name in FILES:
                os.replace(part / name, target / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("%s: %d frames, %d shots", target, len(seen), len(cuts) + 1)
    return target


def check_target(target: Path, overwrite: bool) -> None:
    """See that an analysis can go there, before any work.

    Raises:
        ConfigError: something else lies there, or an analysis that may not be replaced.
        MediaError: it cannot be written.
    """
    if target.is_dir() and any(target.iterdir()):
        if not is_analysis(target):
            raise ConfigError(f"{target}: there is a folder of this name that is no analysis", "give another name")
        if not overwrite:
            raise ConfigError(f"{target}: there is an analysis under this name", "give another name, or --overwrite")
    elif target.exists() and not target.is_dir():
        raise ConfigError(f"{target}: there is a file of this name", "give the name of a folder")
    check_writable(target / NUMBERS)


def decisive_settings(config: RunConfig, rendering: Rendering) -> dict[str, Any]:
    """What the numbers of an analysis depend on, besides the clip and the encoder."""
    track = config.track.model_dump(mode="json", exclude=set(EVERY_FACE))
    content = {"content": repr(rendering.recipe.content), "eye_distance_px": config.crop.eye_distance_px}
    return {"track": track, **content, "precision": config.precision}


def open_analysis(folder: Path, source: Path, config: RunConfig, rendering: Rendering) -> Rendering:
    """The rendering with an analysis of this clip. Its w+ are computed anew where another encoder made them.

    Raises:
        AnalysisError: these settings would not find the same faces; the message names what differs.
        ConfigError: the task takes no w+ from faces.
    """
    analysis = Analysis(folder)
    table = analysis.table
    if table.source.sha256 != source_sha256(source):
        raise AnalysisError(
            f"{folder}: made from another file ({table.source.name})", "analyse this clip, or render that one"
        )
    if rendering.recipe.style != "aligned":
        raise ConfigError(
            f"analysis: task {config.task.kind} has no use for one: its w+ does not come from aligned faces",
            "render it in one go",
        )
    now, then = decisive_settings(config, rendering), table.settings
    differences = [difference(name, then.get(name), now[name]) for name in now if now[name] != then.get(name)]
    other_encoder = table.model.encoder_sha256 != encoder_sha256(rendering.model.net)
    if differences and not (other_encoder and now["track"] == then.get("track")):
        raise AnalysisError(
            f"{folder}: made with other settings: {differences[0]}",
            "render with the settings of the analysis, or analyse again",
        )
    return replace(rendering, analysis=analysis, encode=other_encoder)


def difference(name: str, then: Any, now: Any) -> str:
    """The first setting in which two mappings differ, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        key = next(key for key in {**now, **then} if then.get(key) != now.get(key))
        return difference(f"{name}.{key}", then.get(key), now.get(key))
    return f"{name} was {then}, is {now}"
