"""Every task through the command line, on a picture and on a clip, with small networks of the right kind."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.label_map import colorize
from tests.pipeline.tiny import (
    drawing,
    labels,
    lossless_clip,
    read_png,
    rendered,
    tiny_model,
    write_png,
)

FRAMES = 3
CASES = {
    # name: (task, kind of model, source, further words)
    "toonify": ("toonify", "toonify", "face", ()),
    "edit": ("edit", "edit", "face", ("--direction", "smile", "--strength", "-0.5")),
    "super_resolution": ("super_resolution", "super_resolution", "face", ()),
    "super_resolution.degraded": ("super_resolution", "super_resolution", "face", ("--factor", "16")),
    "sketch_to_face": ("sketch_to_face", "sketch_to_face", "drawing", ()),
    "sketch_to_face.photo": ("sketch_to_face", "sketch_to_face", "face", ("--source", "photo")),
    "mask_to_face": ("mask_to_face", "mask_to_face", "labels", ()),
    "mask_to_face.batch_stats": ("mask_to_face", "mask_to_face", "labels", ("--set", "task.batch_stats=true")),
    "inversion": ("inversion", "inversion", "face", ()),
    "inversion.steps": ("inversion", "inversion", "face", ("--steps", "2", "--set", "crop.eye_distance_px=32")),
    "style_mixing": ("style_mixing", "inversion", "face", ("--layers", "6-11", "--alpha", "0.7")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    """Sources as NAME.png and NAME.mkv, and a model of each kind."""
    folder = tmp_path_factory.mktemp("tasks")
    shots = {
        "face": [portrait[20 : 20 + 192, x : x + 160] for x in (144, 145, 146)],
        "drawing": [cv2.cvtColor(drawing(shift=i), cv2.COLOR_GRAY2RGB) for i in range(FRAMES)],
        "labels": [colorize(labels(shift=i)) for i in range(FRAMES)],
    }
    for name, pictures in shots.items():
        write_png(folder / f"{name}.png", pictures[0])
        lossless_clip(folder / f"{name}.mkv", pictures)
    for kind in {case[1] for case in CASES.values()}:
        tiny_model(folder, kind)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_task_renders_a_picture_and_a_clip(folder, tmp_path, name):
    task, kind, source, words = CASES[name]
    words = ["--task", task, "--model", folder / f"tiny_{kind}.safetensors", *words]
    (picture,) = rendered(folder / f"{source}.png", tmp_path / "out.png", *words)
    frames = rendered(folder / f"{source}.mkv", tmp_path / "out.mkv", *words)
    shape = read_png(folder / f"{source}.png").shape
    assert [picture.shape, *(frame.shape for frame in frames)] == [shape] * (1 + FRAMES)
    report = json.loads((tmp_path / "out.mkv.report.json").read_text())
    assert report["rendered"] == FRAMES
    assert report["config"]["task"]["kind"] == task
    # The first frame is the picture, but that a clip's geometry is smoothed over time.
    assert np.abs(picture.astype(int) - frames[0]).mean() < 4
    assert all(np.abs(frame.astype(int) - frames[0]).max() > 0 for frame in frames[1:])
    assert picture.std() > 2


def test_label_maps_as_grey_levels_and_as_colors_are_the_same(folder, tmp_path):
    words = ["--task", "mask_to_face", "--model", folder / "tiny_mask_to_face.safetensors"]
    grey = write_png(tmp_path / "grey.png", labels())
    (levels,) = rendered(grey, tmp_path / "a.png", *words)
    (colors,) = rendered(folder / "labels.png", tmp_path / "b.png", *words)
    assert np.array_equal(levels, colors)


@pytest.mark.parametrize("name", ["sketch_to_face", "mask_to_face", "style_mixing"])
def test_the_seed_chooses_the_style_and_nothing_else_does(folder, tmp_path, name):
    task, kind, source, words = CASES[name]
    words = ["--task", task, "--model", folder / f"tiny_{kind}.safetensors", *words]
    pictures = [
        rendered(folder / f"{source}.png", tmp_path / f"{i}.png", *words, "--seed", seed)[0]
        for i, seed in enumerate((3, 3, 4))
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_batch_statistics_are_another_picture(folder, tmp_path):
    pictures = []
    for name in ("mask_to_face", "mask_to_face.batch_stats"):
        task, kind, source, words = CASES[name]
        words = ["--task", task, "--model", folder / f"tiny_{kind}.safetensors", *words]
        pictures += rendered(folder / f"{source}.png", tmp_path / f"{name}.png", *words)
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 3


def test_more_degradation_leaves_less_of_the_picture(folder, tmp_path):
    words = ["--task", "super_resolution", "--model", folder / "tiny_super_resolution.safetensors", "--factor"]
    whole, some, little = (
        rendered(folder / "face.png", tmp_path / f"{factor}.png", *words, factor)[0].astype(int)
        for factor in (4, 12, 48)
    )
    assert 0 < np.abs(some - whole).mean() < np.abs(little - whole).mean()


def test_step_two_is_fitted_to_the_picture(folder, tmp_path):
    """Few steps are enough to come nearer to the source than the encoder alone does."""
    source = read_png(folder / "face.png").astype(int)
    words = ["--task", "inversion", "--model", folder / "tiny_inversion.safetensors"]
    words += ["--set", "crop.eye_distance_px=32"]
    (first,) = rendered(folder / "face.png", tmp_path / "one.png", *words)
    (second,) = rendered(folder / "face.png", tmp_path / "two.png", *words, "--steps", "40")
    assert np.square(second - source).mean() < 0.7 * np.square(first - source).mean()


def test_style_mixing_with_a_picture_and_with_nothing(folder, tmp_path):
    words = ["--task", "style_mixing", "--model", folder / "tiny_inversion.safetensors"]
    face = folder / "face.png"
    plain = ["--task", "inversion", "--model", folder / "tiny_inversion.safetensors"]
    (same,) = rendered(face, tmp_path / "plain.png", *plain)
    (none,) = rendered(face, tmp_path / "none.png", *words, "--alpha", "0")
    assert np.array_equal(none, same)
    other = write_png(tmp_path / "other.png", np.ascontiguousarray(read_png(face)[:, ::-1] // 2))
    (mixed,) = rendered(face, tmp_path / "mixed.png", *words, "--source", other, "--layers", "all")
    (half,) = rendered(face, tmp_path / "half.png", *words, "--source", other, "--layers", "all", "--alpha", "0.5")
    assert 0 < np.abs(half.astype(int) - same).mean() < np.abs(mixed.astype(int) - same).mean()


def test_explain_shows_each_task(folder, capsys):
    from run_pipeline import run

    for task, _, _, words in CASES.values():
        assert run(["explain", "--task", task, *words]) == 0
        text = capsys.readouterr().out
        assert f"kind: {task}" in text
        drawn = task in ("sketch_to_face", "mask_to_face") and "photo" not in words
        assert ("  assume " in text) == drawn
        assert ("  optimize " in text) == ("--steps" in words)


def test_default_name_carries_the_task(folder, tmp_path, monkeypatch):
    from run_pipeline import run

    monkeypatch.chdir(tmp_path)
    words = ["--task", "inversion", "--model", str(folder / "tiny_inversion.safetensors"), "--quiet"]
    assert run([*words, str(folder / "face.png")]) == 0
    assert Path("output/face_inversion.png").is_file()
