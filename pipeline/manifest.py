"""What a part of a render is, as a file beside it; and whether several parts make one clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from models.lockfile import read_sha256
from pipeline.analyze import difference
from pipeline.errors import ShardError
from stages.base import Section
from stages.output import partial_file

VERSION = 1
ENDING = ".shard.json"


class Manifest(Section):
    """STEM.START-END.SUFFIX.shard.json."""

    format: Literal["styleganex-shard"] = "styleganex-shard"
    version: int = VERSION
    part: str
    """Name of the part's file."""
    source: str
    """The clip, as it was found on the machine that rendered this part."""
    source_sha256: str
    fingerprint: str
    """Of everything that decides the picture but the range: equal in all parts of one render."""
    start: int
    end: int
    """First frame that is not in it."""
    total: int
    """Frames of the clip."""
    time_base: str
    pts: list[int]
    """Of every frame, in the clip's time base."""
    end_pts: int
    """End of the last frame."""
    suffix: str
    sha256: str
    """Of the part."""
    settings: dict[str, Any]
    """The configuration."""
    made_with: dict[str, str]
    """Kind of device, and versions of the packages that decide the result."""

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all; `pts` on one line."""
        head = self.model_dump_json(indent=1, exclude={"pts"}).removesuffix("\n}")
        with partial_file(folder / (self.part + ENDING)) as unfinished:
            unfinished.write_text(f'{head},\n "pts": {json.dumps(self.pts)}\n}}\n', encoding="utf-8")


def read_manifests(folder: Path) -> list[Manifest]:
    """Those of a folder, in the order of their frames.

    Raises:
        ShardError: there is none, or one is damaged or of a later version.
    """
    paths = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else []
    if not paths:
        raise ShardError(f"{folder}: holds no finished part", "give the folder that --shard-dir named")
    manifests = []
    for path in paths:
        manifest = _read(path)
        if manifest is None or len(manifest.pts) != manifest.end - manifest.start:
            raise ShardError(f"{path}: damaged, or of a later version", "render this part again (--overwrite)")
        if path.name != manifest.part + ENDING:
            raise ShardError(
                f"{path}: renamed: it is of frames {_frames(manifest.start, manifest.end)}", "name it back"
            )
        manifests.append(manifest)
    return sorted(manifests, key=lambda manifest: (manifest.start, manifest.end))


def check_together(folder: Path, manifests: Sequence[Manifest]) -> None:
    """See that the parts make one clip: one render, every frame once, every file as it was written.

    Raises:
        ShardError: they do not; the message names the frames.
    """
    first = manifests[0]
    for other in manifests[1:]:
        if other.fingerprint != first.fingerprint:
            raise ShardError(
                f"{folder}: parts of different renders: {first.part} and {other.part}: {_what_differs(first, other)}",
                "keep the parts of each render in a folder of their own, or render all of them again",
            )
    for one, other in pairwise(manifests):
        if other.start < one.end:
            raise ShardError(
                f"{folder}: frames {_frames(other.start, min(one.end, other.end))} are in two parts: "
                f"{one.part} and {other.part}",
                "remove one of them",
            )
    edges = [0, *(edge for m in manifests for edge in (m.start, m.end)), first.total]
    gaps = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    lost = [m for m in manifests if not (folder / m.part).is_file()]
    if gaps or lost:
        ranges = sorted([*gaps, *((m.start, m.end) for m in lost)])
        start, end = ranges[0]
        raise ShardError(
            f"{folder}: missing of {first.total} frames: {', '.join(_frames(a, b) for a, b in ranges)}",
            f"render them: run_pipeline.py render {first.source} --start {start} --end {end} --shard-dir {folder} …",
        )
    for manifest in manifests:
        if read_sha256(folder / manifest.part) != manifest.sha256:
            raise ShardError(
                f"{folder / manifest.part}: damaged (frames {_frames(manifest.start, manifest.end)}): "
                "not the file that was written",
                "render this part again (--overwrite)",
            )


def is_finished(folder: Path, part: str, fingerprint: str) -> bool:
    """True when this part is there, undamaged, and was made from what `fingerprint` says."""
    manifest = _read(folder / (part + ENDING))
    path = folder / part
    return (
        manifest is not None
        and manifest.fingerprint == fingerprint
        and path.is_file()
        and read_sha256(path) == manifest.sha256
    )


def _read(path: Path) -> Manifest | None:
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return manifest if manifest.version <= VERSION else None


def _what_differs(one: Manifest, other: Manifest) -> str:
    if one.source_sha256 != other.source_sha256:
        return f"sources {one.source} and {other.source}"
    for name, a, b in (("", one.settings, other.settings), ("made with", one.made_with, other.made_with)):
        if a != b:
            return difference(name, a, b).removeprefix(".")
    return "the weights, the analysis or another file that they were made from"


def _frames(start: int, end: int) -> str:
    return str(start) if end == start + 1 else f"{start} to {end - 1}"
