"""Pictures in a grid with captions, as one image: variants per seed, directions, style-mixing grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.errors import MediaError
from stages.output import disk_errors, partial_file

Picture = NDArray[np.uint8]
"""RGB [H, W, 3]."""

MAX_SIDE, MAX_PIXELS = 16_384, 64_000_000
"""Bounds of a sheet; its cells shrink to keep them."""
MIN_CELL = 32

_GAP, _TEXT_HEIGHT, _MAX_LABEL = 4, 22, 320
_PAPER, _INK, _EMPTY = (255, 255, 255), (32, 32, 32), (238, 238, 238)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PLAIN = str.maketrans({"−": "-", "–": "-", "×": "x", "→": ">", "…": "...", "±": "+-", "α": "a", "ψ": "psi", "·": "."})
"""The font knows ASCII only."""


def contact_sheet(
    path: str | Path,
    rows: Sequence[Sequence[Picture | None]],
    *,
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    title: str = "",
    cell_px: int = 256,
) -> None:
    """Write a sheet; arguments as for `arrange`. The file appears when it is complete, an older one gives way.

    Args:
        path: a .png or .jpg file; its folder is made.

    Raises:
        MediaError: nothing to show, too much to show, or a file that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise MediaError(f"{path}: contact sheets are not written as {path.suffix or 'a folder'}", "name a .png file")
    sheet = arrange(
        rows,
        column_labels=column_labels,
        row_labels=row_labels,
        captions=captions,
        title=title,
        cell_px=cell_px,
    )
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"OpenCV cannot write {path.suffix} of {sheet.shape}")
    with partial_file(path) as part, disk_errors(path):
        part.write_bytes(data.tobytes())


def arrange(
    rows: Sequence[Sequence[Picture | None]],
    *,
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    title: str = "",
    cell_px: int = 256,
) -> Picture:
    """Pictures → one RGB sheet uint8 [H, W, 3]. All cells are of one size; pictures keep their shape and only shrink.

    Args:
        rows: of any lengths; None leaves a cell empty.
        column_labels: above the columns.
        row_labels: left of the rows.
        captions: below each picture, by row and column; may be shorter than the rows.
        title: above everything.
        cell_px: longer side of a cell at most; less where the sheet would leave its bounds.

    Raises:
        MediaError: no picture at all, or so many that they could not be seen.
    """
    pictures = [picture for row in rows for picture in row if picture is not None]
    if not pictures:
        raise MediaError("contact sheet: no picture to show", "ask for at least one")
    num_columns = max(len(row) for row in rows)
    tallest, widest = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    caption_px = _TEXT_HEIGHT if any(text for row in captions for text in row) else 0
    margin = (
        _GAP + _TEXT_HEIGHT * (bool(title) + bool(any(column_labels))),
        _GAP + (min(max(map(_text_width, row_labels)), _MAX_LABEL) + 2 * _GAP if any(row_labels) else 0),
    )
    overhead = (margin[0] + len(rows) * (_GAP + caption_px), margin[1] + num_columns * _GAP)
    shrink = _shrink((tallest, widest), (len(rows), num_columns), overhead, cell_px)
    cell = (max(1, math.floor(tallest * shrink)), max(1, math.floor(widest * shrink)))
    height = overhead[0] + len(rows) * cell[0]
    # A title may be wider than a narrow sheet.
    width = max(overhead[1] + num_columns * cell[1], min(_text_width(title), 2 * _MAX_LABEL) + 2 * _GAP)
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    _write(sheet, title, (0, _GAP), width - 2 * _GAP)
    for j, text in enumerate(column_labels[:num_columns]):
        _write(sheet, text, (margin[0] - _TEXT_HEIGHT - _GAP // 2, margin[1] + j * (cell[1] + _GAP)), cell[1])
    for i, row in enumerate(rows):
        top = margin[0] + i * (cell[0] + caption_px + _GAP)
        if i < len(row_labels):
            _write(sheet, row_labels[i], (top + (cell[0] - _TEXT_HEIGHT) // 2, _GAP), margin[1] - 2 * _GAP)
        for j, picture in enumerate(row):
            left = margin[1] + j * (cell[1] + _GAP)
            _place(sheet[top : top + cell[0], left : left + cell[1]], picture, shrink)
            if i < len(captions) and j < len(captions[i]):
                _write(sheet, captions[i][j], (top + cell[0], left), cell[1])
    return sheet


def _shrink(largest: tuple[int, int], counts: tuple[int, int], overhead: tuple[int, int], cell_px: int) -> float:
    """The common factor, at most 1, that keeps cells and sheet within their bounds."""
    rows, columns = (n * size for n, size in zip(counts, largest, strict=True))
    room = [(MAX_SIDE - used) / total for used, total in zip(overhead, (rows, columns), strict=True)]
    # The root of (overhead + rows·shrink) · (overhead + columns·shrink) = MAX_PIXELS.
    half = (overhead[0] * columns + overhead[1] * rows) / 2
    spare = MAX_PIXELS - overhead[0] * overhead[1]
    by_pixels = (math.sqrt(max(0.0, half**2 + rows * columns * spare)) - half) / (rows * columns)
    shrink = min(1.0, cell_px / max(largest), *room, by_pixels)
    if shrink * max(largest) < min(MIN_CELL, cell_px, max(largest)):
        raise MediaError(
            f"contact sheet: {counts[0]} rows × {counts[1]} columns do not fit a picture that can be looked at",
            "ask for fewer",
        )
    return shrink


def _place(cell: Picture, picture: Picture | None, shrink: float) -> None:
    """Lay a picture into the middle of its cell."""
    cell[:] = _EMPTY
    if picture is None:
        return
    height, width = (
        min(room, max(1, round(size * shrink))) for room, size in zip(cell.shape[:2], picture.shape[:2], strict=True)
    )
    small = picture
    if (height, width) != picture.shape[:2]:
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (cell.shape[0] - height) // 2, (cell.shape[1] - width) // 2
    cell[top : top + height, left : left + width] = small


def _ascii(text: str) -> str:
    return text.translate(_PLAIN).encode("ascii", "replace").decode()


def _text_width(text: str, scale: float = 0.45) -> int:
    (width, _), _ = cv2.getTextSize(_ascii(text), _FONT, scale, 1)
    return width


def _write(sheet: Picture, text: str, place: tuple[int, int], room: int) -> None:
    """One line into `room` pixels from (top, left): smaller where it must be, cut where that is not enough."""
    text, scale = _ascii(text), 0.45
    while scale > 0.36 and _text_width(text, scale) > room:
        scale -= 0.05
    while text and _text_width(text, scale) > room:
        text = text[:-3] + ".." if len(text) > 3 else ""
    top, left = place
    origin = (left, top + _TEXT_HEIGHT - 7)
    cv2.putText(sheet, text, origin, _FONT, scale, _INK, 1, cv2.LINE_AA)
