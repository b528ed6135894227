"""The fast formulation as a GPU and reduced precision take it, here on the CPU: whole batches, weights kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.config import SIZES, ModelConfig
from models.fast import FastPath
from models.fast_batch import Target, doubled, doubling
from models.fast_generator import KEPT, identities
from models.fast_styled import prepare_blocks
from models.footprint import kept_bytes
from models.latent import Latent
from models.latent_batch import select
from models.layers import UpConv
from models.ops import Upsample
from models.precision import Precision
from models.refine import Refinement, refined
from models.styleganex import StyleGANEX
from models.tiled_generator import synthesize_tiled
from tests.golden.make_model_goldens import normal
from tests.models.memory import live_bytes
from tests.models.test_fast import CHANGES, KINDS, TINY, X2, build, pictures, tensors
from tests.models.test_precision import psnr

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SOME = ("attention, RGB skips", "sketch", "second layer", "pSp", "one style", "64")
TARGETS = {
    "float32 of a GPU": Target(memory_format=torch.contiguous_format, by_sample=False),
    "tensor cores": Target(by_sample=False, fused=True),
}


def take(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    """The CPU draws as if it were what `target` is for, in the dtype of the precision that is set."""

    def of(device: torch.device, precision: Precision) -> Target:
        return replace(target, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)

    monkeypatch.setattr("models.fast.Target.of", of)


def test_each_device_has_its_own_way() -> None:
    gpu = torch.device("cuda")
    assert Target.of(CPU, "fp32") == Target()
    assert not Target.of(CPU, "bf16").by_sample
    assert not Target.of(CPU, "bf16").fused
    assert Target.of(gpu, "fp32") == TARGETS["float32 of a GPU"]
    assert Target.of(gpu, "tf32") == TARGETS["tensor cores"]
    assert Target.of(gpu, "fp16") == replace(TARGETS["tensor cores"], dtype=torch.float16)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_doubling_equals_the_layers(target: Target) -> None:
    layer, x = UpConv(5, 7, 4), normal("x", (2, 5, 6, 9))
    weight, bias = normal("weight", (7, 5, 3, 3)), normal("bias", (7,))
    wanted = layer._convolve(x, weight) + bias[:, None, None]
    got = doubling(target, weight, layer.blur)(target.cast(x), bias=bias)
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=0)
    assert got.is_contiguous(memory_format=target.memory_format)
    rgb = normal("rgb", (2, 3, 5, 7))
    torch.testing.assert_close(doubled(rgb), Upsample()(rgb), atol=1e-6, rtol=0)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("config", [KINDS[name] for name in SOME], ids=SOME)
def test_equals_plain(monkeypatch: pytest.MonkeyPatch, config: ModelConfig, target: Target) -> None:
    net = build(config)
    x1, x2 = pictures(config, 2)
    edit, codes = (normal(name, (2, config.num_styles, config.style_dim)) for name in ("edit", "codes"))
    plain = net.invert(x1, x2)
    first = select(plain, 0)
    calls = [
        (plain, None, None),
        (plain._replace(wplus=codes), edit[:1], "stored"),  # each its own w+
        (plain._replace(wplus=codes[:1]), edit[:1], "stored"),  # one w+ for the batch
        (first._replace(wplus=codes), None, None),  # one picture, several w+
    ]
    wanted = [net.synthesize(*call) for call in calls]
    take(monkeypatch, target)
    with torch.inference_mode():
        fast, got = net.invert(x1, x2), [net.synthesize(*call) for call in calls]
    assert net._fast is not None
    assert target in net._fast._generators
    for one, other in zip(tensors(fast) + got, tensors(plain) + wanted, strict=True):
        torch.testing.assert_close(one, other, atol=3e-5, rtol=0)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_tiles_equal_the_whole(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    net = build(KINDS["attention, RGB skips"])
    x1, edit = torch.tanh(normal("x", (1, 3, 72, 104))), normal("edit", (1, TINY.num_styles, TINY.style_dim))
    wanted = net.synthesize(net.invert(x1, X2), edit, "stored")
    take(monkeypatch, target)
    with torch.inference_mode():
        got = synthesize_tiled(net, net.invert(x1, X2), edit, "stored", tile=5)
    torch.testing.assert_close(got, wanted, atol=3e-5, rtol=0)


Call = tuple[Tensor, Tensor, Tensor | None, bool]
"""x1, w+, edit, whether the skip features are used."""


def near(net: StyleGANEX, calls: list[Call]) -> list[tuple[float, float]]:
    """(dB of the plain formulation in bf16, of the fast one) against float32, call by call."""

    def draw() -> list[Tensor]:
        drawn = []
        for x1, wplus, edit, skips in calls:
            content = net.encode_content(x1)
            drawn.append(net.synthesize(Latent(wplus, content.feature, content.skips if skips else ()), edit))
        return drawn

    with torch.no_grad():
        exact = draw()
        net.set_precision("bf16")
        fast = draw()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FastPath, "suits", lambda net, x: False)
            plain = draw()
    net.set_precision("fp32")
    scales = [2 / (each.max() - each.min()) for each in exact]  # filled weights use a part of the range
    rows = zip(exact, plain, fast, scales, strict=True)
    return [(psnr(bad * s, good * s), psnr(better * s, good * s)) for good, bad, better, s in rows]


@pytest.mark.parametrize("target", [Target(by_sample=False), TARGETS["tensor cores"]], ids=["CPU", "tensor cores"])
def test_bf16_is_as_near_to_float32_as_the_plain_formulation(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    config = replace(SIZES["lite"], attention=1)
    net = build(config)
    x1 = torch.tanh(torch.nn.functional.interpolate(normal("x1", (2, 3, 4, 3)), (32, 24), mode="bicubic"))
    codes = 0.5 * normal("codes", (2, config.num_styles, config.style_dim))
    edit = 0.3 * normal("edit", (1, config.num_styles, config.style_dim))
    calls = [(x1, codes[:1], None, True), (x1, codes, None, True), (x1, codes[:1], edit, True)]
    take(monkeypatch, target)
    tokens = Refinement(net, 2)
    for p in tokens.p:
        p.data.copy_(0.1 * normal("p", tuple(p.shape)))
    found = near(net, [*calls, (x1, codes[:1], None, False)])
    with torch.no_grad(), refined(net, tokens.weights(net)):
        found += near(net, calls[:1])
    assert found[-1] != found[0]
    for plain, fast in found:
        assert fast > 50
        assert fast > plain - 1.5  # rounding differs with the number of threads, by half a decibel either way


@torch.no_grad()
def test_precisions_stand_side_by_side() -> None:
    net = build()
    x1, x2 = pictures(TINY, 1)
    before = net.synthesize(net.invert(x1, x2))
    net.set_precision("bf16")
    latent = net.invert(x1, x2)
    assert latent.skips[-1].dtype == torch.bfloat16
    assert not torch.equal(net.synthesize(latent), before)
    net.set_precision("fp32")
    assert torch.equal(net.synthesize(net.invert(x1, x2)), before)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_made_once_for_each_w(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    made: list[Tensor] = []
    monkeypatch.setattr(
        "models.fast_generator.prepare_blocks", lambda w, *rest: made.append(w) or prepare_blocks(w, *rest)
    )
    net = build()
    net.set_precision(precision)
    latent = net.invert(*pictures(TINY, 1))
    other = latent._replace(wplus=latent.wplus + 1)
    images = [net.synthesize(each) for each in (latent, other, latent, latent._replace(wplus=latent.wplus.clone()))]
    assert len(made) == 2
    assert torch.equal(images[0], images[2])
    assert torch.equal(images[0], images[3])
    net.get_parameter("generator.convs.3.conv.weight")[0] += 1.0
    assert not torch.equal(net.synthesize(latent), images[0])
    assert len(made) == 3


@torch.no_grad()
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_noticed(monkeypatch: pytest.MonkeyPatch, change: Callable[[StyleGANEX], None]) -> None:
    take(monkeypatch, TARGETS["tensor cores"])
    net = build()
    net.set_precision("bf16")
    x1, x2 = pictures(TINY, 1)
    before = net.synthesize(net.invert(x1, x2))
    change(net)
    after = net.synthesize(net.invert(x1, x2))
    assert (after - before).abs().max() > 1e-3
    assert torch.equal(after, copy.deepcopy(net).synthesize(net.invert(x1, x2)))


def test_gradients_take_the_plain_formulation() -> None:
    net = build()
    net.set_precision("bf16")
    latent = net.invert(*pictures(TINY, 1))
    wplus = latent.wplus.clone().requires_grad_()
    net.synthesize(latent._replace(wplus=wplus)).sum().backward()
    assert net._fast is None
    assert wplus.grad is not None
    assert wplus.grad.abs().max() > 0


def test_codes_on_a_gpu_are_known_by_their_tensors() -> None:
    wplus, edit = torch.zeros(1, 4, 8), torch.zeros(1, 4, 8)
    known = identities((wplus, edit))
    assert identities((wplus, edit)) == known
    assert identities((wplus, None)) != known
    assert identities((wplus, edit.clone())) != known
    edit += 1
    assert identities((wplus, edit)) != known


@torch.no_grad()
def test_what_is_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, TARGETS["tensor cores"])
    monkeypatch.setattr("models.footprint.Target.of", Target.of)
    net = build(SIZES["lite"])
    net.set_precision("bf16")
    x1 = torch.tanh(normal("x1", (1, 3, 16, 16)))
    with live_bytes() as meter:
        content = net.encode_content(x1)
        net.encode_style(X2)
        for i in range(KEPT + 1):
            net.synthesize(Latent(normal(f"{i}", (1, net.config.num_styles, net.config.style_dim)), *content))
        del content
    assert 0.4 < meter.now / kept_bytes(net) < 1
