import re
from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.directions import closed_form_directions, save_directions
from models.styleganex import StyleGANEX
from models.training.log import read_losses
from pipeline.cli import main
from pipeline.errors import ConfigError, UserError
from pipeline.train import load_train_config, train_from_yaml
from pipeline.train_config import decisions
from run_pipeline import run
from tests.models.training.drawn_heads import make_samples

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(CONFIGS.glob("train_*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_has_its_own_folder(path):
    config, model = load_train_config(path)
    assert config.output.endswith(path.stem)
    if config.recipe == "encoder":
        assert set(yaml.safe_load(path.read_text())["loss"]) >= {"l2", "perceptual_weight", "identity", "w_norm"}
    if path.stem.startswith("train_full") and config.recipe == "encoder":
        assert model.resolution == 1024
        assert (config.loss.l2, config.loss.perceptual_weight) == (1.0, 0.8)


def test_tiny_recipe_as_it_stands_learns_and_gives_weights_that_load(tmp_path, capsys):
    """Nothing is changed but where the output goes; the factor is the one that the recipe states."""
    command = ["train", "--config", str(CONFIGS / "train_tiny.yaml"), "--set", f"output={tmp_path / 'out'}"]
    assert main(command) == 0
    assert load_checkpoint(tmp_path / "out" / "weights.safetensors").metadata["steps"] == "40"
    steps, losses = zip(*read_losses(tmp_path / "out" / "losses.csv"), strict=True)
    assert list(steps) == list(range(1, 41))
    assert sum(losses[-10:]) < 2 / 3 * sum(losses[:10])
    assert main(command) == 0  # nothing left to do
    assert capsys.readouterr().out == 2 * f"finished at step 40: {tmp_path / 'out' / 'weights.safetensors'}\n"


def tiny(folder: Path, **settings: object) -> list[str]:
    """Command line of a run of train_tiny that takes seconds; dots in the settings' names are written as __."""
    chosen = {"output": folder, "data__at_hand": 2, "optimizer__warmup": 0, "run__save_every": 1} | settings
    parts = [("--set", f"{name.replace('__', '.')}={value}") for name, value in chosen.items()]
    return ["train", "--config", str(CONFIGS / "train_tiny.yaml"), *(word for part in parts for word in part)]


def test_a_rate_that_is_too_high_leaves_a_checkpoint_that_a_lower_one_goes_on_from(tmp_path, capsys):
    out = tmp_path / "out"
    assert run(tiny(out, run__steps=30, run__explode_steps=2, optimizer__learning_rate=0.3)) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert re.search(r"error: .*, at step \d+; no checkpoint was saved yet", error)
    assert hint == "hint: lower optimizer.learning_rate and run it again"
    assert not (out / "checkpoint.pt").exists()
    assert run(tiny(out, run__steps=3)) == 0
    assert run(tiny(out, run__steps=30, run__explode_steps=2, optimizer__learning_rate=0.3)) == 2
    error, _ = capsys.readouterr().err.splitlines()[-2:]
    assert re.search(rf"error: .*, at step \d+; the last good checkpoint is {out / 'checkpoint.pt'}", error)
    assert run(tiny(out, run__steps=6)) == 0
    losses = read_losses(out / "losses.csv")
    assert [step for step, _ in losses] == list(range(1, 7))
    assert max(loss for _, loss in losses) < 4


def test_a_folder_of_another_configuration_is_refused(tmp_path, capsys):
    assert run(tiny(tmp_path / "out", run__steps=1)) == 0
    free = {"run__steps": 2, "run__save_every": 5, "optimizer__learning_rate": 0.001, "threads": 1, "device": "cpu"}
    (tmp_path / "out").rename(tmp_path / "moved")
    usual = decisions(*load_train_config(CONFIGS / "train_tiny.yaml"))
    assert run(tiny(tmp_path / "moved", **free)) == 0
    assert run(tiny(tmp_path / "moved", **free, model="{size: tiny, style_dim: 16}")) == 0  # the same in other words
    ada = {"loss.adversary.ada": {}, "loss.adversarial": 0.1}
    found = decisions(*load_train_config(CONFIGS / "train_tiny.yaml", ada))
    assert found == usual | {"loss.adversary.ada": "{}", "loss.adversarial": "0.1"}
    for other in ({"data__crop_px": 96}, {"model": "{size: tiny, style_dim: 24}"}, {"run__seed": 1}):
        assert run(tiny(tmp_path / "moved", **free | other)) == 2
        error = capsys.readouterr().err.splitlines()[-2]
        assert "checkpoint.pt: was made with" in error
        assert ("style_dim" if "model" in other else next(iter(other)).replace("__", ".")) in error


def test_generator_and_tokens_train_from_yaml(tmp_path):
    heads = make_samples(tmp_path / "heads", 3, 64)
    shared = {"run.steps": 1, "data.folder": str(heads)}
    widths = [4, 4, 4, 4, 4]
    model = {"has_encoder": False, "num_skips": 0, "resolution": 64, "style_dim": 8, "generator_channels": widths}
    small = {"model": model, "data.batch": 2, "adversary.channels": 4, "output": str(tmp_path / "g")}
    path = train_from_yaml(CONFIGS / "train_lite_generator.yaml", shared | small)
    assert not load_checkpoint(path).config.has_encoder
    view = {"data.view.crop_px": [32, 32]}
    path = train_from_yaml(CONFIGS / "train_lite_refine.yaml", shared | view | {"output": str(tmp_path / "r")})
    assert 50_000 < path.stat().st_size < 400_000
    assert path == tmp_path / "r" / "refine.safetensors"
    pictures = {"data": STYLE | {"folder": str(heads)}, "output": str(tmp_path / "s"), "run.steps": 1}
    train_from_yaml(CONFIGS / "train_lite_refine.yaml", pictures)
    assert [path.name for path in (tmp_path / "s").glob("*.safetensors")] == ["refine.safetensors"]


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """Two tiny generators, directions of the first, and what makes a full recipe small."""
    folder = tmp_path_factory.mktemp("generators")
    for seed, name in enumerate(("original", "toonified")):
        torch.manual_seed(seed)
        save_checkpoint(StyleGANEX(SIZES["tiny"]), folder / f"{name}.safetensors")
    found = closed_form_directions(load_checkpoint(folder / "original.safetensors"), count=3)
    save_directions(folder / "directions.safetensors", found)
    loss = {"l2": 1, "perceptual_weight": 0, "identity": 0}
    small = {"data.batch": 1, "data.view.crop_px": [64, 64], "run.steps": 1, "threads": 1, "loss": loss}
    start = str(folder / "original.safetensors")
    return folder, small | {"init": start, "data.original": start}


def test_a_toonify_model_has_the_toonified_generator(generators, tmp_path):
    """Spec §5: the decoder weights are the toonified generator's; the encoder learns."""
    folder, small = generators
    files = {"data.toonified": str(folder / "toonified.safetensors"), "output": str(tmp_path)}
    path = train_from_yaml(CONFIGS / "train_full_toonify.yaml", small | files | {"model": {"size": "tiny"}})
    made, start, toon = (load_checkpoint(file) for file in (path, small["init"], files["data.toonified"]))
    theirs, before = toon.generator.state_dict(), start.generator.state_dict()
    assert not all(torch.equal(theirs[key], before[key]) for key in theirs)
    assert all(torch.equal(value, theirs[key]) for key, value in made.generator.state_dict().items())
    learned, begun = made.state_dict(), start.state_dict()
    assert [key for key in begun if key.startswith("encoder.") and not torch.equal(learned[key], begun[key])]


@pytest.mark.parametrize(("chosen", "names"), [(":sefa2", ["sefa2"]), ("", ["sefa0", "sefa1", "sefa2"])])
def test_edits_are_trained_along_the_directions_of_a_file(generators, tmp_path, chosen, names):
    folder, small = generators
    file = {"data.directions": str(folder / "directions.safetensors") + chosen, "data.direction_unit": 4}
    changes = {"model": {"size": "tiny", "attention": 1}, "output": str(tmp_path)}
    made = load_checkpoint(train_from_yaml(CONFIGS / "train_full_edit.yaml", small | changes | file))
    assert made.metadata["directions"] == ",".join(names)
    vectors = closed_form_directions(load_checkpoint(small["init"]), count=3).vectors
    torch.testing.assert_close(made.editing_w, 4 * vectors[[int(name[-1]) for name in names]])


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"data.directions": None}, "model.attention: 1 is for edits"),
        ({"data.directions": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"data.toonified": "toon.safetensors"}, "targets are one or the other"),
        ({"model": {"size": "tiny"}, "data.directions": None, "data.toonified": "LITE"}, "data.toonified"),
        ({"recipe": "refine"}, "recipe refine does not read this section"),
    ],
)
def test_mistakes_about_edits_and_toons_are_named(generators, tmp_path, settings, what):
    folder, small = generators
    settings = {key: LITE if value == "LITE" else value for key, value in settings.items()}
    file = {"data.directions": str(folder / "directions.safetensors"), "model": {"size": "tiny", "attention": 1}}
    with pytest.raises(UserError) as caught:
        train_from_yaml(CONFIGS / "train_full_edit.yaml", small | file | settings | {"output": str(tmp_path)})
    assert what in caught.value.what


LITE = str(CONFIGS.parent / "models" / "weights" / "lite_toon.safetensors")
HEADS = {"kind": "samples", "folder": "HERE"}
PICTURES = {"kind": "pictures", "folder": "HERE"}
SMALL = {"has_encoder": False, "num_skips": 0, "resolution": 64, "generator_channels": [4] * 5, "style_dim": 8}
NO_LOSS = {"l2": 0, "perceptual_weight": 0, "identity": 0, "w_norm": 0}
SKETCHES, MASKS = ({"data": HEADS | {"input": name, "held_out": 1}} for name in ("sketch", "parsing"))
STYLE = {"kind": "pictures", "folder": "HERE", "array": "toon3d", "batch": 1}


@pytest.mark.parametrize(
    ("name", "settings", "what"),
    [
        ("train_tiny", {"run.stepps": 3}, "run.stepps"),
        ("train_tiny", {"model.size": "huge"}, "huge"),
        ("train_tiny", {"model.wings": 2}, "wings"),
        ("train_tiny", {"data.kind": "clouds"}, "data"),
        ("train_tiny", {"data": {"kind": "samples", "folder": "nowhere"}}, "nowhere"),
        ("train_tiny", {"data": {"kind": "pictures", "folder": "nowhere"}}, "no pairs"),
        ("train_lite_refine", {"init": None}, "init"),
        ("train_lite_refine", {"data": STYLE, "refine": {"kind": "picture"}}, "refine.kind: domain"),
        ("train_lite_refine", {"data": STYLE, "init": LITE.replace("toon", "sketch")}, "cannot invert"),
        ("train_lite_refine_inversion", {"init": LITE.replace("toon", "sketch")} | SKETCHES, "refine.kind: picture"),
        ("train_lite_refine_inversion", {"init": LITE.replace("toon", "mask")} | MASKS, "cannot invert"),
        ("train_tiny", {"loss.adversary.r1": 10}, "loss.adversary: set, but loss.adversarial is 0"),
        ("train_tiny", {"data": HEADS, "loss.perceptual": "lpips", "loss.lpips_folder": "nowhere"}, "lpips"),
        ("train_tiny", {"data": HEADS, "loss.identity": 0.1}, "arcface"),
        ("train_tiny", {"data": HEADS | {"input": "sketch"}}, "input_channels: 1"),
        ("train_tiny", {"data.at_handd": 3}, "data.at_handd: no such setting (did you mean at_hand?)"),
        ("train_tiny", {"run.steps": 0}, "pipeline/train_config.py"),
        ("train_tiny", {"device": "cuda:99"}, "device: cuda:99"),
        ("train_tiny", {"device": "foo"}, "device: foo"),
        ("train_tiny", {"device": "cpu,cpu"}, "torchrun"),
        ("train_tiny", {"data.at_hand": 2, "loss": NO_LOSS}, "every weight is 0"),
        ("train_tiny", {"data.at_hand": 2, "loss": NO_LOSS | {"temporal": 30}}, "every weight is 0"),
        ("train_tiny", {"data.crop_px": 400}, "data.crop_px: 400: more than data.scene_px, 192"),
        ("train_lite", {"data": {"kind": "photographs", "scene_px": 64}}, "data.crop_px: 128: more than"),
        ("train_tiny", {"data": HEADS | {"view": {"crop_px": [96, 64]}}}, "data.view.crop_px: [96, 64]"),
        ("train_tiny", {"data": HEADS | {"view": {"crop_px": [0, 64]}}}, "data.view.crop_px: [0, 64]"),
        ("train_tiny", {"data": HEADS | {"view": {"eye_distance_px": [0, 64]}}}, "data.view.eye_distance_px"),
        ("train_tiny", {"data": HEADS | {"degrade": [0, 4]}}, "data.degrade: [0, 4]"),
        ("train_tiny", {"output": "README.md"}, "output: README.md"),
        ("train_tiny", {"generator.learning_rate": 0.1}, "generator: recipe encoder does not read"),
        ("train_lite_generator", {"optimizer.learning_rate": 0.1}, "optimizer: recipe generator does not read"),
        ("train_lite_generator", {"encoder.precision": "bf16"}, "encoder: recipe generator does not read"),
        ("train_lite_refine", {"model.size": "tiny"}, "model: recipe refine does not read"),
        ("train_lite_generator", {"adversary.resolution": 100}, "adversary.resolution: 100: a power of two"),
        ("train_lite_generator", {"model": SMALL, "data": PICTURES, "adversary.resolution": 128}, "draws 64"),
        ("train_lite_generator", {"model": SMALL, "data": PICTURES | {"array": "toon"}}, "no array 'toon'"),
    ],
)
def test_mistakes_are_named(tmp_path, name, settings, what):
    if "data" in settings and settings["data"].get("folder") == "HERE":
        settings = settings | {"data.folder": str(make_samples(tmp_path / "heads", 1, 64))}
    with pytest.raises(UserError) as caught:
        train_from_yaml(CONFIGS / f"{name}.yaml", {"output": str(tmp_path / "out")} | settings)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_that_are_no_settings_are_refused():
    with pytest.raises(ConfigError, match="no value"):
        main(["train", "--config", str(CONFIGS / "train_tiny.yaml"), "--set", "run.steps"])
