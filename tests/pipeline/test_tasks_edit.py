"""Edits through the command line: strengths, keyframes, several directions, layers, files; the toonify slider."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.directions import closed_form_directions, principal_directions, save_directions
from run_pipeline import run
from tests.golden.make_model_goldens import normal
from tests.pipeline.tiny import lossless_clip, rendered, tiny_model, tiny_net, write_png

SMALL = ("--set", "crop.eye_distance_px=32", "--set", "composite.matte=window", "--set", "composite.mode=replace")
"""Half face scale: a quarter of the work; and all that the network draws, to be compared."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("edit")
    write_png(folder / "face.png", portrait[20:212, 144:304])
    lossless_clip(folder / "face.mkv", [np.ascontiguousarray(portrait[20:212, 144:304])] * 5)
    for kind in ("edit", "plain_edit", "inversion", "toonify"):
        tiny_model(folder, kind)
    return folder


@pytest.fixture
def draw(folder, tmp_path):
    """draw(kind of model, words …) → the picture of face.png as integers; draw.clip: every frame of face.mkv."""

    def render(kind, *words, suffix=".png"):
        model = ("--model", folder / f"tiny_{kind}.safetensors")
        output = tmp_path / f"out{suffix}"
        frames = rendered(folder / f"face{suffix}", output, *model, *SMALL, "--overwrite", *words)
        return [frame.astype(int) for frame in frames]

    def picture(kind, *words):
        return render(kind, *words)[0]

    picture.clip = lambda kind, *words: render(kind, *words, suffix=".mkv")
    return picture


def distance(a, b):
    return float(np.abs(a - b).mean())


def test_strength_0_is_no_edit_without_attention(draw):
    none = draw("plain_edit", "--task", "inversion")
    assert np.array_equal(draw("plain_edit", "--task", "edit", "--strength", "0"), none)
    assert not np.array_equal(draw("plain_edit", "--task", "edit", "--strength", "1"), none)


def test_strength_0_attends_to_a_vector_of_zeros_with_attention(draw, folder, tmp_path):
    """0·v is shown to the attention, so it is another picture than no edit, and the same for every direction."""
    zero = draw("edit", "--task", "edit", "--strength", "0")
    assert not np.array_equal(zero, draw("edit", "--task", "inversion"))
    assert np.array_equal(zero, draw("edit", "--task", "edit", "--direction", "smile", "--strength", "0.0"))
    np.save(tmp_path / "nothing.npy", np.zeros(load_checkpoint(folder / "tiny_edit.safetensors").config.style_dim))
    assert np.array_equal(zero, draw("edit", "--task", "edit", "--direction", tmp_path / "nothing.npy"))


@pytest.mark.parametrize("kind", ["edit", "plain_edit"])
def test_an_edit_is_continuous_in_its_strength(draw, kind):
    at = {s: draw(kind, "--task", "edit", "--strength", s) for s in (0, 0.002, 0.5, 1.0, -1.0)}
    assert distance(at[0], at[0.002]) < 0.1
    assert distance(at[0], at[0.5]) < distance(at[0], at[1.0])
    assert distance(at[1.0], at[-1.0]) > distance(at[1.0], at[0])


def test_keyframes_move_the_strength_over_time(draw):
    frames = draw.clip("plain_edit", "--task", "edit", "--strength", "{1: 0, 3: 1.0}")
    still = {s: draw.clip("plain_edit", "--task", "edit", "--strength", s, "--end", 1)[0] for s in (0, 0.5, 1.0)}
    for frame, strength in zip(frames, (0, 0, 0.5, 1.0, 1.0), strict=True):
        assert np.array_equal(frame, still[strength])
    smooth = draw.clip("plain_edit", "--task", "edit", "--strength", "{0: 0, 4: 1.0}", "--set", "task.easing=smooth")
    linear = draw.clip("plain_edit", "--task", "edit", "--strength", "{0: 0, 4: 1.0}")
    assert np.array_equal(smooth[2], linear[2])
    assert 0 < distance(smooth[1], smooth[0]) < distance(linear[1], linear[0])


def test_several_directions_with_their_own_strengths_and_layers(draw, tmp_path):
    config = tmp_path / "two.yaml"

    def both(*terms):
        config.write_text(json.dumps({"task": {"kind": "edit", "directions": list(terms)}}))
        return draw("plain_edit", "--config", config)

    age, smile = {"direction": "age", "strength": 0.6}, {"direction": "smile", "strength": -0.4}
    only = draw("plain_edit", "--task", "edit", "--strength", "0.6")
    assert np.array_equal(both(age, {**smile, "strength": 0}), only)
    assert not np.array_equal(both(age, smile), only)
    assert distance(both(age, smile), both(smile, age)) < 0.01
    parts = both({**age, "layers": "0-3"}, {**age, "layers": "4-13"})
    assert np.array_equal(parts, only)
    assert not np.array_equal(both({**age, "layers": "coarse"}), only)


def test_directions_from_files(draw, folder, tmp_path):
    net = load_checkpoint(folder / "tiny_plain_edit.safetensors")
    assert net.editing_w is not None
    age, smile = net.editing_w
    named = draw("plain_edit", "--task", "edit", "--direction", "smile", "--strength", "0.7")
    np.save(tmp_path / "smile.npy", smile.numpy())
    torch.save(smile[None], tmp_path / "smile.pt")
    torch.save({"age": age, "smile": smile.numpy()}, tmp_path / "direction_dics.pt")
    for word in ("smile.npy", "smile.pt", "direction_dics.pt:smile"):
        words = ("--task", "edit", "--direction", tmp_path / word, "--strength", "0.7")
        assert np.array_equal(draw("plain_edit", *words), named), word


@pytest.mark.parametrize("find", [closed_form_directions, principal_directions])
def test_directions_found_without_labels(draw, folder, tmp_path, find):
    found = find(load_checkpoint(folder / "tiny_plain_edit.safetensors"), layers=(4, 5, 6, 7), count=3)
    save_directions(tmp_path / "found.safetensors", found)
    pictures = [
        draw("plain_edit", "--task", "edit", "--direction", f"{tmp_path}/found.safetensors:{name}", "--strength", "3")
        for name in found.names
    ]
    none = draw("plain_edit", "--task", "inversion")
    assert all(distance(picture, none) > 0.2 for picture in pictures)
    assert distance(pictures[0], pictures[1]) > 0.2


@pytest.fixture(scope="module")
def generators(folder):
    """(the original generator, a toonified one made from it), as files of generators alone."""
    paths = folder / "original.safetensors", folder / "toonified.safetensors"
    for amount, path in zip((0.0, 0.15), paths, strict=True):
        net = tiny_net("sample")
        with torch.no_grad():
            for key, value in net.generator.state_dict().items():
                if key.endswith("conv.weight"):
                    value += amount * value.std() * normal(f"toon {key}", tuple(value.shape))
        save_checkpoint(net, path)
    return paths


def test_the_toonify_slider(draw, generators):
    original, toonified = generators
    slider = {
        s: draw(
            *("toonify", "--task", "toonify", "--generator", toonified, "--original", original, "--strength", s),
        )
        for s in (0, 0.02, 0.3, 0.7, 1)
    }
    assert np.array_equal(slider[0], draw("toonify", "--task", "toonify", "--generator", original))
    assert np.array_equal(slider[1], draw("toonify", "--task", "toonify", "--generator", toonified))
    away = [distance(slider[s], slider[0]) for s in (0, 0.02, 0.3, 0.7, 1)]
    near = [distance(slider[s], slider[1]) for s in (0, 0.02, 0.3, 0.7, 1)]
    assert away == sorted(away)
    assert near == sorted(near, reverse=True)
    assert away[1] < 0.15 * away[-1]


def test_another_generator_keeps_the_encoder(draw, generators, folder):
    """Of an inversion model with a toonified generator comes a toonified picture."""
    _, toonified = generators
    plain = draw("inversion", "--task", "inversion")
    toon = draw("inversion", "--task", "toonify", "--generator", toonified)
    assert 0.5 < distance(plain, toon) < 60


def test_an_edit_replaces_the_head_alone(folder, tmp_path, portrait):
    source = np.ascontiguousarray(portrait[:256, 94:350])
    path, model = write_png(tmp_path / "wide.png", source), folder / "tiny_plain_edit.safetensors"
    words = ("--task", "edit", "--model", model, *SMALL[:2])
    (head,) = rendered(path, tmp_path / "head.png", *words)
    (everything,) = rendered(path, tmp_path / "all.png", *words, "--set", "composite.matte=window")
    changed = (head != source).any(axis=2)
    assert not changed[:, :8].any()
    assert not changed[:, -8:].any()
    assert not changed[-40:].any()
    assert changed[:200, 60:190].mean() > 0.65  # the wall beside it stays
    assert changed[80:160, 90:160].mean() > 0.95  # brows to chin
    assert (everything != source).any(axis=2)[-40:].mean() > 0.9
    assert np.array_equal(head[90:150, 100:150], everything[90:150, 100:150])


def test_the_change_is_added_to_the_source(draw, portrait):
    """What strength 0 draws is not what comes out, but the source; a strength adds the difference of two drawings."""
    source = portrait[20:212, 144:304].astype(int)
    added = ("--task", "edit", "--set", "composite.mode=add")
    assert np.array_equal(draw("edit", *added, "--strength", "0"), source)
    plain = [draw("edit", "--task", "edit", "--strength", strength) for strength in ("0", "1")]
    wanted = source + plain[1] - plain[0]
    got = draw("edit", *added, "--strength", "1")
    kept = (np.stack(plain) > 0).all(axis=0) & (np.stack(plain) < 255).all(axis=0) & (wanted > 0) & (wanted < 255)
    assert kept.mean() > 0.3
    assert np.abs(got - wanted)[kept].max() <= 2  # two roundings each
    assert np.abs(got - source).max() > 8


def test_changes_of_a_clip_do_not_depend_on_batch_or_threads(draw):
    words = ("--task", "edit", "--set", "composite.mode=add", "--set", "task.strength={0: 0, 4: 1}")
    one, *others = (
        draw.clip("edit", *words, *more)
        for more in ((), ("--batch-size", "3"), ("--set", "buffers.crop=0", "--set", "buffers.synthesize=0"))
    )
    assert len(one) == 5
    for other in others:
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    away = [distance(frame, one[0]) for frame in one]
    assert away == sorted(away)
    assert away[-1] > 1


def test_tasks_without_an_edit_have_no_change_to_add(folder, tmp_path, capsys):
    words = ["--task", "toonify", "--model", str(folder / "tiny_toonify.safetensors"), "--set", "composite.mode=add"]
    assert run(["--quiet", *words, str(folder / "face.png"), "-o", str(tmp_path / "out.png")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 2
    assert "composite.mode: add" in error[0]
    assert "leave composite.mode out" in error[1]
    assert not (tmp_path / "out.png").exists()
