"""An analysis: what pass 1 finds out about a clip, as a folder of two files that a later render reads.

    NAME.analysis/analysis.json        version, source, model, settings, cuts; made to be edited by hand
    NAME.analysis/frames.safetensors   a latent file: pts, shot, every face with landmarks, score and its own w+

Nothing smoothed or chosen is stored: a render derives it anew, by the same stages as a render in one go, so that an
edit of the JSON has its full effect. By hand: add a frame number to `cuts`; add ``{"track": 3}`` (optionally with
"first" and "last" frame) to `drop`, to forget a false face; add ``{"track": 0, "frame": 57}`` to `pin`, to take a
face's w+ from that frame in the shot where it lies.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError

from models.latent import Latent
from models.latent_file import FaceLatent, LatentFrame, LatentInfo, load_latents
from stages.base import Section
from stages.codes import Codes, CodeSource
from stages.errors import AnalysisError
from stages.types import ClipInfo, Face, FaceFrame, FaceSource, Frame, TrackedFace, TrackedFrame

VERSION = 1
TABLE, NUMBERS = "analysis.json", "frames.safetensors"
_SOURCES = tuple(FaceSource)
_AGAIN = "run `python run_pipeline.py analyze` again"


class Drop(Section):
    """A face to forget."""

    track: int
    first: int = 0
    """Frame numbers, both included."""
    last: int | None = None


class Pin(Section):
    """The frame that a face's w+ is taken from, in the shot where it lies."""

    track: int
    frame: int


class AnalysisTable(Section):
    """analysis.json."""

    format: Literal["styleganex-analysis"] = "styleganex-analysis"
    version: int = VERSION
    source: dict[str, Any]
    """name, sha256, frames."""
    model: dict[str, str]
    """name, and sha256 of the part of the network that made the w+."""
    settings: dict[str, Any]
    """What the numbers depend on: the track section, and what the encoder saw."""
    cuts: list[int]
    """First frame of every shot but the first. Edit: add or remove."""
    drop: list[Drop] = Field(default=[])
    """Edit: faces to forget."""
    pin: list[Pin] = Field(default=[])
    """Edit: frames to take w+ from."""
    seen: list[int]
    """Per frame, how many faces the detector found."""

    def save(self, folder: Path) -> None:
        """Write it, one list entry per line where a person edits."""
        (folder / TABLE).write_text(self.model_dump_json(indent=1, exclude={"seen"})[:-2], encoding="utf-8")
        with (folder / TABLE).open("a", encoding="utf-8") as file:
            file.write(f',\n "seen": {json.dumps(self.seen)}\n}}\n')


def latent_frame(item: FaceFrame, codes: CodeSource) -> LatentFrame:
    """What is stored of a frame with all of its faces; w+ comes from `codes`."""
    faces = tuple(
        FaceLatent(
            Latent(torch.from_numpy(codes.wplus(item, face))[None]),
            track_id=face.track_id,
            geometry={
                "landmarks": face.landmarks,
                "score": np.array(face.score, np.float64),
                "source": np.array(_SOURCES.index(face.source), np.uint8),
            },
        )
        for face in item.faces
    )
    return LatentFrame(item.frame.index, item.frame.pts, faces, item.shot)


def latent_info(table: AnalysisTable, clip: ClipInfo) -> LatentInfo:
    """Of the latent file inside, which can be read as one."""
    source = {"path": clip.path.name, "sha256": str(table.source["sha256"])}
    return LatentInfo(model=table.model["name"], time_base=clip.time_base, source=source)


class Analysis:
    """An analysis read back; a `CodeSource` too.

    Raises:
        AnalysisError: missing, damaged, of a later version, or edited into something that cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            text = (folder / TABLE).read_text(encoding="utf-8")
            self.table = AnalysisTable.model_validate_json(text)
        except OSError as error:
            raise AnalysisError(f"{folder}: not an analysis: {TABLE} cannot be read", _AGAIN) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise AnalysisError(
                f"{folder / TABLE}: {place}: {first['msg']}", f"mend that entry, or {_AGAIN}"
            ) from error
        if self.table.version > VERSION:
            raise AnalysisError(
                f"{folder}: analysis of version {self.table.version}, this program knows up to {VERSION}", _AGAIN
            )
        self._latents = load_latents(folder / NUMBERS)
        self._cuts = sorted({cut for cut in self.table.cuts if cut > 0})
        self._pins = {(self.shot(pin.frame), pin.track): pin.frame for pin in self.table.pin}
        self._read = lru_cache(maxsize=256)(self._latents.frame)
        for pin in self.table.pin:
            if not any(face.track_id == pin.track for face in self._frame(pin.frame).faces):
                raise AnalysisError(
                    f"{folder / TABLE}: pin: track {pin.track} is not in frame {pin.frame}",
                    "pin a frame where this face was found",
                )

    def shot(self, index: int) -> int:
        """Number of the shot that holds frame `index`, by the cuts as they stand."""
        return bisect_right(self._cuts, index)

    def __len__(self) -> int:
        """Frames of the clip."""
        return len(self.table.seen)

    def pts(self, index: int) -> int | None:
        """Time of frame `index`; None behind the last."""
        return self._frame(index).pts if index < len(self) else None

    def tracked(self, clip: ClipInfo) -> Generator[TrackedFrame, None, None]:
        """Every frame from the first, without its picture: what `track` gave, as edited."""
        for index in range(len(self)):
            frame = self._frame(index)
            faces = tuple(self._face(face) for face in frame.faces if not self._dropped(face.track_id, index))
            bare = Frame((), clip.layout, clip.color, clip.rotation, frame.pts or 0, 0, index, clip)
            yield TrackedFrame(bare, self.shot(index), faces, self.table.seen[index])

    def wplus(self, item: FaceFrame, face: Face) -> Codes:
        """See `CodeSource`."""
        return self._wplus(item.frame.index, face.track_id)

    def pinned(self, shot: int, track_id: int) -> Codes | None:
        """See `CodeSource`."""
        frame = self._pins.get((shot, track_id))
        return None if frame is None else self._wplus(frame, track_id)

    def _wplus(self, index: int, track_id: int) -> Codes:
        found = next(face for face in self._frame(index).faces if face.track_id == track_id)
        return found.latent.wplus[0].numpy()

    def _frame(self, index: int) -> LatentFrame:
        return self._read(index)

    def _dropped(self, track_id: int, index: int) -> bool:
        return any(
            drop.track == track_id and drop.first <= index and (drop.last is None or index <= drop.last)
            for drop in self.table.drop
        )

    @staticmethod
    def _face(face: FaceLatent) -> TrackedFace:
        geometry = face.geometry
        source = _SOURCES[int(geometry["source"])]
        landmarks = np.asarray(geometry["landmarks"], np.float32)
        return TrackedFace(face.track_id, source, landmarks, float(geometry["score"]))
