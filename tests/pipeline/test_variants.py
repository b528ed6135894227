"""Grids of one picture drawn with several seeds."""

from __future__ import annotations

import numpy as np
import pytest

from run_pipeline import run
from tests.pipeline.tiny import drawing, lossless_clip, read_png, rendered, tiny_model, write_png


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    write_png(folder / "drawing.png", drawing())
    lossless_clip(folder / "drawing.mkv", [np.dstack([drawing()] * 3)] * 2)
    for kind in ("sketch_to_face", "toonify"):
        tiny_model(folder, kind)
    return folder


WORDS = ["--task", "sketch_to_face", "--model", "tiny_sketch_to_face.safetensors"]


def test_each_cell_is_the_render_with_its_seed(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    grid = tmp_path / "grid.png"
    assert run([*WORDS, "drawing.png", "--variants", "3", "--seed", "5", "-o", str(grid), "--quiet"]) == 0
    sheet = read_png(grid)
    size = 128
    assert sheet.shape[1] < 2 * size + 40  # two columns, two rows
    for seed in (5, 6, 7):
        (single,) = rendered(folder / "drawing.png", tmp_path / f"{seed}.png", *WORDS, "--seed", seed)
        assert single.shape == (size, size, 3)
        assert found_in(sheet, single), seed


def found_in(sheet, picture):
    """Whether `picture` stands somewhere in `sheet`, pixel by pixel."""
    height, width = picture.shape[:2]
    corners = np.argwhere((sheet[: -height + 1, : -width + 1] == picture[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corners)


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        ([*WORDS, "drawing.mkv", "--variants", "2"], "variants of a video", "--seed"),
        ([*WORDS, "drawing.png", "--variants", "0"], "variants: 0", "1 to 100"),
        ([*WORDS, "drawing.png", "--variants", "2", "-o", "x.mp4"], "one picture", ".png"),
        (["--task", "toonify", "drawing.png", "--variants", "2"], "every seed gives the same picture", "leave"),
        (
            ["--task", "style_mixing", "--source", "a.png", "drawing.png", "--variants", "2"],
            "every seed gives the same",
            "leave",
        ),
    ],
)
def test_what_has_no_variants(folder, monkeypatch, capsys, words, what, remedy):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run([*words, "--quiet"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert what in lines[-2]
    assert remedy in lines[-1]
    assert sorted(folder.iterdir()) == before
