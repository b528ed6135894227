"""The network on a real GPU against the CPU and against its plain formulation."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoint import load_checkpoint
from models.fast import FastPath
from models.latent import Latent
from models.precision import Precision
from models.replicas import replicate
from models.styleganex import StyleGANEX
from models.tiled_generator import synthesize_tiled
from tests.golden.make_model_goldens import normal
from tests.models.test_fast import KINDS, TINY, build, pictures
from tests.models.test_precision import LITE, psnr

pytestmark = pytest.mark.needs_cuda
GPU = "cuda:0"


def draw(net: StyleGANEX, batch: int = 3) -> list[Tensor]:
    """Images of a batch on the CPU: with one w+, with one for each, edited, and in tiles."""
    device, config = net.generator.constant.device, net.config
    x1, x2 = pictures(config, batch)
    edit, codes = (0.3 * normal(name, (batch, config.num_styles, config.style_dim)) for name in ("edit", "codes"))
    with torch.inference_mode():
        wplus = net.invert(x1[:1].to(device), None if x2 is None else x2.to(device)).wplus
        latent = Latent(wplus, *net.encode_content(x1.to(device)))
        images = [
            net.synthesize(latent),
            net.synthesize(latent._replace(wplus=wplus + codes.to(device))),
            net.synthesize(latent, edit[:1].to(device), "stored"),
            synthesize_tiled(net, latent, edit.to(device), tile=4),
        ]
    return [image.float().cpu() for image in images]


@pytest.mark.parametrize("name", ["wide", "attention, RGB skips", "sketch", "second layer", "pSp"])
def test_float32_equals_the_plain_formulation_and_the_cpu(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    net = build(KINDS[name])
    here, there = draw(net), draw(net.to(GPU))
    assert net._fast is not None
    monkeypatch.setattr(FastPath, "suits", lambda net, x: False)
    for got, wanted, plain in zip(there, here, draw(net), strict=True):
        torch.testing.assert_close(got, plain, atol=1e-3, rtol=0)
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "tf32"])
def test_reduced_precision_is_near_float32(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    net = load_checkpoint(LITE).to(GPU)
    exact = draw(net)
    net.set_precision(precision)
    fast = draw(net)
    monkeypatch.setattr(FastPath, "suits", lambda net, x: False)
    for got, wanted, plain in zip(fast, exact, draw(net), strict=True):
        assert psnr(got, wanted) > 40
        assert psnr(got, wanted) > psnr(plain, wanted) - 3


@torch.inference_mode()
def test_a_known_w_asks_the_gpu_nothing() -> None:
    net = build().to(GPU)
    latent = net.invert(*(each.to(GPU) for each in pictures(TINY, 2) if each is not None))
    latent = latent._replace(wplus=latent.wplus[:1])
    first = net.synthesize(latent)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = net.synthesize(latent)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert torch.equal(first, again)


def test_two_networks_on_one_gpu_draw_the_same() -> None:
    first, second = replicate(build().to(GPU), (GPU, GPU))
    for one, other in zip(draw(first), draw(second), strict=True):
        assert torch.equal(one, other)


def test_compiled_equals_the_net(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from models.compiled import CompiledNet

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    net = build(KINDS["64"]).to(GPU)
    wanted = draw(copy.deepcopy(net))
    compiled = CompiledNet(net)
    for _ in range(3):  # compiled, captured, replayed
        for got, image in zip(draw(compiled), wanted, strict=True):
            torch.testing.assert_close(got, image, atol=1e-3, rtol=0)
