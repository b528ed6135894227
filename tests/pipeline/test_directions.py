"""`run_pipeline.py directions`: found, written, shown, and read back by the loader that the edit task uses."""

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.directions import closed_form_directions
from models.directions_file import direction_names, load_direction
from models.styleganex import StyleGANEX
from pipeline.directions import Base, bases_from_seeds, draw, find
from run_pipeline import run
from tests.golden.make_model_goldens import fill

PORTRAIT = Path(__file__).parents[2] / "samples" / "astronaut.jpg"
TINY = replace(SIZES["tiny"], resolution=64, generator_channels=(12, 12, 10, 10, 8), num_skips=4)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(fill(StyleGANEX(TINY)), path)
    return path


@pytest.fixture(scope="module")
def net(model):
    return load_checkpoint(model).requires_grad_(False)


def directions(model, *words):
    return run(["directions", "--quiet", "--device", "cpu", "--model", str(model), *map(str, words)])


def test_file_and_sheet_from_a_seed(here, model, net, capsys):
    assert directions(model, "--count", "3", "--layers", "2-5", "--strengths=-2,0,2") == 0
    said = capsys.readouterr().out
    assert "sefa2" in said
    assert f"--model {model} --direction output/tiny_sefa.safetensors:sefa0" in said
    path = here / "output" / "tiny_sefa.safetensors"
    found = closed_form_directions(net, layers=range(2, 6), count=3)
    assert direction_names(path) == ("sefa0", "sefa1", "sefa2")
    assert torch.equal(load_direction(f"{path}:sefa1", TINY), found.vectors[1])
    with safe_open(path, "pt") as file:
        assert file.metadata()["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    sheet = np.asarray(cv2.imread(str(path.with_suffix(".png"))))
    assert sheet.shape[0] > 3 * 64
    assert sheet.shape[1] > 3 * 64
    assert sorted(p.name for p in (here / "output").iterdir()) == ["tiny_sefa.png", "tiny_sefa.safetensors"]


def test_principal_components_on_a_face(here, model):
    words = ["--method", "pca", "--count", "2", "--samples", "500", "--seed", "4", "--image", PORTRAIT]
    assert directions(model, *words, "-o", "a.safetensors", "--sheet", "sheet.png", "--strengths=0,2") == 0
    assert sorted(p.name for p in here.iterdir()) == ["a.safetensors", "sheet.png"]
    assert directions(model, *words, "-o", "b.safetensors", "--no-sheet") == 0
    assert (here / "a.safetensors").read_bytes() == (here / "b.safetensors").read_bytes()


@torch.inference_mode()
def test_rows_are_what_the_network_draws(net):
    found = find(net, "sefa", 2, range(TINY.num_styles), samples=0, seed=0)
    bases = bases_from_seeds(net, [3, 8], truncation=0.7)
    rows, labels = draw(net, found, bases, [-1.0, 0.0, 4.0])
    assert labels == ["sefa0, seed 3", "sefa0, seed 8", "sefa1, seed 3", "sefa1, seed 8"]
    assert [len(row) for row in rows] == [3] * 4
    assert np.array_equal(rows[0][1], rows[2][1])
    assert not np.array_equal(rows[0][2], rows[2][2])
    latent = bases[1].latent
    image = net.synthesize(latent, edit=4 * found.vectors[1:2], noise="stored")[0].clamp(-1, 1)
    expected = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(rows[3][2], expected)


def test_large_pictures_are_reduced(net):
    content = net.encode_content(torch.rand(1, 3, 1024, 512))
    base = Base("window", bases_from_seeds(net, [0], 1.0)[0].latent._replace(feature=content.feature), None)
    rows, labels = draw(net, closed_form_directions(net, count=1), [base], [0.0])
    assert rows[0][0].shape == (192, 96, 3)
    assert labels == ["sefa0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--count", "17"], "16 dimensions"),
        (["--layers", "3-11"], "layers '3-11'"),
        (["--method", "pca", "--samples", "5"], "5 samples"),
        (["--strengths", "a"], "strengths 'a'"),
        (["--strengths", "nan,1"], "strengths 'nan,1'"),
        (["--seeds", "0-9999"], "sheet: 500"),
        (["-o", "a.pt"], "a.pt: directions are not written as .pt"),
        (["-o", "a"], "a: directions are not written as a folder"),
        (["--sheet", "a.xyz"], ".xyz files cannot be written"),
        (["--image", "none.png"], "none.png: no such file"),
        (["-o", "/proc/none/a.safetensors", "--sheet", "a.png"], "cannot be written"),
    ],
)
def test_mistakes_leave_nothing(here, model, capsys, words, said):
    assert directions(model, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert said in lines[0]
    assert not [path for path in here.rglob("*") if path.is_file()]


def test_a_model_without_pictures_and_one_without_a_mapping(here, capsys):
    save_checkpoint(fill(StyleGANEX(replace(TINY, has_encoder=False, num_skips=0))), "g.safetensors")
    assert directions("g.safetensors", "--image", PORTRAIT) == 2
    assert "does not take pictures of faces" in capsys.readouterr().err
    save_checkpoint(fill(StyleGANEX(TINY)), "m.safetensors", {"can_sample": "no"})
    assert directions("m.safetensors", "--method", "pca", "--no-sheet") == 2
    assert "mean nothing" in capsys.readouterr().err
    assert directions("m.safetensors", "--count", "1", "--no-sheet") == 0
    assert directions("m.safetensors", "--count", "1", "--no-sheet") == 2
    assert "exists already" in capsys.readouterr().err
