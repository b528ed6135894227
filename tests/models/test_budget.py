"""Budgets change how an image is drawn, not the image; what does not fit is said in two lines."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from models.budget import SMALLEST_TILE, Budget, Plan
from models.config import SIZES
from models.errors import ModelError
from models.footprint import drawing_bytes, encoding_bytes, held_bytes, picture_bytes, tile_bytes, whole_bytes
from models.memory import free_memory, held_memory, is_out_of_memory
from models.tiled_generator import synthesize_tiled
from models.tiling import Window
from tests.golden.make_model_goldens import normal
from tests.models.memory import live_bytes
from tests.models.test_fast import TINY, build
from tests.models.test_tiled_generator import ATTENTION, edit_of, encoded

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
HEIGHT, WIDTH = 264, 72
"""Of x1: 33 × 9 cells."""


@pytest.fixture(scope="module")
def net():
    return build()


@pytest.fixture(scope="module")
def latent(net):
    return encoded(net, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def whole(net, latent):
    with torch.inference_mode():
        return net.synthesize(latent)


@pytest.fixture
def empty_process(monkeypatch):
    """As if nothing were held yet."""
    monkeypatch.setattr("models.budget.held_memory", lambda device: 0)


@torch.inference_mode()
def test_enough_memory_changes_no_bit(net, latent, whole):
    for limit in (None, 1 << 40):
        budget = Budget(net, limit)
        assert torch.equal(budget.synthesize(latent), whole)
        assert list(budget._plans.values()) == [Plan(33, 1, None)]


@torch.inference_mode()
@pytest.mark.usefixtures("empty_process")
def test_a_limit_picks_the_tile(net, latent, whole):
    limit = held_bytes(TINY, 33, 9, result=True) + tile_bytes(TINY, 4, 6, False)
    budget = Budget(net, limit)
    torch.testing.assert_close(budget.synthesize(latent), whole, atol=1e-5, rtol=0)
    assert list(budget._plans.values()) == [Plan(33, 1, 4)]


@torch.inference_mode()
@pytest.mark.usefixtures("empty_process")
def test_a_limit_picks_the_batch(net, latent, whole):
    one = drawing_bytes(TINY, [Window.whole(33 << n, 9 << n) for n in range(4)], 6, False)
    codes = torch.cat([latent.wplus, normal("codes", (3, TINY.num_styles, TINY.style_dim))])
    budget = Budget(net, 3 * one, batch=8)
    images = budget.synthesize(latent._replace(wplus=codes))
    assert list(budget._plans.values()) == [Plan(33, 3, None)]
    assert torch.equal(images[:1], whole)
    assert torch.equal(images, net.synthesize(latent._replace(wplus=codes)))


@pytest.mark.usefixtures("empty_process")
def test_too_little_is_the_users_to_mend(net, latent):
    with pytest.raises(ModelError, match="not enough memory for the smallest tile") as caught:
        Budget(net, 1000).synthesize(latent)
    assert "72x264 pixels" in caught.value.what
    assert "--memory" in caught.value.remedy


@torch.inference_mode()
def test_out_of_memory_adapts(monkeypatch, caplog, net, latent, whole):
    """The estimates know nothing here; an allocator says where the limit is."""
    monkeypatch.setattr("models.budget.free_memory", lambda device: None)
    budget = Budget(net)
    with caplog.at_level(logging.WARNING), live_bytes(limit=whole.numel() * 4 + 1_200_000):
        image = budget.synthesize(latent)
    torch.testing.assert_close(image, whole, atol=1e-5, rtol=0)
    (plan,) = budget._plans.values()
    assert plan.tile is not None
    assert SMALLEST_TILE <= plan.tile < 32
    assert "out of memory at whole images: goes on with tiles of 256×256 pixels" in caplog.messages
    with live_bytes(limit=2000), pytest.raises(ModelError, match="not enough memory for the smallest tile"):
        budget.synthesize(latent)


@torch.inference_mode()
def test_a_batch_out_of_memory_is_halved(monkeypatch, net, latent, whole):
    budget, seen = Budget(net, batch=4), []
    draw = net.synthesize

    def narrow(latent, edit, noise):
        seen.append(latent.wplus.shape[0])
        if seen[-1] > 1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return draw(latent, edit, noise)

    monkeypatch.setattr(net, "synthesize", narrow)
    codes = latent.wplus.expand(4, -1, -1)
    edit, noise = torch.zeros_like(codes), [None] * TINY.num_noises
    images = budget.synthesize(latent._replace(wplus=codes), edit, noise)
    assert seen == [4, 2, 1, 1, 1, 1]
    assert torch.equal(images, whole.expand(4, -1, -1, -1))


def test_the_encoder_takes_fewer_at_once(net):
    budget, seen = Budget(net, batch=8), []

    def run(part):
        seen.append((part.start, part.stop))
        if part.stop - part.start > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(range(10))[part]

    assert [i for _, part in budget.in_parts(5, run) for i in part] == [0, 1, 2, 3, 4]
    assert seen == [(0, 5), (0, 2), (2, 4), (4, 5)]
    with pytest.raises(ModelError, match="out of memory in the encoder"):
        budget.in_parts(3, lambda part: run(slice(0, 3)))


def test_other_errors_pass(net):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Budget(net).in_parts(1, lambda part: torch.ones(2, 3) @ torch.ones(2, 3))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))


@torch.inference_mode()
def test_estimates_are_from_above():
    """Of what one tile after the other takes, with the attention on, beyond the latent."""
    net = build(ATTENTION)
    latent, edit = encoded(net, 72, 136), edit_of(ATTENTION)
    with live_bytes() as meter:
        synthesize_tiled(net, latent, edit, "stored", tile=6)
    assert meter.peak < held_bytes(ATTENTION, 9, 17, result=True) + tile_bytes(ATTENTION, 6, 6, True)


def test_estimates_grow_with_the_tile_alone():
    full = replace(SIZES["full"], attention=1)
    costs = [tile_bytes(full, side, 7, True) for side in (4, 8, 16, 32, 64)]
    assert costs == sorted(costs)
    assert costs[-1] < 4 << 30
    assert held_bytes(full, 135, 240, result=True) < 1.5 * 2**30  # of an 8K image


@torch.inference_mode()
def test_several_inputs_go_through_the_encoder_as_the_limit_allows(net, monkeypatch):
    x1, seen = torch.tanh(normal("picture", (5, 3, 72, 64))), []
    whole, encode = net.encode_content(x1), net.encode_content

    def watched(x):
        seen.append(x.shape[0])
        return encode(x)

    monkeypatch.setattr(net, "encode_content", watched)
    budget = Budget(net, 1 << 40, batch=8)
    budget._room = int(2.5 * encoding_bytes(TINY, 72, 64))
    got = budget.encode_content(x1)
    assert seen == [2, 2, 1]
    for ours, theirs in zip((got.feature, *got.skips), (whole.feature, *whole.skips), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@torch.inference_mode()
def test_pictures_that_wait_count_towards_the_limit(net, latent):
    height, width = latent.feature.shape[2:]
    room = held_memory(CPU) + 2 * whole_bytes(TINY, height, width, len(latent.skips), False)
    assert Budget(net, room)._plan(height, width, len(latent.skips), False).tile is None
    waiting = 2 * whole_bytes(TINY, height, width, len(latent.skips), False) // picture_bytes(TINY, height, width)
    with pytest.raises(ModelError, match="smallest tile"):
        Budget(net, room, queued=waiting)._plan(height, width, len(latent.skips), False)
    assert Budget(net, queued=waiting)._plan(height, width, len(latent.skips), False).tile is None


def test_this_machine_has_memory():
    assert held_memory(CPU) > 10 << 20
    free = free_memory(CPU)
    assert free is None or free > 10 << 20


@torch.inference_mode()
def test_a_limit_tiles_the_encoder(net, monkeypatch, caplog):
    x1 = torch.tanh(normal("picture", (1, 3, 72, 64)))
    whole = net.encode_content(x1)
    assert torch.equal(Budget(net, 1 << 40).encode_content(x1).skips[-1], whole.skips[-1])
    tight = Budget(net, held_memory(CPU) + 1000)
    torch.testing.assert_close(tight.encode_content(x1).skips, whole.skips, atol=2e-5, rtol=0)
    assert tight._encoder_sides == {(72, 64): [8, 4]}

    def refuse(*_):
        raise RuntimeError("not enough memory: you tried to allocate 4 bytes")

    monkeypatch.setattr(net, "encode_content", refuse)
    budget = Budget(net, 1 << 40)
    torch.testing.assert_close(budget.encode_content(x1).feature, whole.feature, atol=2e-5, rtol=0)
    assert "out of memory: the encoder goes on in tiles of 64×64 pixels" in caplog.messages
    monkeypatch.setattr(net, "encode_content_tiled", refuse)
    with pytest.raises(ModelError, match="out of memory in the encoder"):
        budget.encode_content(x1)
