from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load_checkpoint
from models.config import SIZES
from models.latent import Latent
from models.styleganex import StyleGANEX
from models.training.batches import Batch
from models.training.encoder import EncoderLearner, EncoderSettings, render
from models.training.encoder_losses import LossSettings
from models.training.log import read_losses
from models.training.loop import Run
from models.training.pairs import EditSettings, PairSettings, PairSource
from models.training.samples import SampleFolder
from models.training.settings import OptimizerSettings, RunSettings
from models.training.transfer import attention_parameters
from models.training.views import ViewSettings
from tests.models.training.drawn_heads import make_samples

SUBSTITUTES = LossSettings(l2=0, perceptual="gradients", perceptual_weight=1, identity=0, w_norm=0)
RATES = OptimizerSettings(learning_rate=1e-2, warmup=2)
RUN = RunSettings(steps=6, save_every=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"), 4, 96)


def learner(
    folder, *, losses=SUBSTITUTES, rates=RATES, settings=None, channels=3, attention=0, **pairs: Any
) -> EncoderLearner:
    model = replace(SIZES["tiny"], input_channels=channels, attention=attention)
    chosen = PairSettings.model_validate({"scenes": 1, "view": ViewSettings(crop_px=(64, 64))} | pairs)
    source = PairSource(SampleFolder(folder), chosen, model, 0)
    edits = tuple(chosen.edits)
    return EncoderLearner(model, source, losses, rates, settings or EncoderSettings(ema=0.9), directions=edits)


def train(made: EncoderLearner, folder: Path, until: int | None = None) -> list[tuple[int, float]]:
    run = Run(made, RUN, folder)
    run.resume()
    run.run(until=until)
    return read_losses(folder / "losses.csv")


KINDS: dict[str, dict[str, Any]] = {
    "toon": {"target": "toon3d", "noise": True},
    "edit": {"edits": {"hair": {"attributes": ["lightness"], "unit": 0.5}}, "attention": 1},
    "sketch": {"input": "sketch", "channels": 1, "palette": True},
    "mask": {"input": "parsing", "channels": 19},
    "sr": {"degrade": (8, 24)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pair_trains_to_a_file_that_loads(folder, tmp_path, kind):
    Run(learner(folder, **KINDS[kind]), RunSettings(steps=2, save_every=2), tmp_path).run()
    net = load_checkpoint(tmp_path / "weights.safetensors")
    assert net.metadata["steps"] == "2"
    if kind == "edit":
        assert net.metadata["directions"] == "hair"
        assert net.editing_w is not None
        assert net.editing_w.shape == (1, net.config.num_styles, net.config.style_dim)
    assert (tmp_path / "samples.png").stat().st_size > 500


def test_resumed_run_repeats_the_losses_and_the_weights(folder, tmp_path):
    pairs, rates = KINDS["edit"], RATES.model_copy(update={"name": "ranger", "accumulate": 2})
    whole = train(learner(folder, rates=rates, **pairs), tmp_path / "whole")
    train(learner(folder, rates=rates, **pairs), tmp_path / "cut", until=4)
    assert train(learner(folder, rates=rates, **pairs), tmp_path / "cut") == whole
    files = [(tmp_path / name / "weights.safetensors") for name in ("whole", "cut")]
    states = [load_checkpoint(file).state_dict() for file in files]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_loss_on_one_scene_falls_by_a_third(folder, tmp_path):
    made = learner(folder, rates=RATES.model_copy(update={"decay": "none"}))
    batch = made.source.batch(0)
    made.source.batch = lambda step: batch  # type: ignore[method-assign]
    losses = [made.step(index, 20)["loss"] for index in range(20)]
    assert sum(losses[-4:]) / 4 < 0.67 * losses[0]


def test_only_the_named_parts_learn(folder):
    made = learner(folder, settings=EncoderSettings(train=("encoder", "fusion")))
    before = {key: value.clone() for key, value in made.net.state_dict().items()}
    made.step(0, 10)
    changed = {key.split(".")[0] for key, value in made.net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"encoder", "fusion"}


def test_accumulated_gradients_are_those_of_the_larger_batch(folder):
    """With norms on running statistics, two halves make the same step as the whole."""
    fixed = EncoderSettings(fix_norms_at=0)
    l2 = LossSettings(l2=1, perceptual_weight=0, identity=0, w_norm=0.01)
    rates = RATES.model_copy(update={"clip": 0})
    whole, parts = (
        learner(folder, losses=l2, settings=fixed, rates=rates.model_copy(update={"accumulate": count}))
        for count in (1, 2)
    )
    halves = [parts.source.batch(number) for number in range(2)]
    joined = {name: torch.cat([getattr(half, name) for half in halves]) for name in ("x", "y", "aligned", "face")}
    whole.source.batch = lambda step: Batch(**joined)  # type: ignore[method-assign]
    assert parts.step(0, 10)["loss"] == pytest.approx(whole.step(0, 10)["loss"], rel=1e-5)
    grads = [[p.grad for p in made.parameters if p.grad is not None] for made in (whole, parts)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5 * a.abs().max().item() + 1e-7)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["adam", "ranger"])
def test_reduced_precision_makes_the_step_of_fp32(folder, name, precision):
    """What the loss was scaled by for fp16 is not in the gradients that any optimiser sees."""

    def step(precision: str) -> tuple[torch.Tensor, torch.Tensor]:
        rates = OptimizerSettings.model_validate({"name": name, "warmup": 0, "clip": 0})
        settings = EncoderSettings.model_validate({"fix_norms_at": 0, "precision": precision})
        made = learner(folder, rates=rates, settings=settings)
        before = [p.detach().clone() for p in made.parameters]
        made.step(0, 10)
        pairs = zip(made.parameters, before, strict=True)
        moved = torch.cat([(p.detach() - old).flatten() for p, old in pairs])
        return torch.cat([p.grad.flatten() for p in made.parameters if p.grad is not None]), moved

    (wanted, way), (gradient, moved) = step("fp32"), step(precision)
    assert gradient.norm().item() == pytest.approx(wanted.norm().item(), rel=0.1)
    assert torch.cosine_similarity(gradient, wanted, dim=0) > 0.95
    assert moved.norm().item() == pytest.approx(way.norm().item(), rel=0.1)
    assert torch.cosine_similarity(moved, way, dim=0) > 0.7  # Adam's first step has a sign for every tiny gradient


def test_strength_scales_the_edit_and_zero_still_attends(folder):
    made = learner(folder, **KINDS["edit"])
    batch = made.source.batch(0)
    zero, one = (batch._replace(strength=torch.full((2,), value)) for value in (0.0, 1.0))
    with torch.no_grad():
        drawn = [render(made.average, changed, made.directions).image for changed in (zero, one)]
        assert not torch.equal(*drawn)
        plain = made.average.encode_content(batch.x)
        wplus = made.average.encode_style(batch.aligned)  # type: ignore[arg-type]
        edit = torch.zeros(1, made.net.config.num_styles, made.net.config.style_dim)
        latent = Latent(wplus.repeat_interleave(2, 0), plain.feature, plain.skips)
        assert torch.allclose(made.average.synthesize(latent, edit), drawn[0], atol=1e-5)


def test_edits_begin_from_what_the_inversion_draws(folder):
    """Attention that the starting weights did not have hides nothing; a file that has it keeps its own."""
    plain = learner(folder).average
    edit = {"hair": EditSettings(attributes=("lightness",), unit=0.5)}
    model = replace(SIZES["tiny"], attention=1)

    def begun(init: StyleGANEX) -> EncoderLearner:
        pairs = PairSettings(scenes=1, edits=edit, unchanged=1, view=ViewSettings(crop_px=(64, 64)))
        source = PairSource(SampleFolder(folder), pairs, model, 0)
        return EncoderLearner(
            model, source, SUBSTITUTES, RATES, EncoderSettings(), seed=1, init=init, directions=("hair",)
        )

    made = begun(plain)
    batch = made.source.batch(0)
    with torch.no_grad():
        before = render(plain, batch._replace(direction=None, strength=None)).image
        after = render(made.average, batch, made.directions).image
    assert (after - before).abs().mean() < 0.05 * before.std()
    again = begun(made.average)
    for ours, theirs in zip(again.net.fusion, made.net.fusion, strict=True):
        assert torch.equal(ours.conv.weight, theirs.conv.weight)  # pyright: ignore


@pytest.mark.parametrize("name", ["adam", "ranger"])
def test_attention_learns_at_its_own_rate(folder, name):
    """Its one logit sums some thousand weights: at the rate of the convolutions it is shut or open for good."""
    rates = OptimizerSettings.model_validate({"name": name, "learning_rate": 0.01, "warmup": 0, "clip": 0})

    def moved(share: float) -> tuple[float, float]:
        pairs: dict[str, Any] = KINDS["edit"] | {"unchanged": 0}
        made = learner(folder, rates=rates, settings=EncoderSettings(attention_rate=share), **pairs)
        slow = {id(p) for p in attention_parameters(made.net)}
        before = [p.detach().clone() for p in made.parameters]
        made.step(0, 10)
        steps = [
            (id(p) in slow, (p.detach() - old).abs().max().item())
            for p, old in zip(made.parameters, before, strict=True)
        ]
        return max(step for is_slow, step in steps if is_slow), max(step for is_slow, step in steps if not is_slow)

    (attention, others), (slower, same) = moved(1.0), moved(0.05)
    assert slower == pytest.approx(0.05 * attention, rel=1e-3)
    assert same == pytest.approx(others, rel=1e-3)


@pytest.mark.parametrize("learns", [True, False])
def test_gradients_through_the_style_crop_are_a_choice(folder, learns):
    """Nothing but the style crop passes through the heads of w+; the rest of the encoder learns from the content."""
    made = learner(folder, settings=EncoderSettings(learn_style=learns, fix_norms_at=0), **KINDS["edit"])
    before = {name: p.detach().clone() for name, p in made.net.encoder.named_parameters()}  # type: ignore[union-attr]
    made.step(0, 10)
    after = dict(made.net.encoder.named_parameters())  # type: ignore[union-attr]
    moved = {name for name, p in after.items() if not torch.equal(p.detach(), before[name])}
    assert any(name.startswith("styles.") for name in moved) is learns
    assert any(not name.startswith("styles.") for name in moved)


@pytest.mark.parametrize(("says", "new", "read"), [(None, False, False), (None, True, True), ("no", False, True)])
def test_what_z_means_in_the_starting_weights_is_kept_unless_a_recipe_forgets_it(folder, says, new, read):
    """lite_sketch and lite_mask begin from weights whose mapping no loss ever saw."""
    init = StyleGANEX(replace(SIZES["tiny"], input_channels=1))
    init.metadata |= {} if says is None else {"can_sample": says}
    source = learner(folder, **KINDS["sketch"]).source
    settings = EncoderSettings(new_mapping=new)
    made = EncoderLearner(init.config, source, SUBSTITUTES, RATES, settings, init=init, palette=True)
    z = torch.eye(16)
    with torch.no_grad():
        kept = torch.allclose(made.net.mapping(z), init.mapping(z))
    assert kept is not read


def test_changed_term_is_for_edits(folder):
    losses = SUBSTITUTES.model_copy(update={"changed": 1.0})
    pairs: dict[str, Any] = KINDS["edit"] | {"unchanged": 0}
    edits = learner(folder, losses=losses, rates=RATES, **pairs)
    assert edits.step(0, 10)["changed"] > 0
    assert "changed" not in learner(folder, losses=losses).step(0, 10)


def test_detail_term_is_for_any_pair(folder):
    losses = SUBSTITUTES.model_copy(update={"detail": 0.5})
    numbers = learner(folder, losses=losses, rates=RATES).step(0, 10)
    assert numbers["detail"] > 0
    assert numbers["loss"] == pytest.approx(numbers["gradients"] + 0.5 * numbers["detail"], rel=1e-5)


def test_the_discriminator_sees_every_accumulated_batch(folder):
    losses = LossSettings.model_validate(
        {"l2": 1, "perceptual_weight": 0, "identity": 0, "adversarial": 0.1, "adversary": {"channels": 8}}
    )
    made = learner(folder, losses=losses, rates=RATES.model_copy(update={"accumulate": 3}))
    shown: list[int] = []
    adversary: Any = made.losses._adversary
    judge = adversary.judge
    adversary.judge = lambda image: shown.append(image.requires_grad) or judge(image)
    for index in (1, 2):
        shown.clear()
        assert made.step(index, 10)["discriminator"] > 0
        assert shown == [True] * 3 + [False] * 6  # three to be fooled by, then three fakes and three reals


def test_adversarial_and_temporal_terms_take_part(folder, tmp_path):
    losses = LossSettings(
        l2=1, perceptual_weight=0, identity=0, adversarial=0.1, temporal=30,
        adversary={"resolution": 32, "channels": 8, "ada": {"start": 0.5}},  # type: ignore[arg-type]
    )  # fmt: skip
    numbers = [learner(folder, losses=losses).step(index, 12) for index in (0, 3, 8)]
    assert "r1" in numbers[0]
    assert all("adversarial" in row and "discriminator" in row for row in numbers)
    assert "temporal" not in numbers[1]
    assert numbers[2]["temporal"] > 0
    made, again = learner(folder, losses=losses), learner(folder, losses=losses)
    for index in range(2):
        torch.manual_seed(index)
        made.step(index, 12)
    torch.save(made.state(), tmp_path / "state.pt")
    again.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    found = []
    for resumed in (made, again):
        torch.manual_seed(2)
        found.append(resumed.step(7, 12))
    assert found[0] == found[1]
