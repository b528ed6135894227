"""How far each frame's own w+ lies from its shot's reference, by the best that is known of a render.

An analysis has every frame's own w+, saved latents have the w+ that was rendered with, and the report has what the
render itself came to know on its way (stages/style.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from models.latent_file import Latents, load_latents
from pipeline.qc.record import Record
from stages.analysis import NUMBERS
from stages.codes import distance

log = logging.getLogger(__name__)
VIEWS = 64
"""Most frames, evenly spaced in the shot, whose median is the reference."""
OF_FILES = "from the median over the shot"
OF_MODES = {
    "clip": "known at the one view that gave the w+ of the clip",
    "shot": "known at the views whose median is the w+ of the shot; no other frame was encoded",
    "smooth": "of each frame's own w+ from the filtered one that it was rendered with",
    "frame": "from the face's first w+ in the shot",
}
"""style.latents → what the numbers in the report are."""
SHARED = ("clip", "shot")
"""Where the saved w+ of a shot are all the same."""

Codes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Distances:
    """What the plot shows."""

    values: list[float | None]
    """One per row of the record's faces: root mean square of w+ − reference, over all its numbers; None: not known."""
    note: str
    """What the reference is, or where the distance is known."""
    sparse: bool = False
    """Known at a few frames only."""


def known_distances(record: Record) -> Distances | None:
    """The w+ that this render had, never those of another network; None: nothing is known of any frame."""
    config = record.report["config"]
    mode, origin = (config.get("style") or {}).get("latents", ""), record.report.get("wplus")
    saved = (config.get("latents") or {}).get("save")
    files = [Path(config["analysis"]) / NUMBERS] if origin == "analysis" and config.get("analysis") else []
    files += [Path(saved)] if saved and (mode not in SHARED or origin not in ("analysis", "encoder")) else []
    for file in files:
        if file.is_file():
            try:
                return Distances(wplus_distances(file, record), OF_FILES)
            except UserError as error:
                log.warning("w+ distances are not taken from there: %s", error.what)
    logged = record.faces["wplus_distance"]
    if origin not in ("analysis", "encoder") or mode not in OF_MODES or all(value is None for value in logged):
        return None
    return Distances(logged, OF_MODES[mode], sparse=mode in SHARED)


def wplus_distances(file: Path, record: Record) -> list[float | None]:
    """One number per row of the record's faces: root mean square of w+ − reference, over all its numbers.

    The reference of a track in a shot is the median of its w+ over up to 64 frames of the shot. None where the
    file has no w+ of that face.

    Raises:
        UserError: the file cannot be read, or is of another clip.
    """
    with load_latents(file) as latents:
        return list(_distances(latents, record))


def _distances(latents: Latents, record: Record) -> Iterator[float | None]:
    shots = dict(zip(record.frames["index"], record.frames["shot"], strict=True))
    rows = list(zip(record.faces["index"], record.faces["track_id"], strict=True))
    views: dict[tuple[int, int], list[int]] = {}
    for index, track in rows:
        views.setdefault((shots[index], track), []).append(index)
    code = _reader(latents)
    references: dict[tuple[int, int], Codes] = {}
    for (shot, track), frames in views.items():
        step = max(len(frames) // VIEWS, 1)
        found = [wplus for index in frames[::step][:VIEWS] if (wplus := code(index, track)) is not None]
        if found:
            references[shot, track] = np.median(found, axis=0)
    for index, track in rows:
        wplus, reference = code(index, track), references.get((shots[index], track))
        if wplus is None or reference is None:
            yield None
        else:
            yield distance(wplus, reference)


def _reader(latents: Latents) -> Callable[[int, int], Codes | None]:
    """(frame, track) → w+ [L, style_dim]; keeps nothing."""

    def read(index: int, track: int) -> Codes | None:
        for face in latents.frame(index).faces:
            if face.track_id == track:
                return face.latent.wplus[0].numpy()
        return None

    return read
