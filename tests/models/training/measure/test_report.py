from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.styleganex import StyleGANEX
from models.training.degrade import degrade_image
from models.training.measure.counterpart import bilateral, likeness
from models.training.measure.drawing import draw
from models.training.measure.held_out import Head, head
from models.training.measure.report import Material, measure
from models.training.proportions import Proportions
from models.training.samples import SampleFolder
from tests.models.training.measure.heads import DrawnHeads

NAMES = ["image", "toon3d", "toon_landmarks", "parsing", "landmarks", "attributes"]
STILL = Proportions(jaw=0, brows=0, nose=0, eyes=0, mouth=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("heads")
    for number in range(2):
        np.savez(path / f"{number}.npz", **DrawnHeads(2).load(number, NAMES))  # pyright: ignore[reportArgumentType]
    (path / "heads.json").write_text('{"attributes": ["age", "smile", "eye_size", "hair_r", "hair_g", "hair_b"]}')
    return path


def network(path: Path, **metadata: str) -> Path:
    torch.manual_seed(3)
    save_checkpoint(StyleGANEX(SIZES["tiny"]), path / "net.safetensors", metadata)
    return path / "net.safetensors"


def figures(weights: Path, folder: Path, bent: Proportions | None = None) -> dict[str, float]:
    report = measure(weights, Material(folder, held_out=2, proportions=bent))
    return {figure.name: figure.value for figure in report.figures}


def heads(folder: Path) -> list[Head]:
    return [head(SampleFolder(folder), number, ["toon3d"], STILL) for number in range(2)]


def test_a_bent_target_and_the_true_counterpart_are_told_apart(folder, tmp_path):
    weights = network(tmp_path, task="toonify", style="toon3d")
    found, shown = figures(weights, folder, STILL), heads(folder)
    drawn, smooth = draw(load_checkpoint(weights), shown), [bilateral(item.image) for item in shown]
    for array, title, suffix in (
        ("toon3d", "the true toon3d", ""),
        ("target", "the recipe's target", ", against the recipe's target"),
    ):
        other = [item.arrays[array] for item in shown]
        ours, theirs = likeness(drawn, other).ssim, likeness(smooth, other).ssim
        assert found[f"SSIM to {title}"] == pytest.approx(ours)
        assert found[f"SSIM of the bilateral filter to {title}"] == pytest.approx(theirs)
        assert found[f"SSIM above the bilateral filter's{suffix}"] == pytest.approx(ours - theirs)
    assert found["SSIM to the true toon3d"] != found["SSIM to the recipe's target"]
    plain = figures(weights, folder)
    assert not [name for name in plain if "target" in name]
    assert plain.items() <= found.items()


def test_super_resolution_is_measured_at_the_factors_of_the_task(folder, tmp_path):
    found = figures(network(tmp_path, task="super_resolution"), folder)
    assert {name for name in found if "bicubic" in name} == {
        f"{what} above bicubic, factor {factor}" for what in ("PSNR", "SSIM") for factor in (8, 16, 32)
    }
    shown = heads(folder)
    true, net = [item.image for item in shown], load_checkpoint(tmp_path / "net.safetensors")
    ours = likeness(draw(net, shown, factor=32.0), true).psnr
    plain = likeness([degrade_image(picture, 32.0) for picture in true], true).psnr
    assert found["PSNR above bicubic, factor 32"] == pytest.approx(ours - plain)
