"""Round trips: inversion → save → render is the direct render, bit for bit; every task takes a latent file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.latent_file import load_latents
from run_pipeline import run
from tests.pipeline.tiny import drawing, lossless_clip, rendered, tiny_model, write_png

KINDS = ("inversion", "edit", "plain_edit", "toonify", "super_resolution", "sketch_to_face")
SMALL = ("--set", "crop.eye_distance_px=32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("latents")
    pictures = [np.ascontiguousarray(portrait[20:212, x : x + 160]) for x in (144, 146, 148)]
    write_png(folder / "face.png", pictures[0])
    write_png(folder / "other.png", np.ascontiguousarray(portrait[10:202, 150:310] // 2 + 60))
    lossless_clip(folder / "face.mkv", pictures)
    write_png(folder / "drawing.png", drawing())
    for kind in KINDS:
        tiny_model(folder, kind)
    return folder


@pytest.fixture
def draw(folder, tmp_path):
    """draw(source, task, kind of model, words …) → the frames."""

    def render(source, task, kind, *words):
        output = tmp_path / f"out{(folder / source).suffix}"
        model = ("--task", task, "--model", folder / f"tiny_{kind}.safetensors")
        return rendered(folder / source, output, *model, *SMALL, "--overwrite", *words)

    return render


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("keep", ["[]", "[feature]", "[feature, skips]"])
def test_what_the_encoder_gave_comes_back(draw, tmp_path, keep):
    saved = tmp_path / "a.safetensors"
    direct = draw("face.mkv", "inversion", "edit", "--save-latents", saved, "--set", f"latents.keep={keep}")
    assert same(direct, draw("face.mkv", "inversion", "edit"))
    with load_latents(saved) as latents:
        frames = list(latents)
        assert [frame.index for frame in frames] == [0, 1, 2]
        assert all((frame.faces[0].latent.feature is not None) == ("feature" in keep) for frame in frames)
        assert all(bool(frame.faces[0].latent.skips) == ("skips" in keep) for frame in frames)
    assert same(draw("face.mkv", "inversion", "edit", "--latent", saved), direct)


@pytest.mark.parametrize("source", ["face.png", "face.mkv"])
def test_step_two_comes_back_with_its_feature_and_noise(draw, tmp_path, source):
    saved = tmp_path / "a.safetensors"
    words = ("--steps", "2", "--seed", "7")
    direct = draw(source, "inversion", "inversion", *words, "--save-latents", saved)
    assert not same(direct, draw(source, "inversion", "inversion"))
    with load_latents(saved) as latents:
        face = next(iter(latents)).faces[0]
        assert face.latent.feature is not None
        assert face.noise is not None
        assert latents.info.model == "tiny_inversion"
    assert same(draw(source, "inversion", "inversion", "--latent", saved), direct)


def test_an_inverted_shot_is_edited_at_will(draw, tmp_path):
    """Edits come after what was saved: a file saved beside an edit is the same, and takes any other edit."""
    plain, beside = tmp_path / "plain.safetensors", tmp_path / "beside.safetensors"
    draw("face.mkv", "inversion", "plain_edit", "--save-latents", plain)
    edited = draw("face.mkv", "edit", "plain_edit", "--strength", "0.8", "--save-latents", beside)
    with load_latents(plain) as one, load_latents(beside) as other:
        pairs = zip(one, other, strict=True)
        assert all(torch.equal(a.faces[0].latent.wplus, b.faces[0].latent.wplus) for a, b in pairs)
    assert same(draw("face.mkv", "edit", "plain_edit", "--strength", "0.8", "--latent", plain), edited)


@pytest.mark.parametrize(
    ("task", "kind", "source", "words"),
    [
        ("toonify", "toonify", "face.png", ()),
        ("edit", "edit", "face.png", ("--strength", "0.5")),
        ("super_resolution", "super_resolution", "face.png", ()),
        ("style_mixing", "inversion", "face.png", ("--seed", "3")),
        ("sketch_to_face", "sketch_to_face", "drawing.png", ()),
    ],
)
def test_every_task_takes_a_latent_file(draw, folder, tmp_path, task, kind, source, words):
    saved = tmp_path / "a.safetensors"
    direct = draw(source, task, kind, *words, "--save-latents", saved)
    assert same(draw(source, task, kind, *words, "--latent", saved), direct)
    bare = tmp_path / "mean.npy"
    with load_latents(saved) as latents:
        np.save(bare, 0.5 * next(iter(latents)).faces[0].latent.wplus[0].numpy())
    assert not same(draw(source, task, kind, *words, "--latent", bare), direct)


def test_style_mixing_takes_its_style_from_a_latent_file(draw, folder, tmp_path):
    saved = tmp_path / "other.safetensors"
    draw("other.png", "inversion", "inversion", "--save-latents", saved)
    words = ("--layers", "4-13", "--alpha", "0.8", "--source")
    from_file = draw("face.png", "style_mixing", "inversion", *words, saved)
    assert same(from_file, draw("face.png", "style_mixing", "inversion", *words, folder / "other.png"))


MISTAKES = [
    # task, source, words, what, remedy
    ("inversion", "face.png", ["--latent", "none.safetensors"], "none.safetensors: no such file", "path"),
    ("inversion", "face.png", ["--latent", "wide.npy"], "w+ of [14, 512]", "the latents were made with"),
    ("inversion", "face.mkv", ["--latent", "two.npy"], "no w+ for frame 2", "one for each"),
    ("inversion", "face.png", ["--save-latents", "a.pt"], "a.pt: cannot be written there", ".safetensors"),
    ("inversion", "face.png", ["--save-latents", "there.safetensors"], "exists already", "--overwrite"),
    ("style_mixing", "face.png", ["--variants", "2", "--save-latents", "a.safetensors"], "several pictures", "leave"),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: " ".join(case[2]))
def test_mistakes_are_named_with_a_remedy(folder, tmp_path, monkeypatch, capsys, case):
    task, source, words, what, remedy = case
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.zeros((14, 512), np.float32))
    np.save("two.npy", np.zeros((2, 14, 16), np.float32))
    (tmp_path / "there.safetensors").write_text("precious")
    before = sorted(tmp_path.iterdir())
    model = ["--task", task, "--model", str(folder / "tiny_inversion.safetensors"), *SMALL]
    output = ["-o", f"out{(folder / source).suffix}", "--quiet"]
    assert run([str(folder / source), *model, *words, *output]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert what in error
    assert remedy in hint
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.safetensors").read_text() == "precious"


def test_explain_shows_both(capsys):
    assert run(["explain", "--latent", "a.safetensors", "--save-latents", "b.safetensors"]) == 0
    text = capsys.readouterr().out
    assert text.index("from_latents") < text.index("save_latents") < text.index("synthesize")
    assert run(["explain"]) == 0
    assert "save_latents" not in capsys.readouterr().out
