"""Tiles against the whole: every kind of network, three sizes, tiles of odd sizes; memory that does not grow."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

from models.config import ModelConfig
from models.latent import Latent
from models.moments import Moments
from models.tiled_generator import pooled_part, synthesize_tiled, synthesize_tiles
from models.tiling import Window
from tests.golden.make_model_goldens import normal
from tests.models.memory import live_bytes
from tests.models.test_fast import KINDS, TINY, X2, build

pytestmark = pytest.mark.usefixtures("one_thread")
ATTENTION = KINDS["attention, RGB skips"]
SIZES = {(40, 24): (2, 3), (72, 104): (5,), (136, 120): (8,)}
"""Size of x1 → tiles in cells; none divides its size."""


def encoded(net, height: int, width: int) -> Latent:
    config = net.config
    x1 = torch.tanh(normal("picture", (1, config.input_channels, height, width)))
    with torch.inference_mode():
        return net.invert(x1, X2 if config.input_channels == 3 else None)


def edit_of(config: ModelConfig) -> torch.Tensor:
    return normal("edit", (1, config.num_styles, config.style_dim))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["tiny", "attention, RGB skips", "mask, few skips"])
@torch.inference_mode()
def test_tiles_equal_the_whole(name, size):
    net = build({"tiny": TINY, **KINDS}[name])
    latent = encoded(net, *size)
    edit, noise = (edit_of(net.config), "stored") if "skips" in name else (None, None)
    whole = net.synthesize(latent, edit, noise)
    for tile in SIZES[size]:
        tiled = synthesize_tiled(net, latent, edit, noise, tile=tile)
        torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fast", [False, True])
def test_both_formulations_and_one_tile(fast):
    net = build(ATTENTION)
    latent, edit = encoded(net, 40, 24), edit_of(ATTENTION)
    with torch.inference_mode() if fast else nullcontext():
        assert torch.equal(
            synthesize_tiled(net, latent, noise="stored", tile=5), net.synthesize(latent, noise="stored")
        )
        whole = net.synthesize(latent, edit)
        for tile in (3, 5):
            torch.testing.assert_close(synthesize_tiled(net, latent, edit, tile=tile), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["wide", "sketch", "second layer", "pSp", "64"])
def test_other_kinds_of_network(name):
    net = build(KINDS[name])
    latent, edit = encoded(net, 72, 104), edit_of(net.config)
    with torch.inference_mode():
        whole = net.synthesize(latent, edit, "stored")
        torch.testing.assert_close(synthesize_tiled(net, latent, edit, "stored", tile=5), whole, atol=5e-5, rtol=0)


@torch.inference_mode()
def test_a_batch_with_codes_of_its_own():
    net = build()
    latent = encoded(net, 72, 104)._replace(wplus=normal("codes", (2, TINY.num_styles, TINY.style_dim)))
    whole = net.synthesize(latent)
    torch.testing.assert_close(synthesize_tiled(net, latent, tile=4), whole, atol=1e-5, rtol=0)
    drawn = [(tile.sample, tile.window) for tile in synthesize_tiles(net, latent, tile=8)]
    cells = [Window(0, 64, 0, 64), Window(0, 64, 64, 104), Window(64, 72, 0, 64), Window(64, 72, 64, 104)]
    assert drawn == [(sample, window) for sample in (0, 1) for window in cells]


@torch.inference_mode()
@pytest.mark.parametrize(("constant", "config"), [("FUSION_REACH", TINY), ("ATTENTION_REACH", ATTENTION)])
def test_every_reach_is_needed(monkeypatch, constant, config):
    """What the tiles see is no wider than it must be."""
    net = build(config)
    latent, edit = encoded(net, 72, 40), edit_of(config)
    whole = net.synthesize(latent, edit)
    monkeypatch.setattr(f"models.tiled_generator.{constant}", {"FUSION_REACH": 1, "ATTENTION_REACH": 0}[constant])
    assert (synthesize_tiled(net, latent, edit, tile=5) - whole).abs().max() > 1e-4


@torch.inference_mode()
@pytest.mark.parametrize("config", [TINY, ATTENTION], ids=["tiny", "attention"])
def test_memory_is_the_tile_and_the_result(config):
    """Live tensors beyond the latent: per place of the result they grow by the result and what lies at H/8 alone."""
    net = build(config)
    edit = edit_of(config) if config.attention else None
    peaks = []
    for height in (128, 256, 512):
        latent = encoded(net, height, 64)
        held = (config.generator_channels[0] + 3) * height * 64 // 64 * 4
        with live_bytes() as meter:
            image = synthesize_tiled(net, latent, edit, tile=4)
        peaks.append(meter.peak - image.numel() * 4 - held)
    assert max(peaks) < 1.02 * peaks[0]
    with live_bytes() as meter:
        net.synthesize(latent, edit)
    assert meter.peak > 5 * peaks[-1]


def test_noise_of_a_window_is_that_of_the_whole():
    noise = normal("map", (1, 1, 16, 24))
    for height, width in ((16, 24), (40, 56), (9, 11), (32, 13)):
        whole = F.adaptive_avg_pool2d(noise, (height, width))
        for window in (Window(0, height, 0, width), Window(3, 8, 2, 9), Window(0, 1, 5, 6)):
            torch.testing.assert_close(pooled_part(noise, window, height, width), window.of(whole))


def test_moments_of_parts_are_those_of_the_whole():
    x = normal("x", (1, 5, 12, 20)) * 3 + 100
    moments = Moments()
    for part in (x[:, :, :5], x[:, :, 5:, :7], x[:, :, 5:, 7:]):
        moments.add(part)
    assert moments.count == 240
    torch.testing.assert_close(moments.normalize(x, 1e-5), F.instance_norm(x, eps=1e-5), atol=2e-4, rtol=0)


def test_bf16_tiles_are_near_the_whole():
    net = build(ATTENTION)
    net.set_precision("bf16")
    latent, edit = encoded(net, 40, 24), edit_of(net.config)
    with torch.inference_mode():
        whole = net.synthesize(latent, edit)
        error = (synthesize_tiled(net, latent, edit, tile=2) - whole).abs().max() / whole.abs().max()
    assert error < 0.05
