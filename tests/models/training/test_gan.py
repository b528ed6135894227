from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import ModelConfig
from models.errors import ModelError, UserError
from models.styleganex import StyleGANEX
from models.training.adversary import AdversarySettings
from models.training.augment import AdaptiveAugment, AdaSettings, draw_colour, draw_geometry
from models.training.discriminator import Discriminator, minibatch_deviation
from models.training.gan import GeneratorLearner, GeneratorSettings
from models.training.log import read_losses
from models.training.loop import Run
from models.training.pictures import PictureSettings, PictureSource
from models.training.samples import open_samples
from models.training.settings import RunSettings
from models.training.transfer import main, native_size, swap_layers, take_fitting
from tests.models.training.drawn_heads import make_samples

SMALL = ModelConfig(
    resolution=64, style_dim=8, mapping_layers=2, generator_channels=(6, 6, 6, 6, 4), has_encoder=False, num_skips=0
)
ADVERSARY = AdversarySettings(channels=6, r1=1.0, r1_every=4, ada=AdaSettings(start=0.2, images_to_one=200))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"), 6, 64)


def learner(folder, init=None, seed=0, adversary=ADVERSARY, **settings: Any) -> GeneratorLearner:
    pictures = PictureSettings(folder=folder, batch=2)
    source = PictureSource(open_samples(folder), pictures, SMALL.resolution, seed)
    chosen = GeneratorSettings(**settings)
    return GeneratorLearner(SMALL, source, chosen, adversary, seed=seed, batch=2, init=init)


def test_generator_trains_to_a_file_that_samples_and_resumes_exactly(folder, tmp_path):
    run = RunSettings(steps=5, save_every=2)
    Run(learner(folder), run, tmp_path / "whole").run()
    Run(learner(folder), run, tmp_path / "cut").run(until=3)
    again = Run(learner(folder), run, tmp_path / "cut")
    assert again.resume()
    again.run()
    assert read_losses(tmp_path / "cut" / "losses.csv") == read_losses(tmp_path / "whole" / "losses.csv")
    header, *rows = (line.split(",") for line in (tmp_path / "cut" / "losses.csv").read_text().splitlines())
    p = [float(row[header.index("ada_p")]) for row in rows]
    assert p[0] != p[-1]
    assert {"path_length", "r1", "discriminator"} <= set(header)
    net = load_checkpoint(tmp_path / "cut" / "weights.safetensors")
    assert net.sample(torch.zeros(1, 8)).shape == (1, 3, 64, 64)
    assert net.latent_avg is not None
    assert net.latent_avg.abs().sum() > 0
    assert net.metadata["can_sample"] == "yes"


def test_transfer_starts_from_the_other_domain_and_can_keep_the_mapping(folder):
    torch.manual_seed(3)
    parent = StyleGANEX(SMALL)
    made = learner(folder, init=parent, freeze_mapping=True)
    made.step(0, 10)
    theirs, mine = parent.generator.state_dict(), made.net.generator.state_dict()
    changed = {key.split(".")[0] for key in mine if not torch.equal(mine[key], theirs[key])}
    assert "mapping" not in changed
    assert {"convs", "conv1"} <= changed
    other = StyleGANEX(replace(SMALL, style_dim=4, generator_channels=(3, 3, 3, 3, 2)))
    with pytest.raises(UserError, match="no convolution"):
        take_fitting(other, parent)


def test_generator_that_is_far_too_bright_learns_the_colours(folder):
    """Against a discriminator, a few steps bring the samples' colours towards the pictures'."""
    made = learner(folder, learning_rate=0.05, path_length=0.0, ema_images=5)
    real = torch.cat([made._source.batch(step) for step in range(3)]).mean(dim=(0, 2, 3))
    z = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for net in (made.net, made.average):
            net.generator.to_rgbs[-1].get_parameter("bias").add_(3.0)

    def distance() -> float:
        with torch.no_grad():
            return (made.average.sample(z).mean(dim=(0, 2, 3)) - real).norm().item()

    before = distance()
    for index in range(16):
        torch.manual_seed(index)
        made.step(index + 1, 40)
    assert distance() < 0.9 * before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_makes_the_gradients_of_fp32(folder, precision):
    def gradients(precision: str) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        torch.manual_seed(4)
        made = learner(folder, precision=precision)
        numbers = made.step(0, 10)  # with R1 and path length
        first, second = (
            torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
            for net in (made.net, made.adversary.net)
        )
        return first, second, numbers

    *wanted, usual = gradients("fp32")
    *found, numbers = gradients(precision)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.cosine_similarity(ours, theirs, dim=0) > 0.98
        assert ours.norm().item() == pytest.approx(theirs.norm().item(), rel=0.1)
    assert numbers != usual  # it was another arithmetic
    assert numbers["path_length"] == usual["path_length"]  # before any step, and fp32


def test_accumulated_batches_are_one_larger_batch_to_both_networks(folder, monkeypatch):
    """Without what is drawn per picture or looks across the batch."""
    plain = AdversarySettings(channels=6, r1=1.0, r1_every=1)
    gradients, rows = [], []
    for count in (1, 2):
        made = learner(folder, adversary=plain, accumulate=count, path_length=0, mixing=0)
        made.adversary.net.group = 1
        drawn = torch.randn(4, SMALL.style_dim, generator=torch.Generator().manual_seed(1))
        real = torch.cat([made._source.batch(step) for step in (0, 1)])
        wplus = made.net.mapping(drawn).detach()[:, None].expand(-1, SMALL.num_styles, -1)
        monkeypatch.setattr(made, "_latents", Mock(side_effect=wplus.split(4 // count)))
        monkeypatch.setattr(made, "_draw", made.net.generator)
        monkeypatch.setattr(made._source, "batch", Mock(side_effect=real.split(4 // count)))
        rows.append(made.step(0, 10))
        parameters = [*made.net.parameters(), *made.adversary.net.parameters()]
        gradients.append([p.grad for p in parameters if p.grad is not None])
    assert rows[1] == pytest.approx(rows[0], rel=1e-4)
    for whole, parts in zip(*gradients, strict=True):
        assert torch.allclose(whole, parts, atol=1e-4 * whole.abs().max().item() + 1e-7)


def test_learning_rates_are_those_of_the_settings_also_after_a_resume(folder, tmp_path):
    run = RunSettings(steps=2, save_every=1)
    Run(learner(folder), run, tmp_path).run(until=1)
    lower = ADVERSARY.model_copy(update={"learning_rate": 1e-4})
    again = learner(folder, adversary=lower, learning_rate=1e-5)
    resumed = Run(again, run, tmp_path)
    assert resumed.resume()
    resumed.run()
    assert again.descent.optimizer.param_groups[0]["lr"] == pytest.approx(1e-5 * 4 / 5)
    assert again.adversary._descent.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4 * 4 / 5)


def test_a_discriminator_has_a_size_that_there_is(folder):
    with pytest.raises(ValueError, match="power of two"):
        AdversarySettings(resolution=100)
    with pytest.raises(UserError, match="draws 64"):
        learner(folder, adversary=AdversarySettings(resolution=128))


def test_swapped_layers_come_from_their_sizes():
    torch.manual_seed(0)
    coarse, fine = StyleGANEX(SMALL), StyleGANEX(SMALL)
    mixed = swap_layers(coarse, fine, 16)
    for key, value in mixed.generator.state_dict().items():
        size = native_size(key)
        source = coarse if size is None or size <= 16 else fine
        assert torch.equal(value, source.generator.state_dict()[key])
    assert {native_size(key) for key in mixed.generator.state_dict()} == {None, 4, 8, 16, 32, 64}
    z = torch.randn(1, 8)
    assert torch.equal(swap_layers(coarse, fine, 64).sample(z), coarse.sample(z))
    with pytest.raises(ModelError, match="128"):
        swap_layers(coarse, fine, 128)


def test_layers_are_swapped_from_the_command_line_or_the_mistake_is_named(tmp_path, capsys):
    coarse, fine, mixed = (str(tmp_path / f"{name}.safetensors") for name in ("coarse", "fine", "mixed"))
    for path in (coarse, fine):
        save_checkpoint(StyleGANEX(SMALL), path)
    assert main([coarse, fine, "16", mixed]) == 0
    assert load_checkpoint(mixed).config == SMALL
    mistakes = (
        ["nothing.pt", fine, "16", mixed],
        [coarse, fine, "15", mixed],
        [coarse, fine, "16", "nowhere/mixed.pt"],
    )
    for arguments, what in zip(mistakes, ("nothing.pt", "size 15", "nowhere"), strict=True):
        assert main(arguments) == 2
        error, fix = capsys.readouterr().err.splitlines()
        assert what in error
        assert fix.startswith("hint: ")


def test_discriminator_sees_other_samples_of_its_group():
    torch.manual_seed(0)
    net = Discriminator((4, 4, 6), group=2)
    assert net.resolution == 16
    x = torch.randn(4, 3, 16, 16)
    alone, together = net(x[:1]), net(x)
    assert together.shape == (4,)
    assert not torch.allclose(alone, together[:1])
    assert minibatch_deviation(x[:1].repeat(4, 1, 1, 1), 4).max() < 1e-3


def test_augmentation_is_none_at_zero_and_differentiable():
    x = torch.rand(3, 3, 16, 16, requires_grad=True)
    assert AdaptiveAugment(AdaSettings(start=0))(x) is x
    torch.manual_seed(0)
    strong = AdaptiveAugment(AdaSettings(start=0.85))
    y = strong(x)
    assert not torch.equal(y, x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.abs().sum() > 0
    assert torch.equal(draw_geometry(5, 0.0), torch.eye(3).repeat(5, 1, 1))
    assert torch.allclose(draw_colour(5, 0.0), torch.eye(4).repeat(5, 1, 1), atol=1e-6)


def test_augmentation_follows_the_sign_of_the_discriminator():
    augment = AdaptiveAugment(AdaSettings(target=0.6, images_to_one=100, limit=0.5))
    augment.adapt(0.9, 10)
    assert augment.p == pytest.approx(0.1)
    augment.adapt(0.2, 4)
    assert augment.p == pytest.approx(0.06)
    for _ in range(100):
        augment.adapt(1.0, 10)
    assert augment.p == 0.5


def test_pictures_of_a_folder_are_taken_as_they_are(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), (10, 20, 200), np.uint8))
    source = PictureSource(open_samples(tmp_path), PictureSettings(folder=tmp_path, batch=2), 32, 0)
    assert torch.allclose(source.batch(0)[0, :, 5, 5], torch.tensor([200.0, 20, 10]) / 127.5 - 1)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot be read"):
        source.batch(0)
