"""What a user can do wrong with a task: exit status 2, one line what, one line the remedy, nothing left behind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from run_pipeline import run
from tests.pipeline.tiny import drawing, labels, tiny_model, write_png


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("errors")
    face = np.ascontiguousarray(portrait[20:212, 144:304])
    write_png(folder / "face.png", face)
    write_png(folder / "tiny_face.png", np.asarray(cv2.resize(face, (40, 48), interpolation=cv2.INTER_AREA)))
    write_png(folder / "drawing.png", drawing())
    write_png(folder / "negative.png", 255 - drawing())
    wrong = labels()
    wrong[60:70, 60:70] = 19
    write_png(folder / "wrong_labels.png", wrong)
    np.save(folder / "short.npy", np.zeros(7, np.float32))
    np.save(folder / "layers.npy", np.zeros((18, 16), np.float32))
    np.save(folder / "codes.npy", np.zeros((1, 18, 512), np.float32))
    torch.save({"a": torch.zeros(14, 16), "b": torch.zeros(14, 16)}, folder / "two.pt")
    (folder / "text.pt").write_text("not a direction")
    for kind in ("toonify", "edit", "sketch_to_face", "mask_to_face", "super_resolution", "inversion", "sample"):
        tiny_model(folder, kind)
    return folder


EDIT = "--task edit --model tiny_edit.safetensors"
TOON = "--task toonify --model tiny_toonify.safetensors"
SKETCH = "--task sketch_to_face --model tiny_sketch_to_face.safetensors"
MASK = "--task mask_to_face --model tiny_mask_to_face.safetensors"
SR = "--task super_resolution --model tiny_super_resolution.safetensors"
MIX = "--task style_mixing --model tiny_inversion.safetensors"
CASES = {
    # words: (what the error says, what the remedy says)
    f"{EDIT} --direction short.npy face.png": ("short.npy: has shape [7]", "made for a model of this size"),
    f"{EDIT} --direction layers.npy face.png": ("[18, 16], this model needs [16], [14, 16]", "of this size"),
    f"{EDIT} --direction text.pt face.png": ("text.pt: ", ""),
    f"{EDIT} --direction none.npy face.png": ("none.npy: no such file", "direction file"),
    f"{EDIT} --direction two.pt face.png": ("holds 2 directions: a, b", "two.pt:NAME"),
    f"{EDIT} --direction two.pt:c face.png": ("no direction c", "a, b"),
    f"{EDIT} --direction beard face.png": ("no such direction (it has: age, smile)", "a direction file"),
    f"{EDIT} --layers 3-14 face.png": ("3-14 reaches outside this model", "0 to 13"),
    f"{EDIT} --strength a.lot face.png": ("task.strength", "explain"),
    "--task edit --model tiny_toonify.safetensors face.png": ("cannot do edit: it was made for toonify", "edit_age"),
    "--task toonify --model tiny_sketch_to_face.safetensors face.png": ("made for sketch_to_face", "toonify"),
    "--task toonify --model tiny_inversion.safetensors face.png": ("draws photographs", "--generator"),
    "--task toonify --model tiny_sample.safetensors face.png": ("made for sample", "toonify"),
    "--task sketch_to_face --model tiny_toonify.safetensors drawing.png": ("cannot do sketch", "sketch2face"),
    f"{TOON} --strength 0.5 face.png": ("the original generator", "--original"),
    f"{TOON} --strength 1.5 face.png": ("task.strength: 1.5: input should be less", "explain"),
    f"{TOON} --generator none.pt face.png": ("none.pt", "models list"),
    f"{SKETCH} face.png": ("not a line drawing", "--source photo"),
    f"{SKETCH} negative.png": ("not dark lines on white", "invert the drawing"),
    f"{MASK} wrong_labels.png": ("19", "0–18"),
    f"{MASK} face.png": ("not a label map", "--source photo"),
    f"{MASK} --source photo face.png": ("faceparsing.pth: the face-parsing network is not here", "models fetch"),
    f"{MASK} --source photo --set task.parser=text.pt face.png": ("text.pt", ""),
    f"{SR} --factor 3 face.png": ("a factor of 3: outside the model's range", "4 to 48"),
    f"{SR} --factor 64 face.png": ("a factor of 64: outside the model's range", "4 to 48"),
    f"{SR} --factor many face.png": ("task.factor", "explain"),
    f"{MIX} --source drawing.png face.png": ("drawing.png: no face", "plainly visible"),
    f"{MIX} --source none.png face.png": ("none.png", ""),
    f"{MIX} --source codes.npy face.png": ("w+ of [18, 512], this model needs [14, 16]", "the latents were made with"),
    f"{MIX} --alpha 2 face.png": ("task.alpha", "explain"),
}


@pytest.mark.parametrize("words", CASES)
def test_mistakes_are_named_with_a_remedy(folder, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(tmp_path / "weights"))
    assert run([*words.split(), "-o", str(tmp_path / "out.png"), "--quiet"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    what, remedy = CASES[words]
    assert what in lines[0]
    assert remedy in lines[1]
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_a_face_too_small_for_the_model(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = [*SR.split(), "tiny_face.png", "-o", str(tmp_path / "out.png"), "--set", "crop.eye_distance_px=256"]
    assert run(words) == 2
    assert "enlarged" in capsys.readouterr().err


def test_a_task_without_any_model(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(tmp_path / "weights"))
    words = ["--task", "sketch_to_face", str(folder / "drawing.png"), "-o", str(tmp_path / "out.png"), "--quiet"]
    monkeypatch.setattr("models.zoo.WEIGHTS", tmp_path)  # whatever models come to be embedded
    assert run(words) == 2
    assert "models fetch styleganex_sketch2face" in capsys.readouterr().err
