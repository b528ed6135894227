from pathlib import Path

import pytest
import yaml

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.checkpoint import load_checkpoint
from models.training.log import read_losses
from pipeline.cli import main
from pipeline.errors import ConfigError, UserError
from pipeline.train import load_train_config, train_from_yaml
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


def test_tiny_recipe_from_the_command_line_gives_weights_that_load(tmp_path):
    settings = {"output": tmp_path / "out", "run.steps": 3, "run.save_every": 2, "data.at_hand": 2}
    command = ["train", "--config", str(CONFIGS / "train_tiny.yaml")]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    assert main(command) == 0
    assert load_checkpoint(tmp_path / "out" / "weights.safetensors").metadata["steps"] == "3"
    assert [step for step, _ in read_losses(tmp_path / "out" / "losses.csv")] == [1, 2, 3]
    assert main(command) == 0  # finished: nothing left to do


def test_generator_and_tokens_train_from_yaml(tmp_path):
    heads = make_samples(tmp_path / "heads", 3, 64)
    shared = {"run.steps": 1, "data.folder": str(heads)}
    widths = [4, 4, 4, 4, 4]
    model = {"has_encoder": False, "num_skips": 0, "resolution": 64, "style_dim": 8, "generator_channels": widths}
    small = {"model": model, "data.batch": 2, "adversary.channels": 4, "output": str(tmp_path / "g")}
    path = train_from_yaml(CONFIGS / "train_lite_generator.yaml", shared | small)
    assert not load_checkpoint(path).config.has_encoder
    view = {"data.view.crop_px": [32, 32]}
    train_from_yaml(CONFIGS / "train_lite_refine.yaml", shared | view | {"output": str(tmp_path / "r")})
    assert 50_000 < (tmp_path / "r" / "refine.safetensors").stat().st_size < 400_000


HEADS = {"kind": "samples", "folder": "HERE"}


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
        ("train_tiny", {"data": HEADS, "loss.perceptual": "lpips", "loss.lpips_folder": "nowhere"}, "lpips"),
        ("train_tiny", {"data": HEADS, "loss.identity": 0.1}, "arcface"),
        ("train_tiny", {"data": HEADS | {"input": "sketch"}}, "input_channels: 1"),
    ],
)
def test_mistakes_are_named(tmp_path, name, settings, what):
    if "data" in settings and settings["data"]["folder"] == "HERE":
        settings = settings | {"data.folder": str(make_samples(tmp_path / "heads", 1, 64))}
    with pytest.raises(UserError) as caught:
        train_from_yaml(CONFIGS / f"{name}.yaml", settings | {"output": str(tmp_path / "out")})
    assert what in f"{caught.value.what} {caught.value.remedy}"


def test_words_that_are_no_settings_are_refused():
    with pytest.raises(ConfigError, match="no value"):
        main(["train", "--config", str(CONFIGS / "train_tiny.yaml"), "--set", "run.steps"])
