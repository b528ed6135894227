"""Plain pSp files through the command line: aligned faces in, the model's own size out, for every task that they do."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.styleganex import StyleGANEX
from run_pipeline import run
from stages.pixels import to_uint8
from tests.golden.make_model_goldens import fill
from tests.pipeline.tiny import drawing, lossless_clip, read_png, rendered, tiny_model, write_png


def psp(folder, name, task, **changes):
    config = replace(SIZES["tiny"], has_feature=False, num_skips=0, **changes)
    net = fill(StyleGANEX(config))
    net.metadata = {"task": task}
    path = folder / f"{name}.safetensors"
    save_checkpoint(net, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("aligned")
    write_png(folder / "face.png", portrait[:300, 80:400])
    lossless_clip(folder / "face.mkv", [np.ascontiguousarray(portrait[:300, x : x + 320]) for x in (80, 84, 88)])
    write_png(folder / "wall.png", np.full((512, 512, 3), 90, np.uint8))
    write_png(folder / "plain.png", np.full((96, 128, 3), 90, np.uint8))
    write_png(folder / "drawing.png", drawing(512))
    write_png(folder / "wide.png", np.full((200, 300), 255, np.uint8))
    tiny_model(folder, "psp")
    psp(folder, "frontal", "frontalization")
    psp(folder, "large", "inversion", resolution=512, generator_channels=(*SIZES["tiny"].generator_channels, 4))
    psp(folder, "sketch", "sketch_to_face", input_channels=1, direct_input=True)
    return folder


def words(folder, model="tiny_psp", task="inversion"):
    return "--task", task, "--model", folder / f"{model}.safetensors"


def test_an_aligned_square_goes_straight_through_the_network(folder, tmp_path):
    """No face is found in it, so nothing is aligned again: the numbers are the network's own."""
    (picture,) = rendered(folder / "wall.png", tmp_path / "out.png", *words(folder))
    net = load_checkpoint(folder / "tiny_psp.safetensors")
    x = torch.full((1, 3, 256, 256), 90 / 127.5 - 1)
    with torch.inference_mode():
        image = net.synthesize(net.invert(x))
    assert np.abs(picture.astype(int) - to_uint8(image)[0].permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize(("model", "side"), [("tiny_psp", 256), ("large", 512)])
def test_output_has_the_models_own_size(folder, tmp_path, model, side):
    (picture,) = rendered(folder / "face.png", tmp_path / "out.png", *words(folder, model))
    assert picture.shape == (side, side, 3)
    (small,) = rendered(folder / "face.png", tmp_path / "small.png", *words(folder, model), "--size", "128x128")
    assert small.shape == (128, 128, 3)
    report = json.loads((tmp_path / "out.png.report.json").read_text())
    assert report["config"]["crop"]["frame"] == "aligned"
    assert report["config"]["style"]["latents"] == "frame"


def test_a_clip_moves(folder, tmp_path):
    frames = rendered(folder / "face.mkv", tmp_path / "out.mkv", *words(folder))
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 3
    assert all(np.abs(frame.astype(int) - frames[0]).max() > 0 for frame in frames[1:])
    smooth = rendered(folder / "face.mkv", tmp_path / "smooth.mkv", *words(folder), "--latents", "smooth")
    assert not np.array_equal(smooth[0], frames[0])


def test_frontalization_mixing_edits_and_grids(folder, tmp_path, monkeypatch):
    (plain,) = rendered(folder / "face.png", tmp_path / "a.png", *words(folder, "frontal"))
    assert plain.shape == (256, 256, 3)
    mixed = [
        rendered(folder / "face.png", tmp_path / f"{seed}.png", *words(folder, task="style_mixing"), "--seed", seed)[0]
        for seed in (1, 2)
    ]
    assert not np.array_equal(mixed[0], mixed[1])
    np.save(tmp_path / "push.npy", np.ones(16, np.float32))
    edit = ["--direction", tmp_path / "push.npy", "--strength", "0.5"]
    (edited,) = rendered(folder / "face.png", tmp_path / "e.png", *words(folder, task="edit"), *edit)
    (none,) = rendered(folder / "face.png", tmp_path / "n.png", *words(folder))
    assert not np.array_equal(edited, none)
    whole = [*words(folder, task="edit"), *edit, "--set", "composite.matte=window"]
    (window,) = rendered(folder / "face.png", tmp_path / "w.png", *whole)
    assert np.array_equal(edited, window)  # the square is the picture: an edit's matte has nothing to keep
    grid = [str(word) for word in (*words(folder, task="style_mixing"), folder / "face.png", "--variants", 4)]
    assert run([*grid, "-o", str(tmp_path / "grid.png"), "--quiet"]) == 0
    assert read_png(tmp_path / "grid.png").shape[1] > 512


def test_step_two_fits_wplus_and_noise(folder, tmp_path):
    square = np.asarray(cv2.resize(read_png(folder / "face.png")[:300, :300], (256, 256)))
    source = write_png(tmp_path / "square.png", square)
    saved = tmp_path / "a.safetensors"
    steps = ("--steps", "2", "--save-latents", saved)
    (fitted,) = rendered(source, tmp_path / "b.png", *words(folder), *steps)
    (again,) = rendered(source, tmp_path / "c.png", *words(folder), "--latent", saved)
    assert np.array_equal(fitted, again)


def test_drawings_are_taken_whole(folder, tmp_path):
    sketch = words(folder, "sketch", "sketch_to_face")
    (picture,) = rendered(folder / "drawing.png", tmp_path / "out.png", *sketch)
    half = np.asarray(cv2.resize(drawing(512), (256, 256), interpolation=cv2.INTER_AREA))
    (other,) = rendered(write_png(tmp_path / "half.png", half), tmp_path / "half_out.png", *sketch)
    assert picture.shape == other.shape == (256, 256, 3)
    assert np.abs(picture.astype(int) - other).mean() < 2


def test_a_frame_without_a_face_passes_as_its_middle(folder, tmp_path):
    (picture,) = rendered(folder / "plain.png", tmp_path / "out.png", *words(folder))
    assert picture.shape == (256, 256, 3)
    assert np.abs(picture.astype(int) - 90).max() <= 1


@pytest.mark.parametrize(
    ("task", "model", "source", "further", "what", "remedy"),
    [
        ("inversion", "tiny_psp", "face.png", ("--frame", "window"), "draws aligned faces only", "leave --frame out"),
        ("sketch_to_face", "sketch", "wide.png", (), "300x200", "square"),
        ("toonify", "tiny_psp", "face.png", (), "draws photographs", "--generator"),
    ],
)
def test_mistakes(folder, tmp_path, capsys, task, model, source, further, what, remedy):
    argv = [*words(folder, model, task), *further, folder / source, "-o", tmp_path / "out.png", "--quiet"]
    assert run([str(word) for word in argv]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert what in error
    assert remedy in hint
    assert not list(tmp_path.iterdir())


def test_aligned_faces_of_other_models(folder, tmp_path):
    """crop.frame: aligned works with any model; w+ may then be one for the shot."""
    tiny_model(tmp_path, "toonify")
    argv = ("--task", "toonify", "--model", tmp_path / "tiny_toonify.safetensors", "--frame", "aligned")
    frames = rendered(folder / "face.mkv", tmp_path / "out.mkv", *argv)
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 3
    report = json.loads((tmp_path / "out.mkv.report.json").read_text())
    assert report["config"]["style"]["latents"] == "shot"
