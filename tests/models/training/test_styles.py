from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from models.config import SIZES
from models.errors import UserError
from models.refine import load_refine
from models.styleganex import StyleGANEX
from models.training.encoder_losses import LossSettings
from models.training.log import read_losses
from models.training.loop import Run
from models.training.pictures import PictureSettings
from models.training.refine import RefineLearner, RefineSettings
from models.training.samples import PictureFolder, SampleFolder
from models.training.settings import OptimizerSettings, RunSettings
from models.training.styles import StylePairs
from tests.models.training.drawn_heads import make_samples

L2 = LossSettings(l2=1, perceptual_weight=0, identity=0, w_norm=0)


@pytest.fixture(scope="module")
def style(tmp_path_factory):
    """Four style pictures and nothing else."""
    path = tmp_path_factory.mktemp("style")
    heads = SampleFolder(make_samples(tmp_path_factory.mktemp("samples"), 4, 96))
    for number in range(4):
        cv2.imwrite(str(path / f"{number}.png"), heads.load(number, ["toon3d"])["toon3d"][:, :, ::-1])
    return path


def learner(style: Path) -> RefineLearner:
    torch.manual_seed(5)
    net = StyleGANEX(SIZES["tiny"])
    source = StylePairs(net, PictureFolder(style), PictureSettings(folder=style, batch=4, mirror=0), 0)
    rates = OptimizerSettings(learning_rate=0.03, warmup=0, decay="none")
    return RefineLearner(net, source, L2, rates, RefineSettings(rank=2))


def test_style_pictures_alone_teach_the_tokens(style, tmp_path):
    made = learner(style)
    before = {key: value.clone() for key, value in made.net.state_dict().items()}
    Run(made, RunSettings(steps=6, save_every=6), tmp_path).run()
    losses = [loss for _, loss in read_losses(tmp_path / "losses.csv")]
    assert losses[-1] < 0.95 * losses[0]
    assert all(torch.equal(value, before[key]) for key, value in made.net.state_dict().items())
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["refine.safetensors"]
    net = load_refine(learner(style).net, tmp_path / "refine.safetensors")
    assert not torch.equal(net.generator.conv1.conv.weight, before["generator.conv1.conv.weight"])


def test_the_input_is_what_the_plain_network_makes_of_the_target(style):
    made = learner(style)
    batch = made.source.preview()
    assert batch.x.shape == batch.y.shape == (4, 3, 256, 256)
    with torch.no_grad():
        drawn = made.net.synthesize(made.net.invert(batch.y, batch.y))
    torch.testing.assert_close(batch.x, drawn.clamp(-1, 1), atol=1e-4, rtol=0)
    sketches = StyleGANEX(replace(SIZES["tiny"], input_channels=1))
    with pytest.raises(UserError, match="cannot invert"):
        StylePairs(sketches, PictureFolder(style), PictureSettings(folder=style), 0)
