"""Parts of a clip, rendered one by one from an analysis, on one machine or many; and their joining.

FOLDER/STEM.START-END.SUFFIX               frames START to END − 1: the picture alone
FOLDER/STEM.START-END.SUFFIX.shard.json    what it is; written last, so that a part with one is whole
"""

from __future__ import annotations

import hashlib
import json
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

from models.lockfile import read_sha256
from pipeline.config import RunConfig
from pipeline.errors import ConfigError, ShardError
from pipeline.fingerprint import IRRELEVANT, fingerprint, report_path, source_sha256
from pipeline.manifest import ENDING, Manifest, check_together, is_finished, read_manifests
from pipeline.merge import merge_reports
from pipeline.report import versions
from pipeline.resources import Loader, choose_device, weights_sha256
from pipeline.run import render
from stages.analysis import Analysis
from stages.concat import Part, join
from stages.media_probe import probe
from stages.output import CONTAINERS, check_output, default_suffix
from stages.read import Read
from stages.verify import verify

log = logging.getLogger(__name__)


def render_shard(
    source: str | Path,
    folder: str | Path,
    *,
    config: RunConfig,
    output: str | Path | None = None,
    resume: bool = False,
    loader: Loader | None = None,
    progress: bool = False,
) -> Path:
    """Render frames `read.start` to `read.end` of an analysed clip into a part; returns the part.

    Args:
        source: a video.
        folder: where parts go; made when it is missing. Several programs may write there at once.
        config: with `analysis`. An end behind the clip's is the clip's.
        output: name of the file that the parts are for; only its suffix counts. None: as for `render`.
        resume: leave a finished part alone that was made from what it would be made from now.

    Raises:
        UserError: as `render`; no analysis, or an output that is no video.
    """
    source, folder = Path(source), Path(folder)
    if config.analysis is None:
        raise ConfigError(
            "--shard-dir: parts need an analysis, or they would not fit together",
            f"run `python run_pipeline.py analyze {source}` first, then add --analysis FOLDER",
        )
    suffix = (Path(output).suffix if output else default_suffix(source)).lower()
    if suffix not in CONTAINERS:
        raise ConfigError(
            f"--shard-dir: {output or source}: folders of images need no shards",
            "render each range with -o into a folder of its own: images are named by frame, whatever the range",
        )
    if config.latents.save is not None:
        raise ConfigError("--shard-dir: latents are not saved part by part", "the analysis holds them all")
    analysis = Analysis(config.analysis)
    start, end = config.read.start, min(config.read.end or len(analysis), len(analysis))
    if start >= end:
        raise ConfigError(f"--start {start}: the clip has {len(analysis)} frames", f"start below {len(analysis)}")
    settings, made_with, made_from = _made_from(source, config)
    path = folder / f"{source.stem}.{start:07d}-{end:07d}{suffix}"
    if resume and is_finished(folder, path.name, made_from):
        log.info("%s: finished and unchanged", path)
        return path
    overrides = {
        "read.end": end,
        "write.picture_only": True,
        "write.overwrite": config.write.overwrite or resume or not (folder / (path.name + ENDING)).exists(),
        "report.preview_frames": 0,
        "report.verify": False,
    }
    report = render(source, path, config=config, overrides=overrides, loader=loader, progress=progress)
    pts = [int(time) for time in report.per_frame.frames["pts"]]
    following = analysis.pts(end)
    Manifest(
        part=path.name,
        source=str(source.resolve()),
        source_sha256=source_sha256(source),
        fingerprint=made_from,
        start=start,
        end=end,
        total=len(analysis),
        time_base=report.clip["time_base"],
        pts=pts,
        end_pts=_last_end(source, config, end, pts[-1]) if following is None else following,
        suffix=suffix,
        sha256=read_sha256(path),
        settings=settings,
        made_with=made_with,
    ).save(folder)
    return path


def concat(
    folder: str | Path,
    output: str | Path,
    *,
    source: str | Path | None = None,
    overwrite: bool = False,
    check: bool = False,
) -> list[str]:
    """Join the parts in a folder: pictures by stream copy, all else from the source; with a report of the whole.

    Returns what `check` found wrong, in sentences.

    Args:
        source: where the clip lies now; None: where it lay when the parts were rendered.
        check: have ffprobe compare `output` with the source.

    Raises:
        UserError: parts are missing (they are named), overlap, are damaged, belong to different renders or another
            source; or `output` cannot be written. Nothing is left behind.
    """
    folder, output = Path(folder), Path(output)
    if output.suffix.lower() not in CONTAINERS:
        raise ConfigError(f"{output}: parts are joined into a video", f"use one of {' '.join(CONTAINERS)}")
    manifests = read_manifests(folder)
    clip_path = Path(source) if source is not None else Path(manifests[0].source)
    if not clip_path.is_file():
        raise ShardError(f"{clip_path}: the source of {folder} is not there", "give it with --source")
    check_output(clip_path, output, overwrite)
    check_together(folder, manifests)
    if source_sha256(clip_path) != manifests[0].source_sha256:
        raise ShardError(
            f"{clip_path}: not the clip that the parts in {folder} were rendered from", "give it with --source"
        )
    parts = [Part(folder / manifest.part, tuple(manifest.pts)) for manifest in manifests]
    write = manifests[0].settings["write"]
    kinds = frozenset(kind for kind, key in (("audio", "audio"), ("subtitle", "subtitles")) if write[key])
    clip = probe(clip_path)
    if str(clip.time_base) != manifests[0].time_base:
        raise ShardError(
            f"{clip_path}: its time base reads {clip.time_base}, and {manifests[0].time_base} for the parts",
            "join with the version of PyAV that rendered them",
        )
    join(parts, manifests[-1].end_pts, clip, output, kinds)
    log.info("%s: %d parts, %d frames", output, len(parts), manifests[-1].end)
    problems = verify(clip_path, output) if check else []
    for problem in problems:
        log.warning("%s: %s", output, problem)
    report = merge_reports([part.path for part in parts], clip_path, output)
    if report is not None:
        report.fingerprint = manifests[0].fingerprint
        report.warnings += problems
        report_path(output).write_text(report.to_json(), encoding="utf-8")
        output.with_name(f"{output.name}.report.md").write_text(report.to_markdown(None), encoding="utf-8")
    return problems


def _made_from(source: Path, config: RunConfig) -> tuple[dict[str, Any], dict[str, str], str]:
    """Settings; device and versions; the digest of these and of all files: what decides the picture of any range."""
    read = config.read.model_copy(update={"start": 0, "end": None})
    config = config.model_copy(update={"read": read})
    settings = config.model_dump(mode="json", exclude=IRRELEVANT)
    made_with = {name: version for name, version in versions().items() if name != "python"}
    made_with["device"] = choose_device(config.device).partition(":")[0]
    digest = hashlib.sha256(fingerprint(source, config, weights_sha256(config)).encode())
    digest.update(json.dumps(made_with, sort_keys=True).encode())
    return settings, made_with, digest.hexdigest()


def _last_end(source: Path, config: RunConfig, total: int, pts: int) -> int:
    """Where the clip's last frame ends, by the file."""
    read = config.read.model_copy(update={"start": total - 1, "end": None})
    clip = probe(source, Fraction(read.sequence_rate))
    return pts + next(iter(Read(read, clip, pts).stream())).duration
