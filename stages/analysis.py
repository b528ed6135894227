"""An analysis: what pass 1 finds out about a clip, as a folder of two files that a later render reads.

    NAME.analysis/analysis.json        version, source, model, settings, cuts; made to be edited by hand
    NAME.analysis/frames.safetensors   a latent file: pts, shot, every face with landmarks, score and its own w+

A render reads pts and, of every face, track_id, wplus and the geometry named landmarks, score and source. What follows
from these it derives anew, by the same stages as a render in one go, so that an edit of the JSON has its full effect.
The geometry named center, eye_distance and aligned is for information: the smooth similarities that the window and the
style crop were placed by, before any edit. By hand: add a frame number to `cuts`; add ``{"track": 3}`` (optionally with
"first" and "last" frame) to `drop`, to forget a false face; add ``{"track": 0, "frame": 57}`` to `pin`, to take a
face's w+ from that frame in the shot where it lies.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Generator, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from models.errors import LatentError
from models.latent import Latent
from models.latent_file import FaceLatent, LatentFile, LatentFrame, LatentInfo
from stages.base import Section
from stages.codes import Codes, CodeSource
from stages.errors import AnalysisError
from stages.types import ClipInfo, FaceFrame, FaceSource, Frame, TrackedFace, TrackedFrame

VERSION = 1
TABLE, NUMBERS = "analysis.json", "frames.safetensors"
FILES = (NUMBERS, TABLE)
"""What an analysis consists of; whatever else lies in its folder does not count."""
FORMAT = "styleganex-analysis"
_SOURCES = tuple(FaceSource)
_AGAIN = "run `python run_pipeline.py analyze` again"


class MadeFrom(Section):
    """The clip."""

    name: str
    sha256: str
    """Of its content."""


class MadeBy(Section):
    """The network that made the w+."""

    name: str
    encoder_sha256: str
    """Of the part that decides them."""


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
    source: MadeFrom
    model: MadeBy
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


def is_analysis(folder: Path) -> bool:
    """True when an analysis.json of this format lies in a folder, whatever state it is in."""
    try:
        return json.loads((folder / TABLE).read_text(encoding="utf-8-sig"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def latent_frame(item: FaceFrame, codes: CodeSource) -> LatentFrame:
    """What is stored of a frame with all of its faces; w+ comes from `codes`.

    Geometry, float64 where no other type is named: landmarks float32 [68, 2], score, source uint8 (place in
    `FaceSource`); for information, all of it smooth and in pixels and radians: center [2] (x, y) between the eyes and
    eye_distance, by which the window is placed, and aligned [4], the style crop's square: x, y, log of half its side,
    angle.
    """
    faces = tuple(
        FaceLatent(
            Latent(torch.from_numpy(codes.wplus(item, face))[None]),
            track_id=face.track_id,
            geometry={
                "landmarks": face.landmarks,
                "score": np.array(face.score, np.float64),
                "source": np.array(_SOURCES.index(face.source), np.uint8),
                "center": np.array(face.center, np.float64),
                "eye_distance": np.array(face.eye_distance, np.float64),
                "aligned": np.array([face.aligned.x, face.aligned.y, math.log(face.aligned.size), face.aligned.angle]),
            },
        )
        for face in item.faces
    )
    return LatentFrame(item.frame.index, item.frame.pts, faces, item.shot)


def latent_info(table: AnalysisTable, clip: ClipInfo) -> LatentInfo:
    """Of the latent file inside, which can be read as one."""
    source = {"path": clip.path.name, "sha256": table.source.sha256}
    return LatentInfo(model=table.model.name, time_base=clip.time_base, source=source)


class Analysis:
    """An analysis read back.

    Raises:
        AnalysisError: missing, damaged, of a later version, or edited into something that cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            text = (folder / TABLE).read_text(encoding="utf-8-sig")
            self.table = AnalysisTable.model_validate_json(text)
        except OSError as error:
            raise AnalysisError(f"{folder}: not an analysis: {TABLE} cannot be read", _AGAIN) from error
        except UnicodeDecodeError as error:
            raise AnalysisError(f"{folder / TABLE}: not UTF-8 text", f"save it as UTF-8, or {_AGAIN}") from error
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
        try:
            self._latents = LatentFile(folder / NUMBERS)
        except LatentError as error:
            raise AnalysisError(error.what, _AGAIN) from error
        self._read = lru_cache(maxsize=256)(self._latents.frame)
        if self._latents.indices.tolist() != list(range(len(self))):
            raise AnalysisError(
                f"{folder}: damaged: {len(self)} frames in `seen`, {len(self._latents)} in {NUMBERS}", _AGAIN
            )
        self._cuts = sorted(set(self.table.cuts))
        self.pins: dict[tuple[int, int], Pin] = {}
        """By shot and track."""
        self._check_edits()

    def _check_edits(self) -> None:
        table, last = self.table, len(self) - 1
        for cut in table.cuts:
            if not 0 < cut <= last:
                self._refuse(f"cuts: frame {cut} begins no shot", f"name frames from 1 to {last}")
        for drop in table.drop:
            found = self._latents.frames_of(drop.track)
            end = last if drop.last is None else drop.last
            if drop.first > end:
                self._refuse(f"drop: track {drop.track}: first {drop.first} is behind last {end}", "swap or mend them")
            if not ((found >= drop.first) & (found <= end)).any():
                self._refuse(
                    f"drop: track {drop.track} is in none of the frames {drop.first} to {end}", self._where(found)
                )
        for pin in table.pin:
            found = self._latents.frames_of(pin.track)
            if pin.frame not in found:
                self._refuse(f"pin: track {pin.track} is not in frame {pin.frame}", self._where(found))
            if self._dropped(pin.track, pin.frame):
                self._refuse(f"pin: track {pin.track} is dropped in frame {pin.frame}", "pin another frame")
            other = self.pins.setdefault((self.shot(pin.frame), pin.track), pin)
            if other != pin:
                self._refuse(
                    f"pin: track {pin.track} has frames {other.frame} and {pin.frame} in one shot", "keep one of them"
                )

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        raise AnalysisError(f"{self.folder / TABLE}: {what}", remedy)

    def _where(self, found: NDArray[np.int64]) -> str:
        if len(found):
            return f"this face was found in frames {found[0]} to {found[-1]}"
        return f"the clip has tracks {', '.join(map(str, self._latents.tracks())) or '(none)'}"

    def shot(self, index: int) -> int:
        """Number of the shot that holds frame `index`, by the cuts as they stand."""
        return bisect_right(self._cuts, index)

    def __len__(self) -> int:
        """Frames of the clip."""
        return len(self.table.seen)

    def pts(self, index: int) -> int | None:
        """Time of frame `index`; None behind the last."""
        return self._frame(index).pts if index < len(self) else None

    def tracked(self, frames: Iterable[Frame]) -> Generator[TrackedFrame, None, None]:
        """Each frame with what `track` found in it, as edited.

        Raises:
            AnalysisError: the frames are not those of the analysed clip.
        """
        for frame in frames:
            self.check(frame)
            stored = self._frame(frame.index).faces
            faces = tuple(self._face(face) for face in stored if not self._dropped(face.track_id, frame.index))
            yield TrackedFrame(frame, self.shot(frame.index), faces, self.table.seen[frame.index])

    def bare(self, clip: ClipInfo) -> Generator[Frame, None, None]:
        """Every frame of the clip from the first, without its picture."""
        for index in range(len(self)):
            yield Frame((), clip.layout, clip.color, clip.rotation, self.pts(index) or 0, 0, index, clip)

    def check(self, frame: Frame) -> None:
        """Raise AnalysisError unless this frame was there, at this time, when the clip was analysed."""
        if self.pts(frame.index) != frame.pts:
            raise AnalysisError(
                f"{self.folder}: frame {frame.index} is not as it was when the clip was analysed", _AGAIN
            )

    def wplus(self, index: int, track_id: int) -> Codes:
        """[L, style_dim] float32: the face's own in frame `index`, as it was stored."""
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
