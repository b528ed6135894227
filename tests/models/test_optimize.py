"""Inversion step II: it gets there, alone or in company, from cold or warm, and leaves the network as it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from models.checkpoint import load_checkpoint
from models.errors import ModelError
from models.frame_optimizer import FrameOptimizer
from models.inversion_loss import psnr, wplus_spread
from models.latent import Latent
from models.latent_batch import select
from models.optimize import Optimized, Schedule, _step, optimize, optimize_clip
from models.perceptual import MultiscaleDistance
from models.styleganex import StyleGANEX
from models.zoo import WEIGHTS
from tests.golden.make_model_goldens import TINY, fill, normal

SMALL = replace(TINY, resolution=64, generator_channels=(6, 6, 5, 5, 4), num_skips=2)
DISTANCE = MultiscaleDistance()
SHORT = Schedule(steps=8, warm_steps=4)
QUARTER = Schedule(steps=60, warm_steps=15, noise=False)

pytestmark = pytest.mark.usefixtures("one_thread")


def build(config=SMALL) -> StyleGANEX:
    return fill(StyleGANEX(config)).eval().requires_grad_(False)


def start(net: StyleGANEX, batch: int = 2) -> tuple[Tensor, Latent]:
    """Targets [B, 3, 64, 64] and what step I gives for other pictures."""
    x1 = torch.tanh(normal("optimize.x1", (batch, 3, 64, 64)))
    with torch.no_grad():
        return torch.tanh(normal("optimize.target", (batch, 3, 64, 64))), net.invert(x1)


def same(a: Optimized, b: Optimized) -> bool:
    tensors = [(r.latent.wplus, *(t for t in (r.latent.feature, *(r.noise or ())) if t is not None)) for r in (a, b)]
    return all(torch.equal(x, y) for x, y in zip(*tensors, strict=True)) and a[3:] == b[3:]


@pytest.fixture(scope="module")
def embedded() -> StyleGANEX:
    return load_checkpoint(WEIGHTS / "lite_toon.safetensors").requires_grad_(False)


def sample(net: StyleGANEX, portrait, shift: int = 0) -> tuple[Tensor, Latent]:
    """A picture of the model's own, and a start that has its skip features but another picture's w+ and f."""
    x = torch.from_numpy(portrait).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        aligned = torch.nn.functional.interpolate(x[:, :, :256, 96:352], size=256)
        latent = net.invert(x[:, :, 40:104, 160 + shift : 224 + shift], aligned)
        other = net.invert(x[:, :, 200:264, 200:264])
        return net.synthesize(latent), other._replace(skips=latent.skips)


@pytest.fixture(scope="module")
def found(embedded, portrait) -> Optimized:
    """Its own sample, sought for 60 steps."""
    target, initial = sample(embedded, portrait)
    return optimize(embedded, target, initial, DISTANCE, QUARTER)


def running_mean(losses: tuple[float, ...], window: int, every: int) -> list[float]:
    return [sum(losses[i : i + window]) / window for i in range(0, len(losses) - window + 1, every)]


def test_embedded_model_finds_its_own_sample(embedded, portrait, found):
    """From below 35 dB to above 45 dB in 60 steps (published: 500), the running mean of the loss always falling."""
    target, initial = sample(embedded, portrait)
    before = psnr(embedded.synthesize(initial), target).item()
    after = psnr(embedded.synthesize(found.latent), target).item()
    means = running_mean(found.losses[0], window=20, every=5)
    assert before < 35
    assert after > 45
    assert after == pytest.approx(found.psnr[0], abs=1e-3)
    assert all(later < earlier for earlier, later in pairwise(means)), means
    assert means[-1] < means[0] / 3


@pytest.mark.release
def test_published_schedule_finds_its_own_sample(embedded, portrait):
    """500 steps, noise maps too: above 55 dB."""
    target, initial = sample(embedded, portrait)
    result = optimize(embedded, target, initial, DISTANCE)
    means = running_mean(result.losses[0], window=100, every=50)
    assert len(result.losses[0]) == 500
    assert all(later < earlier for earlier, later in pairwise(means)), means
    assert result.psnr[0] > 55


def test_warm_start_is_worth_many_steps(embedded, portrait, found):
    """The next frame of a pan, two pixels on: a quarter of the steps does better from warm than from cold."""
    target, initial = sample(embedded, portrait, shift=2)
    warm = optimize(embedded, target, initial, DISTANCE, QUARTER, warm=found)
    cold = optimize(embedded, target, initial, DISTANCE, replace(QUARTER, steps=15))
    assert len(warm.losses[0]) == len(cold.losses[0]) == 15
    assert warm.psnr[0] > cold.psnr[0] + 3, (found.psnr, warm.psnr, cold.psnr)


def test_each_frame_is_alone_in_company():
    net = build()
    targets, initial = start(net, 3)
    together = optimize(net, targets, initial, DISTANCE, SHORT, seed=3)
    for i in range(3):
        alone = optimize(net, targets[i : i + 1], select(initial, i), DISTANCE, SHORT, seed=3)
        assert same(together.frame(i), alone)
    assert together.latent.wplus.shape == initial.wplus.shape
    assert together.noise is not None
    assert all(maps.shape[0] == 3 for maps in together.noise)


def test_frames_may_share_a_pass():
    """As on a GPU: one batch, each frame with its own optimisers; the same up to float rounding."""
    net = build()
    targets, initial = start(net, 3)
    spread = wplus_spread(net)
    lanes = [FrameOptimizer(net, targets[i : i + 1], select(initial, i), SHORT, spread, 0, None) for i in range(3)]
    for _ in range(4):
        _step(net, lanes, DISTANCE, SHORT)
    for _ in range(4):
        _step(net, lanes[1:], DISTANCE, SHORT)
    alone = optimize(net, targets[1:2], select(initial, 1), DISTANCE, SHORT)
    shared = lanes[1].result(net, DISTANCE)
    assert [lane.left for lane in lanes] == [4, 0, 0]
    torch.testing.assert_close(shared.losses, alone.losses, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(shared.latent.wplus, alone.latent.wplus, rtol=1e-2, atol=1e-3)


def test_seed_decides():
    net = build()
    targets, initial = start(net, 1)
    runs = [optimize(net, targets, initial, DISTANCE, SHORT, seed=seed) for seed in (0, 0, 1)]
    assert same(runs[0], runs[1])
    assert not torch.equal(runs[0].latent.wplus, runs[2].latent.wplus)


def test_network_and_start_stay_as_they_were():
    net = fill(StyleGANEX(SMALL)).eval()  # parameters that ask for gradients
    before = {key: value.clone() for key, value in net.state_dict().items()}
    targets, initial = start(net, 1)
    kept = [initial.wplus.clone(), initial.feature.clone()]  # pyright: ignore[reportOptionalMemberAccess]
    result = optimize(net, targets, initial, DISTANCE, SHORT)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert torch.equal(initial.wplus, kept[0])
    assert torch.equal(initial.feature, kept[1])  # pyright: ignore[reportArgumentType]
    assert not result.latent.wplus.requires_grad


def test_takes_what_inference_mode_made():
    net = build()
    targets, initial = start(net, 1)
    with torch.inference_mode():
        x1 = torch.tanh(normal("optimize.x1", (1, 3, 64, 64)))
        result = optimize(net, targets.clone(), net.invert(x1), DISTANCE, SHORT)
    assert same(result, optimize(net, targets, initial, DISTANCE, SHORT))
    assert same(result, optimize(net, targets, result.start, DISTANCE, SHORT))


def test_noise_is_normalised_and_of_the_features_sizes():
    net = build()
    targets, initial = start(net, 1)
    result = optimize(net, targets, initial, DISTANCE, SHORT)
    assert result.noise is not None
    assert [tuple(maps.shape[2:]) for maps in result.noise] == [(8, 8)] * 7 + [(16, 16)] * 2
    for maps in result.noise:
        assert maps.mean().abs() < 1e-5
        assert maps.std().item() == pytest.approx(1, abs=1e-4)
    assert optimize(net, targets, initial, DISTANCE, replace(SHORT, noise=False)).noise is None


def test_clip_is_a_chain_of_warm_starts():
    net = build()
    targets, initial = start(net, 3)
    frames = [(targets[i : i + 1], select(initial, i)) for i in range(3)]
    clip = list(optimize_clip(net, iter(frames), DISTANCE, SHORT))
    assert [len(result.losses[0]) for result in clip] == [8, 4, 4]
    by_hand = optimize(net, *frames[1], DISTANCE, SHORT, warm=clip[0])
    assert same(clip[1], by_hand)
    pairs = [(targets[:2], select(initial, 0)), (targets[1:], select(initial, 1))]
    sides = list(optimize_clip(net, iter(pairs), DISTANCE, SHORT))
    alone = list(optimize_clip(net, ((t[1:], latent) for t, latent in pairs), DISTANCE, SHORT))
    assert all(same(a.frame(1), b) for a, b in zip(sides, alone, strict=True))


def test_warm_start_carries_corrections_of_the_same_size_only():
    net = build()
    targets, initial = start(net, 1)
    last = optimize(net, targets, initial, DISTANCE, SHORT)
    wide = torch.tanh(normal("wide", (1, 3, 64, 128)))
    with torch.no_grad():
        other = net.invert(wide)
    frozen = Schedule(steps=1, warm_steps=1, rate=0.0)  # shows where it begins
    begun = optimize(net, wide, other, DISTANCE, frozen, warm=last)
    assert torch.equal(begun.latent.wplus, other.wplus + (last.latent.wplus - last.start.wplus))
    assert torch.equal(begun.latent.feature, other.feature)  # pyright: ignore[reportArgumentType]
    again = optimize(net, targets, initial, DISTANCE, frozen, warm=last)
    torch.testing.assert_close(again.latent.feature, last.latent.feature)
    assert again.noise is not None
    assert last.noise is not None
    torch.testing.assert_close(again.noise[0], last.noise[0])


def test_early_stop_still_descends():
    net = build()
    targets, initial = start(net, 1)
    whole = Schedule(steps=32, warm_steps=1, noise=False)
    stopped = optimize(net, targets, initial, DISTANCE, replace(whole, patience=1, window=4, rate=1e-9))
    # No progress at all: noticed after window + patience steps, then the last quarter begins and is left as well.
    assert len(stopped.losses[0]) < 12
    going = optimize(net, targets, initial, DISTANCE, replace(whole, patience=30, window=4))
    assert len(going.losses[0]) == 32
    assert same(going, optimize(net, targets, initial, DISTANCE, whole))


def test_never_worse_than_its_beginning():
    net = build()
    targets, initial = start(net, 1)
    result = optimize(net, targets, initial, DISTANCE, replace(SHORT, noise=False, rate=50.0))
    assert max(result.losses[0]) > 2 * result.losses[0][0]
    assert torch.equal(result.latent.wplus, initial.wplus)
    assert torch.equal(result.latent.feature, initial.feature)  # pyright: ignore[reportArgumentType]


def test_progress_counts_every_step():
    net = build()
    targets, initial = start(net, 2)
    seen = []
    optimize(net, targets, initial, DISTANCE, SHORT, progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(i, 16) for i in range(1, 17)]
    assert all(step[2] > 0 for step in seen)


@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, has_feature=False, num_skips=0),
        replace(SMALL, has_encoder=False, has_feature=False, num_skips=0),
        replace(SMALL, feature_index=1),
    ],
    ids=["psp", "generator", "second layer"],
)
def test_every_kind_of_network(config):
    net = build(config)
    target = torch.tanh(normal("kind", (1, 3, 64, 64)))
    with torch.no_grad():
        initial = net.invert(target) if config.has_encoder else Latent(normal("w", (1, config.num_styles, 16)))
    result = optimize(net, target, initial, DISTANCE, Schedule(steps=12, warm_steps=4))
    assert not torch.equal(result.latent.wplus, initial.wplus)
    assert (result.latent.feature is None) == (not config.has_feature)
    for name in ("feature", "feature_rgb"):
        new, old = getattr(result.latent, name), getattr(initial, name)
        if config.feature_index == 1:
            assert not torch.equal(new, old), name
    assert sum(result.losses[0][-3:]) < sum(result.losses[0][:3])
    assert net.synthesize(result.latent, noise=result.noise).shape[0] == 1


def test_wrong_shapes_are_said():
    net = build()
    targets, initial = start(net, 2)
    good = optimize(net, targets, initial, DISTANCE, Schedule(steps=1, warm_steps=1))
    with pytest.raises(ModelError, match=r"target is torch\.float32 \[3, 64, 64\]"):
        optimize(net, targets[0], initial, DISTANCE)
    with pytest.raises(ModelError, match="2 frames for 3 targets"):
        optimize(net, torch.cat([targets, targets[:1]]), initial, DISTANCE)
    with pytest.raises(ModelError, match="warm start of 2 frames for 1"):
        optimize(net, targets[:1], select(initial, 0), DISTANCE, warm=good)
    with pytest.raises(ModelError, match="steps = 0"):
        Schedule(steps=0)
    with pytest.raises(ModelError, match="warm_steps = 100 of steps = 50"):
        Schedule(steps=50)
