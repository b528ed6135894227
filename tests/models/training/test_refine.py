from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import SIZES
from models.refine import load_refine
from models.refine_encoder import RefineEncoder
from models.styleganex import StyleGANEX
from models.training.batches import Batch
from models.training.encoder import render
from models.training.encoder_losses import LossSettings
from models.training.evaluate import compare
from models.training.log import read_losses
from models.training.loop import Run
from models.training.pairs import PairSettings, PairSource
from models.training.refine import RefineLearner, RefineSettings
from models.training.samples import SampleFolder
from models.training.settings import OptimizerSettings, RunSettings
from models.training.views import ViewSettings
from tests.models.training.drawn_heads import make_samples

L2 = LossSettings(l2=1, perceptual_weight=0, identity=0, w_norm=0)


def learner(folder: Path, kind: str, precision: str = "fp32", target: str = "toon3d", **data: Any) -> RefineLearner:
    torch.manual_seed(5)
    net = StyleGANEX(SIZES["tiny"])
    pairs = PairSettings(target=target, scenes=1, **data, view=ViewSettings(crop_px=(64, 64)))
    source = PairSource(SampleFolder(folder), pairs, net.config, 0)
    settings: Any = {"kind": kind, "rank": 2, "width": 16, "precision": precision}
    rates = OptimizerSettings(learning_rate=0.03 if kind == "domain" else 0.003, warmup=0, decay="none")
    return RefineLearner(net, source, L2, rates, RefineSettings(**settings))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"), 3, 96)


@pytest.mark.parametrize("kind", ["domain", "picture"])
def test_tokens_alone_lower_the_loss_and_the_network_stays(folder, kind):
    made = learner(folder, kind)
    before = {key: value.clone() for key, value in made.net.state_dict().items()}
    batch = made.source.batch(0)
    made.source.batch = lambda step: batch  # type: ignore[method-assign]
    losses = [made.step(index, 15)["loss"] for index in range(15)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(value, before[key]) for key, value in made.net.state_dict().items())


def test_tokens_per_picture_draw_pictures_that_were_held_out_closer(tmp_path):
    made = learner(make_samples(tmp_path, 6, 96), "picture", target="image", crops=1, held_out=2)
    generator = made.net.generator
    for to_rgb in (generator.to_rgb1, *generator.to_rgbs):  # pale pictures: none of the error is cut off
        to_rgb.conv.weight.mul_(0.1)  # pyright: ignore
    shown = made.source.preview()
    assert shown.aligned is not None
    assert isinstance(made.tokens, RefineEncoder)
    aligned = shown.aligned[:2]
    held_out = Batch(shown.x[:2], shown.y[:2], aligned)
    before = compare(made.net, held_out, made.tokens)
    assert before["with tokens"].psnr == pytest.approx(before["network"].psnr, abs=1e-3)
    for index in range(40):
        made.step(index, 40)
    after = compare(made.net, held_out, made.tokens)
    swapped = compare(made.net, held_out._replace(aligned=aligned.flip(0)), made.tokens)
    own, others = (scores["with tokens"].psnr - scores["network"].psnr for scores in (after, swapped))
    assert after["network"] == before["network"]
    assert own > 1
    assert own > others + 0.2  # the tokens are of this face, not of any


def test_first_loss_is_that_of_the_plain_network_and_a_resumed_run_repeats(folder, tmp_path):
    run = RunSettings(steps=6, save_every=3)
    whole = Run(learner(folder, "domain"), run, tmp_path / "whole")
    batch = whole.learner.source.batch(0)  # type: ignore[attr-defined]
    with torch.no_grad():
        plain = (render(whole.learner.net, batch).image - batch.y).square().mean().item()  # type: ignore[attr-defined]
    whole.run()
    losses = read_losses(tmp_path / "whole" / "losses.csv")
    assert losses[0][1] == pytest.approx(plain, rel=1e-4)
    Run(learner(folder, "domain"), run, tmp_path / "cut").run(until=4)
    again = Run(learner(folder, "domain"), run, tmp_path / "cut")
    assert again.resume()
    again.run()
    assert read_losses(tmp_path / "cut" / "losses.csv") == losses
    net = load_refine(learner(folder, "domain").net, tmp_path / "cut" / "refine.safetensors")
    assert net.metadata["refine"] == "refine.safetensors"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("kind", ["domain", "picture"])
def test_reduced_precision_makes_the_gradients_of_fp32(folder, kind, precision):
    found = []
    for arithmetic in ("fp32", precision):
        made = learner(folder, kind, arithmetic)
        loss = made.step(0, 10)["loss"]
        found.append((loss, torch.cat([p.grad.flatten() for p in made.tokens.parameters() if p.grad is not None])))
    (usual, wanted), (loss, gradient) = found
    assert loss != usual
    assert torch.cosine_similarity(gradient, wanted, dim=0) > 0.95
    assert gradient.norm().item() == pytest.approx(wanted.norm().item(), rel=0.1)
