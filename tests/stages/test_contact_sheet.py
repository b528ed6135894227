"""Contact sheets: where pictures lie, what bounds them, and that a file is whole or absent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stages import contact_sheet as module
from stages.contact_sheet import Picture, arrange, contact_sheet
from stages.errors import MediaError

COLORS = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}


def plain(name: str, height: int = 60, width: int = 80) -> Picture:
    return np.full((height, width, 3), COLORS[name], np.uint8)


def box(sheet: Picture, name: str) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a colour in the sheet."""
    rows, cols = np.nonzero((sheet == COLORS[name]).all(axis=2))
    top, left = int(rows.min()), int(cols.min())
    return top, left, int(rows.max()) - top + 1, int(cols.max()) - left + 1


def test_pictures_stand_in_rows_and_columns_at_their_own_size() -> None:
    sheet = arrange([[plain("red"), plain("green")], [plain("blue")]])
    red, green, blue = (box(sheet, name) for name in COLORS)
    assert red[2:] == green[2:] == blue[2:] == (60, 80)
    assert red[0] == green[0] < blue[0]
    assert red[1] == blue[1] < green[1]
    assert green[1] >= red[1] + 80
    assert blue[0] >= red[0] + 60


def test_one_factor_shrinks_all_and_keeps_their_shape() -> None:
    sheet = arrange([[plain("red", 400, 800), plain("green", 200, 200), None]], cell_px=200)
    assert box(sheet, "red")[2:] == (100, 200)
    assert box(sheet, "green")[2:] == (50, 50)
    red, green = box(sheet, "red"), box(sheet, "green")
    assert green[0] == red[0] + 25  # in the middle of its cell
    assert sheet.shape[1] >= 600


def test_labels_get_room_of_their_own() -> None:
    pictures = [[plain("red"), plain("green")]]
    bare = arrange(pictures)
    full = arrange(
        pictures, column_labels=["a", "b"], row_labels=["seed 7"], captions=[["one", "two"]], title="Directions"
    )
    for name in ("red", "green"):
        assert box(full, name)[2:] == (60, 80)
    top, left, height, width = box(full, "red")
    assert top > box(bare, "red")[0]
    assert left > box(bare, "red")[1]

    def ink(part: Picture) -> bool:
        return bool((part.max(axis=2) < 128).any())

    assert ink(full[:top, :left])  # the title
    assert ink(full[:top, left : left + width])  # a column's label
    assert ink(full[top : top + height, :left])  # a row's label
    assert ink(full[top + height :, left : left + width])  # a caption
    assert not ink(bare)


def test_text_stays_in_its_cell() -> None:
    blank = np.full((40, 60, 3), 255, np.uint8)
    sheet = arrange([[blank, blank]], captions=[["a caption that is far too long for its cell " * 3]], cell_px=60)
    second = sheet[44:, 4 + 60 + 4 :]
    assert (second == 255).all()
    assert (sheet[44:, :64].min() < 128).all()


def test_text_beyond_ascii_is_spelled() -> None:
    signs, plain_text = "strength −1.5 × α…", "strength -1.5 x a..."
    rows = [[np.full((40, 300, 3), 255, np.uint8)]]
    np.testing.assert_array_equal(arrange(rows, captions=[[signs]]), arrange(rows, captions=[[plain_text]]))


def test_a_sheet_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIDE", 1000)
    monkeypatch.setattr(module, "MAX_PIXELS", 500_000)
    sheet = arrange([[plain("red", 200, 200)] * 12] * 8, captions=[["x"] * 12] * 8)
    assert max(sheet.shape) <= 1000
    assert sheet.shape[0] * sheet.shape[1] <= 500_000
    with pytest.raises(MediaError, match="40 rows × 40 columns"):
        arrange([[plain("red", 200, 200)] * 40] * 40)


def test_nothing_to_show() -> None:
    for rows in ([], [[]], [[None, None]]):
        with pytest.raises(MediaError, match="no picture"):
            arrange(rows)


def test_the_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sheets" / "a.png"
    contact_sheet(path, [[plain("red")]], title="Title")
    stored = cv2.imread(str(path))
    assert stored is not None
    np.testing.assert_array_equal(stored[..., ::-1], arrange([[plain("red")]], title="Title"))

    before = path.read_bytes()

    def fail(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(MediaError, match="cannot be written"):
        contact_sheet(path, [[plain("blue")]])
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_only_pictures_are_written(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.gif"):
        contact_sheet(tmp_path / "a.gif", [[plain("red")]])
