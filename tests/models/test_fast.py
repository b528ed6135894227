"""The fast formulation against the plain one: every kind of network, and no stale weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.config import SIZES, ModelConfig
from models.fast import FastPath
from models.fast_generator import KEPT
from models.latent import Latent
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal

TINY = SIZES["tiny"]
WIDE = replace(
    TINY,
    resolution=1024,
    generator_channels=(128, 136, 128, 128, 160, 128, 24, 16, 8),
    body_widths=(32, 128, 128, 128),
    num_skips=7,
)
"""Wide enough that Winograd's convolutions are chosen."""
KINDS = {
    "wide": WIDE,
    "attention, RGB skips": replace(TINY, attention=1, skip_to_rgb=True),
    "sketch": replace(TINY, input_channels=1),
    "mask, few skips": replace(TINY, input_channels=19, num_skips=3),
    "direct input": replace(TINY, input_channels=1, direct_input=True),
    "second layer": replace(TINY, feature_index=1),
    "pSp": replace(TINY, has_feature=False, num_skips=0),
    "one style": replace(TINY, learn_in_w=True, max_pooling=True),
    "64": replace(TINY, resolution=64, generator_channels=(8, 8, 8, 8, 8), num_skips=4),
}
X2 = torch.tanh(normal("x2", (1, 3, 256, 256)))


def build(config: ModelConfig = TINY) -> StyleGANEX:
    return fill(StyleGANEX(config)).requires_grad_(False)


def pictures(config: ModelConfig, batch: int) -> tuple[Tensor, Tensor | None]:
    x1 = torch.tanh(normal("picture", (batch, config.input_channels, 72, 40)))
    return x1, X2 if config.input_channels == 3 else None


def tensors(latent: Latent) -> list[Tensor]:
    return [part for part in (latent.wplus, latent.feature, *latent.skips, latent.feature_rgb) if part is not None]


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_fast_equals_plain(config: ModelConfig) -> None:
    net = build(config)
    x1, x2 = pictures(config, 2)
    edit = normal("edit", (1, config.num_styles, config.style_dim))
    plain = net.invert(x1, x2)
    assert net._fast is None
    wanted = [net.synthesize(plain), net.synthesize(plain, edit=edit, noise="stored")]
    with torch.inference_mode():
        fast = net.invert(x1, x2)
        got = [net.synthesize(plain), net.synthesize(plain, edit=edit, noise="stored")]
    assert net._fast is not None
    for one, other in zip(tensors(fast) + got, tensors(plain) + wanted, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.fast_upsample.STRIP", 1)
    test_fast_equals_plain(WIDE)


def test_fast_equals_plain_for_a_plain_generator() -> None:
    net = build(replace(TINY, has_encoder=False, has_feature=False, num_skips=0))
    z = normal("z", (2, 16))
    with torch.inference_mode():
        fast = net.sample(z, truncation=0.7)
    assert net._fast is not None
    torch.testing.assert_close(fast, net.sample(z, truncation=0.7), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_batch_changes_no_bit() -> None:
    net = build(WIDE)
    x1, x2 = pictures(WIDE, 3)
    codes = normal("codes", (3, WIDE.num_styles, WIDE.style_dim))
    whole = net.invert(x1, x2)._replace(wplus=codes)
    images = net.synthesize(whole)
    for i in range(3):
        one = net.invert(x1[i : i + 1], x2)._replace(wplus=codes[i : i + 1])
        assert all(torch.equal(a[0], b[i]) for a, b in zip(tensors(one), tensors(whole), strict=True))
        assert torch.equal(net.synthesize(one)[0], images[i])


@torch.no_grad()
def test_one_feature_many_styles() -> None:
    net = build()
    x1, x2 = pictures(TINY, 1)
    latent = net.invert(x1, x2)
    codes = normal("codes", (KEPT + 2, TINY.num_styles, TINY.style_dim))
    images = net.synthesize(latent._replace(wplus=codes))
    again = [net.synthesize(latent._replace(wplus=each)) for each in codes.split(1)]
    assert torch.equal(images, torch.cat(again))
    assert net._fast is not None
    assert len(net._fast.generator("fp32")._prepared) == KEPT


def changed_weight(net: StyleGANEX) -> None:
    net.get_parameter("generator.convs.3.conv.weight")[0] += 1.0


def changed_statistics(net: StyleGANEX) -> None:
    net.get_buffer("encoder.body.0.res_layer.0.running_mean").add_(0.5)


def replaced_parameter(net: StyleGANEX) -> None:
    net.generator.to_rgb1.bias = torch.nn.Parameter(torch.ones(1, 3, 1, 1), requires_grad=False)


def loaded_state(net: StyleGANEX) -> None:
    net.load_state_dict({key: value * 1.1 for key, value in net.state_dict().items()})


def moved_data(net: StyleGANEX) -> None:
    weight = net.get_parameter("fusion.0.fusion_out.weight")
    weight.data = weight.data * 1.5


CHANGES = (changed_weight, changed_statistics, replaced_parameter, loaded_state, moved_data)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_are_noticed(change: Callable[[StyleGANEX], None]) -> None:
    net = build()
    x1, x2 = pictures(TINY, 1)
    with torch.no_grad():
        before = net.synthesize(net.invert(x1, x2))
        change(net)
        after = net.synthesize(net.invert(x1, x2))
    wanted = net.synthesize(net.invert(x1, x2))
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, wanted, atol=1e-5, rtol=0)


def test_only_inference_is_fast() -> None:
    net = build()
    x = torch.zeros(1, 3, 8, 8)
    assert not FastPath.suits(net, x)
    with torch.no_grad():
        assert FastPath.suits(net, x)
        assert not FastPath.suits(net, x.double())
        net.get_submodule("encoder.body.0").train()
        assert not FastPath.suits(net, x)
        net.eval()
        with torch.autocast("cpu", torch.bfloat16):
            assert not FastPath.suits(net, x)
    with torch.inference_mode():
        made_here = build()
    with torch.no_grad():
        assert not FastPath.suits(made_here, x)


def test_batch_statistics_take_the_plain_formulation() -> None:
    net = build(replace(TINY, input_channels=1))
    x1, _ = pictures(net.config, 2)
    wanted = net.invert(x1, batch_stats=True)
    with torch.inference_mode():
        net.invert(x1)
        got = net.invert(x1, batch_stats=True)
    assert all(torch.equal(a, b) for a, b in zip(tensors(got), tensors(wanted), strict=True))


def test_a_copy_has_its_own_weights() -> None:
    net = build()
    x1, x2 = pictures(TINY, 1)
    with torch.inference_mode():
        image = net.synthesize(net.invert(x1, x2))
    other = copy.deepcopy(net)
    assert other._fast is None
    with torch.no_grad():
        changed_weight(net)
        assert torch.equal(other.synthesize(other.invert(x1, x2)), image)
