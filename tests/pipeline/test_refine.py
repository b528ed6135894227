"""`run_pipeline.py refine`: an encoder of tokens that was trained here, tokens of a face, a clip rendered with them."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from models.checkpoint import save_checkpoint
from run_pipeline import run
from tests.pipeline.tiny import lossless_clip, rendered, tiny_model, tiny_net, write_png

CONFIG = Path(__file__).parents[2] / "configs" / "train_lite_refine_inversion.yaml"
SMALL = """run.steps=8 data.held_out=0 data.scenes=1 data.view.crop_px=[128,128] data.view.eye_distance_px=[30,34]
    data.view.reach=0 refine.width=16 optimizer.learning_rate=0.001 optimizer.warmup=0
    loss.perceptual_weight=0"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    net, path = tiny_net("inversion"), tmp_path_factory.mktemp("model") / "tiny.safetensors"
    for to_rgb in (net.generator.to_rgb1, *net.generator.to_rgbs):  # pale pictures: none of the error is cut off
        to_rgb.conv.weight.data.mul_(0.1)  # pyright: ignore
    save_checkpoint(net, path)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, model, portrait):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "faces").mkdir()
    write_png(folder / "faces" / "one.png", np.ascontiguousarray(portrait[:256, 96:352]))
    settings = [f"init={model}", f"output={folder}", f"data.folder={folder}/faces", *SMALL.split()]
    assert run(["train", "--config", str(CONFIG), *(word for text in settings for word in ("--set", text))]) == 0
    return folder / "refine_encoder.safetensors"


def refine(*words):
    return run(["refine", "--quiet", "--device", "cpu", *map(str, words)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait):
    pictures = [np.ascontiguousarray(np.roll(portrait[:384, 64:448], 2 * i, axis=1)[::2, ::2]) for i in range(3)]
    return lossless_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", pictures)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, clip, encoder, model):
    path = tmp_path_factory.mktemp("tokens") / "tokens.safetensors"
    assert refine(clip, "--encoder", encoder, "--model", model, "-o", path) == 0
    return path


def test_tokens_of_a_clips_face_draw_it_closer(here, clip, model, encoder, tokens, capsys):
    assert refine(clip, "--encoder", encoder, "--model", model) == 0
    said = capsys.readouterr().out
    before, after = map(float, re.findall(r"([\d.]+) dB", said))
    assert after > before
    assert f"--model {model} --refine output/clip_tokens.safetensors" in said
    path = here / "output" / "clip_tokens.safetensors"
    assert path.read_bytes() == tokens.read_bytes()
    assert path.stat().st_size < 500_000
    with safe_open(path, "pt") as file:
        assert (file.metadata()["picture"], file.metadata()["model"]) == ("clip.mkv", "tiny")


def test_tokens_change_every_frame_of_a_render_the_same_for_any_batch_and_threads(here, clip, model, tokens):
    words = ["--task", "inversion", "--model", model, "--device", "cpu"]
    plain = rendered(clip, here / "plain.mkv", *words)
    first = rendered(clip, here / "first.mkv", *words, "--refine", tokens)
    other = rendered(clip, here / "other.mkv", *words, "--refine", tokens, "--batch-size", 3, "--set", "threads=1")
    assert len(first) == 3
    assert all(not np.array_equal(a, b) for a, b in zip(plain, first, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_picture_gives_its_own_tokens(here, model, encoder, portrait):
    for name, picture in (("a", portrait), ("b", portrait // 2)):
        assert refine(write_png(here / f"{name}.png", picture), "--encoder", encoder, "--model", model) == 0
    with safe_open("output/a_tokens.safetensors", "pt") as a, safe_open("output/b_tokens.safetensors", "pt") as b:
        assert not np.array_equal(a.get_tensor("conv1.conv.p"), b.get_tensor("conv1.conv.p"))


def test_mistakes_are_two_lines_and_leave_nothing(here, model, encoder, portrait, capsys):
    face = write_png(here / "face.png", portrait)
    wall = write_png(here / "wall.png", np.full((96, 96, 3), 90, np.uint8))
    other, sketch = tiny_model(here, "inversion"), tiny_model(here, "sketch_to_face")
    (here / "there.safetensors").write_text("mine")
    good = ["--encoder", encoder, "--model", model]
    before = sorted(here.rglob("*"))
    for words, said, remedy in (
        ([wall, *good], "wall.png: no face", "plainly visible"),
        ([here / "none.png", *good], "none.png: no such file", ""),
        ([face, "--encoder", encoder, "--model", other], "other weights", "`init`"),
        ([face, "--encoder", encoder, "--model", sketch], "does not take pictures of faces", "trained on"),
        ([face, "--encoder", model, "--model", model], "no encoder of tokens", "kind picture"),
        ([face, "--encoder", "none.safetensors", "--model", model], "none.safetensors", "kind picture"),
        ([face, *good, "-o", "tokens.pt"], "tokens are not written as .pt", ".safetensors"),
        ([face, *good, "-o", "there.safetensors"], "exists already", "--overwrite"),
        ([face, *good, "-o", encoder, "--overwrite"], "input and output are the same", "another output"),
    ):
        assert refine(*words) == 2, said
        error, hint = (line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: ")))
        assert said in error
        assert remedy in hint
        assert sorted(here.rglob("*")) == before
    assert run([str(face), "-o", "x.png", "--task", "inversion", "--model", str(model), "--refine", str(encoder)]) == 2
    assert f"refine FACE.png --encoder {encoder}" in capsys.readouterr().err
