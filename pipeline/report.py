"""What a render did: counts, decisions per frame, speeds, versions; as an object, as JSON and as a page to read."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.flow import Flow
from pipeline.frame_log import FrameLog
from pipeline.telemetry import thread_rates
from stages.types import ClipInfo, FaceSource, OutputFrame

PACKAGES = ("torch", "numpy", "scipy", "av", "opencv-python-headless", "pydantic", "safetensors")


@dataclass(slots=True)
class ShotReport:
    """One shot."""

    number: int
    """Counted from the clip's first; in a range that was rendered without an analysis, from the range's first."""
    first_frame: int
    frames: int = 0
    rendered: int = 0
    """Frames with at least one face rendered."""
    max_faces_seen: int = 0
    track_ids: list[int] = field(default_factory=list)
    """Faces that were rendered."""


@dataclass(slots=True)
class RunReport:
    """Result of a render; `to_json` is what OUTPUT.report.json holds."""

    source: str
    output: str
    frames: int = 0
    rendered: int = 0
    """Frames in which at least one face was rendered; the others passed untouched."""
    seconds: float = 0.0
    model: dict[str, Any] | None = None
    """name, path, sha256, note; None for a task without a network."""
    wplus: str = ""
    """Where the faces' w+ came from: encoder, analysis (as stored there) or replaced (by a latent file or by step II of
    the inversion); empty: not from aligned faces."""
    fingerprint: str = ""
    """Of input, configuration and weights; equal fingerprints give equal outputs."""
    clip: dict[str, Any] = field(default_factory=dict)
    shots: list[ShotReport] = field(default_factory=list)
    decisions: dict[str, list[list[int]]] = field(default_factory=dict)
    """What was done → [first, last] frame ranges; keys: FaceSource, passed, several_faces, partly_outside, corrupt."""
    stages: list[dict[str, Any]] = field(default_factory=list)
    """name, items, busy_s, waited_s, fps of each stage."""
    threads: list[dict[str, Any]] = field(default_factory=list)
    """stages and fps of each thread, as if it never waited."""
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration."""
    per_frame: FrameLog = field(default_factory=FrameLog)
    """A few numbers of every frame and face."""

    @property
    def fps(self) -> float:
        """Frames per second of the whole render, loading excluded."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> str:
        """Everything, as JSON text; `per_frame` last, a column per line."""
        data = {**asdict(self), "fps": self.fps}
        del data["per_frame"]
        head = json.dumps(data, indent=2, default=str).removesuffix("\n}")
        return f'{head},\n  "per_frame": {self.per_frame.to_json()}\n}}\n'

    def to_markdown(self, preview: Path | None) -> str:
        """Everything that a person wants to know, as a page."""
        lines = [f"# {Path(self.output).name}", ""]
        lines += [f"From `{self.source}`: {self.frames} frames in {self.seconds:.1f} s ({self.fps:.2f} frames/s), "]
        lines[-1] += f"faces rendered in {self.rendered}."
        lines += ["", self.model["note"] if self.model else "No network took part.", ""]
        if preview is not None:
            lines += [f"![before and after]({preview.name})", ""]
        if self.warnings:
            lines += ["## Warnings", "", *(f"- {text}" for text in self.warnings), ""]
        lines += ["## What was done to which frames", "", "| decision | frames | ranges |", "| --- | --- | --- |"]
        for name, ranges in self.decisions.items():
            count = sum(last - first + 1 for first, last in ranges)
            lines.append(f"| {name.replace('_', ' ')} | {count} | {_ranges_text(ranges)} |")
        lines += ["", "## Shots", "", "| shot | first frame | frames | rendered | most faces seen | tracks rendered |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        for shot in self.shots:
            ids = ", ".join(map(str, shot.track_ids)) or "none"
            counts = (shot.number, shot.first_frame, shot.frames, shot.rendered, shot.max_faces_seen)
            lines.append(f"| {' | '.join(map(str, counts))} | {ids} |")
        lines += ["", "## Speed", "", "| stage | frames/s on its own | busy s |", "| --- | --- | --- |"]
        lines += [f"| {s['name']} | {s['fps']:.1f} | {s['busy_s']:.2f} |" for s in self.stages]
        lines += ["", "| thread | frames/s if it never waited |", "| --- | --- |"]
        lines += [f"| {t['stages']} | {t['fps']:.2f} |" for t in self.threads]
        lines += ["", "## Made with", "", *(f"- {name} {version}" for name, version in self.versions.items())]
        if self.model:
            lines += [f"- model {self.model['name']}, sha256 `{self.model['sha256']}`"]
        lines += ["", "```json", json.dumps(self.config, indent=2, default=str), "```", ""]
        return "\n".join(lines)


class Recorder:
    """Fills a RunReport while the frames go by; keeps ranges, never frames."""

    def __init__(self, report: RunReport) -> None:
        self._report = report

    def add(self, item: OutputFrame) -> None:
        """Count one finished frame."""
        report, seen = self._report, item.source
        index = seen.frame.index
        report.per_frame.add(item)
        report.frames += 1
        report.rendered += item.touched
        if not report.shots or report.shots[-1].number != seen.shot:
            report.shots.append(ShotReport(seen.shot, first_frame=index))
        shot = report.shots[-1]
        shot.frames += 1
        shot.rendered += item.touched
        shot.max_faces_seen = max(shot.max_faces_seen, seen.num_seen)
        for face in seen.faces:
            if face.track_id not in shot.track_ids:
                shot.track_ids.append(face.track_id)
            self._note(face.source.value, index)
            if face.outside > 0:
                self._note("partly_outside", index)
        if not seen.faces:
            self._note("passed", index)
        if seen.num_seen > 1:
            self._note("several_faces", index)
        if seen.frame.corrupt:
            self._note("corrupt", index)

    def _note(self, decision: str, index: int) -> None:
        ranges = self._report.decisions.setdefault(decision, [])
        if ranges and ranges[-1][1] >= index - 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])

    def finish(self, flow: Flow, seconds: float) -> None:
        """Add the speeds and put the decisions into a fixed order."""
        report = self._report
        report.seconds = seconds
        report.stages = [
            {"name": m.name, "items": m.items, "busy_s": m.busy_s, "waited_s": m.waited_s, "fps": m.fps}
            for m in flow.stages()
        ]
        report.threads = [{"stages": names, "fps": fps} for names, fps in thread_rates(flow.meters)]
        order = [*FaceSource, "passed", "several_faces", "partly_outside", "corrupt"]
        report.decisions = {str(name): report.decisions[name] for name in order if name in report.decisions}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def clip_facts(clip: ClipInfo) -> dict[str, Any]:
    """What the report says of the source."""
    width, height = clip.upright_size
    return {
        "kind": clip.kind,
        "width": width,
        "height": height,
        "rotation": clip.rotation,
        "rate": str(clip.rate),
        "time_base": str(clip.time_base),
        "codec": clip.codec,
        "pix_fmt": clip.layout.pix_fmt,
        "color": asdict(clip.color),
        "color_guessed": clip.color_guessed,
        "has_audio": clip.has_audio,
    }


def _ranges_text(ranges: Sequence[Sequence[int]], most: int = 12) -> str:
    texts = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:most]]
    return ", ".join(texts) + (f" and {len(ranges) - most} more ranges" if len(ranges) > most else "")
