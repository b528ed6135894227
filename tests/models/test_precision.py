"""Reduced precision against float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import models
from models.checkpoint import load_checkpoint
from models.config import SIZES
from models.errors import ModelError
from models.latent import Latent
from models.precision import Precision, arithmetic, check_precision, has_units
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal

LITE = Path(models.__file__).parent / "weights" / "lite_toon.safetensors"


def psnr(image: torch.Tensor, wanted: torch.Tensor) -> float:
    """dB for pictures in [−1, 1]."""
    return float(10 * torch.log10(4 / (image.clamp(-1, 1) - wanted.clamp(-1, 1)).square().mean()))


@torch.no_grad()
def test_bf16_of_the_embedded_model_is_close() -> None:
    net = load_checkpoint(LITE)
    x1 = torch.tanh(torch.nn.functional.interpolate(normal("x1", (1, 3, 10, 8)), (160, 128), mode="bicubic"))
    aligned = torch.tanh(torch.nn.functional.interpolate(normal("x2", (1, 3, 16, 16)), (256, 256), mode="bicubic"))
    wanted = net.invert(x1, aligned)
    image = net.synthesize(wanted)
    net.set_precision("bf16")
    latent = net.invert(x1, aligned)
    reduced = net.synthesize(latent)
    assert torch.equal(latent.wplus, wanted.wplus)
    assert latent.skips[-1].dtype == torch.bfloat16
    assert reduced.dtype == torch.float32
    assert not torch.equal(reduced, image)
    assert psnr(reduced, image) > 40
    net.set_precision("fp32")
    assert torch.equal(net.synthesize(net.invert(x1, aligned)), image)


@pytest.mark.release  # minutes on a CPU without bf16 units
@torch.inference_mode()
def test_bf16_of_the_full_network_is_close() -> None:
    with torch.inference_mode(False):
        net = fill(StyleGANEX(SIZES["full"])).requires_grad_(False).eval()
    x1 = torch.nn.functional.interpolate(torch.tanh(normal("x1", (1, 3, 20, 20))), (64, 64), mode="bicubic")
    wplus = net.encode_style(torch.tanh(normal("x2", (1, 3, 256, 256))))
    image = net.synthesize(Latent(wplus, *net.encode_content(x1)))
    net.set_precision("bf16")
    reduced = net.synthesize(Latent(wplus, *net.encode_content(x1)))
    scale = 2 / (image.max() - image.min())  # filled weights use a part of the range
    assert 40 < psnr(reduced * scale, image * scale) < 80


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True)])
def test_float32_on_a_gpu_is_ieee_unless_asked_otherwise(precision: Precision, allowed: bool) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        with arithmetic(precision, torch.device("cuda")):
            assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (allowed, allowed)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_tf32_is_for_gpus() -> None:
    with pytest.raises(ModelError, match="tf32 on cpu"):
        check_precision("tf32", torch.device("cpu"))
    check_precision("tf32", torch.device("cuda"))


def test_from_x1_alone() -> None:
    net = fill(StyleGANEX(SIZES["tiny"])).requires_grad_(False)
    x1 = torch.tanh(normal("x", (1, 3, 64, 64)))
    wanted = net.invert(x1)
    net.set_precision("bf16")
    torch.testing.assert_close(net.invert(x1).wplus, wanted.wplus)


def test_fp16_needs_a_gpu() -> None:
    net = StyleGANEX(SIZES["tiny"])
    with pytest.raises(ModelError, match="fp16") as caught:
        net.set_precision("fp16")
    assert "bf16" in caught.value.remedy
    check_precision("fp16", torch.device("cuda"))
    check_precision("bf16", torch.device("cpu"))


def test_float32_is_everywhere_at_its_own_rate() -> None:
    assert has_units("fp32", torch.device("cpu"))
    assert isinstance(has_units("bf16", torch.device("cpu")), bool)
