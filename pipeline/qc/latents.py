"""How far each frame's w+ lies from its shot's reference, measured from a file that the render read or wrote.

That is the analysis, which has every frame's own w+, or the saved latents, which have the w+ that was rendered with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.latent_file import Latents, load_latents
from pipeline.qc.record import Record
from stages.analysis import NUMBERS

VIEWS = 64
"""Most frames, evenly spaced in the shot, whose median is the reference."""

Codes = NDArray[np.float32]


def latents_of(record: Record) -> Path | None:
    """The file that knows the w+ of this render, by its configuration; None: there is none, or it is gone."""
    config = record.report.get("config", {})
    analysis, saved = config.get("analysis"), (config.get("latents") or {}).get("save")
    files = [Path(analysis) / NUMBERS] if analysis else []
    files += [Path(saved)] if saved else []
    return next((file for file in files if file.is_file()), None)


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
            yield float(np.sqrt(np.square(wplus - reference).mean()))


def _reader(latents: Latents) -> Callable[[int, int], Codes | None]:
    """(frame, track) → w+ [L, style_dim]; keeps nothing."""

    def read(index: int, track: int) -> Codes | None:
        for face in latents.frame(index).faces:
            if face.track_id == track:
                return face.latent.wplus[0].numpy()
        return None

    return read
