"""What is remembered of every frame of a render: a few numbers in columns, never a picture."""

from __future__ import annotations

import json
import math
from array import array

from stages.types import FaceSource, OutputFrame

SOURCES = tuple(FaceSource)
FRAME_COLUMNS = {"index": "q", "pts": "q", "shot": "l", "num_seen": "l", "touched": "b", "corrupt": "b"}
"""One row per frame. index: number in the source; pts: in the source's time base; touched, corrupt: 0 or 1."""
FACE_COLUMNS = {
    "index": "q",
    "track_id": "l",
    "source": "b",
    "score": "f",
    "x": "f",
    "y": "f",
    "eye_distance": "f",
    "angle": "f",
    "outside": "f",
    "wplus_distance": "f",
}
"""One row per rendered face, in order of frames, the largest face first. index: its frame; x, y: the smoothed point
between the eyes, in pixels; eye_distance: in pixels, which sets the scale of the crop; angle: of the aligned square,
in radians, clockwise as the picture is seen; outside: share of the landmarks that lie outside the picture;
wplus_distance: how far the frame's own w+ lies off the reference (stages/style.py says of which), where it is known."""
ADDED = frozenset({"wplus_distance"})
"""Columns that the reports of older releases lack: there, nothing is known."""


class FrameLog:
    """Some 100 bytes per frame: 10 000 frames take one megabyte."""

    def __init__(self) -> None:
        self.frames = {name: array(code) for name, code in FRAME_COLUMNS.items()}
        self.faces = {name: array(code) for name, code in FACE_COLUMNS.items()}

    def __len__(self) -> int:
        return len(self.frames["index"])

    def add(self, item: OutputFrame) -> None:
        """Append one finished frame."""
        seen = item.source
        frame = seen.frame
        row = (frame.index, frame.pts, seen.shot, seen.num_seen, item.touched, frame.corrupt)
        for column, value in zip(self.frames.values(), row, strict=True):
            column.append(value)
        for face in seen.faces:
            x, y = face.center
            apart = math.nan if face.wplus_distance is None else face.wplus_distance
            numbers = (face.score, x, y, face.eye_distance, face.aligned.angle, face.outside, apart)
            row = (frame.index, face.track_id, SOURCES.index(face.source), *numbers)
            for column, value in zip(self.faces.values(), row, strict=True):
                column.append(value)

    def to_json(self) -> str:
        """``{"frames": {column: [value, …], …}, "faces": {…}}``, one column per line; sources by name.

        Fractions have six significant digits; null where a number is not finite.
        """
        tables = []
        for name, columns in (("frames", self.frames), ("faces", self.faces)):
            lines = [f"   {json.dumps(key)}: {_column(key, values)}" for key, values in columns.items()]
            tables.append(f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }")
        return "{\n" + ",\n".join(tables) + "\n }"


def _column(name: str, values: array[int] | array[float]) -> str:
    found: list[object] = list(values)
    if name == "source":
        found = [SOURCES[int(value)].value for value in values]
    elif values.typecode == "f":
        found = [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
    return json.dumps(found, separators=(",", ":"))
