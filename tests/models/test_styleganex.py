"""The whole network at tiny size: what it promises to callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.config import SIZES, ModelConfig
from models.errors import ModelError
from models.latent import Latent
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal

TINY = SIZES["tiny"]
LARGEST = replace(TINY, resolution=1024, generator_channels=(12, 12, 10, 10, 8, 8, 6, 6, 4), num_skips=7)
X2 = torch.tanh(normal("x2", (1, 3, 256, 256)))


def build(config: ModelConfig = TINY) -> StyleGANEX:
    return fill(StyleGANEX(config)).requires_grad_(False)


def picture(*shape: int) -> Tensor:
    return torch.tanh(normal("picture", shape))


@pytest.fixture(scope="module")
def net() -> StyleGANEX:
    return build()


@pytest.fixture(scope="module")
def latent(net: StyleGANEX) -> Latent:
    return net.invert(picture(1, 3, 64, 40), X2)


def test_shapes_of_the_largest() -> None:
    net = build(LARGEST)
    latent = net.invert(picture(2, 3, 24, 32), X2)
    assert latent.wplus.shape == (2, 18, 16)
    assert latent.feature is not None
    assert latent.feature.shape == (2, 12, 3, 4)
    assert latent.feature_rgb is not None
    assert latent.feature_rgb.shape == (2, 3, 3, 4)
    assert [tuple(skip.shape[2:]) for skip in latent.skips] == [(3, 4)] * 4 + [(6, 8), (12, 16), (24, 32)]
    assert net.synthesize(latent).shape == (2, 3, 96, 128)
    assert net.sample(normal("z", (2, 16))).shape == (2, 3, 1024, 1024)


def test_batch_does_not_change_the_result(net: StyleGANEX) -> None:
    x1 = picture(4, 3, 64, 48)
    edit = normal("edit", (1, 14, 16))
    whole = net.invert(x1, X2)
    images = net.synthesize(whole, edit=edit)
    for i in range(4):
        one = net.invert(x1[i : i + 1], X2)
        torch.testing.assert_close(one.wplus[0], whole.wplus[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(net.synthesize(one, edit=edit)[0], images[i], atol=1e-5, rtol=0)


def test_the_same_call_gives_the_same_bits(net: StyleGANEX, latent: Latent) -> None:
    again = net.invert(picture(1, 3, 64, 40), X2)
    assert torch.equal(again.wplus, latent.wplus)
    assert torch.equal(net.synthesize(again), net.synthesize(latent))


def test_a_call_leaves_its_inputs_alone(net: StyleGANEX, latent: Latent) -> None:
    before = [tensor.clone() for tensor in (latent.wplus, *latent.skips)]
    net.synthesize(latent, edit=torch.ones(1, 14, 16), noise="stored")
    assert all(torch.equal(old, new) for old, new in zip(before, (latent.wplus, *latent.skips), strict=True))


def test_style_and_content_apart_equal_invert(net: StyleGANEX, latent: Latent) -> None:
    content = net.encode_content(picture(1, 3, 64, 40))
    assert latent.feature is not None
    assert content.feature is not None
    assert torch.equal(content.feature, latent.feature)
    assert torch.equal(net.encode_style(X2), latent.wplus)


def test_without_x2_the_codes_come_from_x1(net: StyleGANEX) -> None:
    latent = net.invert(X2)
    torch.testing.assert_close(latent.wplus, net.encode_style(X2))


def test_one_frame_many_styles(net: StyleGANEX, latent: Latent) -> None:
    codes = latent.wplus + normal("variants", (3, 14, 16))
    images = net.synthesize(latent._replace(wplus=codes))
    assert images.shape[0] == 3
    torch.testing.assert_close(images[1:2], net.synthesize(latent._replace(wplus=codes[1:2])), atol=1e-5, rtol=0)


def test_skips_can_be_turned_off(net: StyleGANEX, latent: Latent) -> None:
    without = net.synthesize(latent._replace(skips=()))
    assert (without - net.synthesize(latent)).abs().max() > 0.01


def test_noise(net: StyleGANEX, latent: Latent) -> None:
    silent = net.synthesize(latent)
    maps: list[Tensor | None] = list(net.generator.stored_noise)
    assert torch.equal(net.synthesize(latent, noise=maps), net.synthesize(latent, noise="stored"))
    assert torch.equal(net.synthesize(latent, noise=[None] * len(maps)), silent)
    assert not torch.equal(net.synthesize(latent, noise=[torch.ones(1, 1, 5, 9), *[None] * 12]), silent)


def test_edit_moves_the_codes_and_drives_the_attention(net: StyleGANEX, latent: Latent) -> None:
    edit = normal("edit", (1, 14, 16))
    by_hand = net.synthesize(latent._replace(wplus=latent.wplus + edit))
    assert torch.equal(net.synthesize(latent, edit=edit), by_hand)
    attending = build(replace(TINY, attention=1))
    latent = attending.invert(picture(1, 3, 64, 40), X2)
    plain, zero, small = (attending.synthesize(latent, edit=e) for e in (None, 0 * edit, 1e-4 * edit))
    assert (plain - zero).abs().max() > 0.01
    assert (small - zero).abs().max() < 0.01


def test_sample_truncates(net: StyleGANEX) -> None:
    z = normal("z", (2, 16))
    mean = torch.zeros(16)
    assert torch.equal(net.sample(z, 1.0), net.sample(z, 1.0, mean))
    closed = net.sample(z, truncation=0.0, truncation_latent=mean)
    torch.testing.assert_close(closed[0], closed[1], atol=1e-5, rtol=0)
    assert net.latent_avg is not None
    by_default = net.sample(z, truncation=0.5)
    torch.testing.assert_close(by_default, net.sample(z, 0.5, net.latent_avg))
    torch.testing.assert_close(net.sample(z, 0.5, net.latent_avg[:1]), net.sample(z, 0.5, net.latent_avg[0]))


def test_batch_statistics_for_one_call() -> None:
    net = build(replace(TINY, input_channels=1, num_skips=1))
    sketch = picture(2, 1, 64, 40).abs()
    running = {key: value.clone() for key, value in net.named_buffers()}
    once = net.invert(sketch, batch_stats=True)
    assert all(torch.equal(running[key], value) for key, value in net.named_buffers())
    assert not any(module.training for module in net.modules())
    assert (once.wplus - net.invert(sketch).wplus).abs().max() > 1e-3
    net.train()
    torch.testing.assert_close(net.invert(sketch).wplus, once.wplus)
    assert any(not torch.equal(running[key], value) for key, value in net.named_buffers())


def test_batch_statistics_are_switched_off_after_an_error(net: StyleGANEX) -> None:
    with pytest.raises(ModelError):
        net.invert(picture(1, 3, 63, 40), batch_stats=True)
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize(
    "config", [TINY, replace(TINY, attention=1, skip_to_rgb=True), replace(TINY, input_channels=1)]
)
def test_gradients_reach_every_parameter_that_has_a_part(config: ModelConfig) -> None:
    net = fill(StyleGANEX(config)).train()
    x1 = picture(2, config.input_channels, 64, 48)
    aligned = X2.repeat(2, 1, 1, 1) if config.input_channels == 3 else None
    edit = normal("edit", (2, 14, 16)) if config.attention else None
    mapped = net.mapping(normal("z", (2, 16)))
    latent = net.invert(x1, aligned)
    latent = latent.mix_layers(mapped[:, None].expand(-1, 14, -1), [5], alpha=0.5)
    net.synthesize(latent, edit=edit, noise="stored").square().mean().backward()
    silent = {name for name, parameter in net.named_parameters() if parameter.grad is None or not parameter.grad.any()}
    unused = {"generator.constant", "encoder.feature_rgb_layer.weight", "encoder.feature_rgb_layer.bias"}
    # With a zero mean slope a small squeeze can close (ReLU) on these inputs: that is the weights' doing.
    assert {name for name in silent - unused if ".fc" not in name} == set()


def test_second_order_gradient_of_the_generator(net: StyleGANEX, latent: Latent) -> None:
    codes = latent.wplus.clone().requires_grad_()
    image = net.synthesize(latent._replace(wplus=codes))
    (gradient,) = torch.autograd.grad((image * torch.randn_like(image)).sum(), codes, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), codes)
    assert second.isfinite().all()
    assert second.abs().max() > 0


ERRORS: list[tuple[str, Callable[[StyleGANEX, Latent], object], str]] = [
    ("height", lambda net, _: net.invert(torch.zeros(1, 3, 63, 64)), "63×64"),
    ("width", lambda net, _: net.invert(torch.zeros(1, 3, 64, 60)), "multiple of 8"),
    ("empty", lambda net, _: net.invert(torch.zeros(1, 3, 0, 8)), "0×8"),
    ("channels", lambda net, _: net.invert(torch.zeros(1, 1, 64, 64)), "1, 3, H, W|B, 3, H, W"),
    ("uint8", lambda net, _: net.invert(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)), "uint8"),
    ("aligned size", lambda net, _: net.invert(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 128, 128)), "256"),
    ("aligned batch", lambda net, _: net.invert(torch.zeros(3, 3, 8, 8), torch.zeros(2, 3, 256, 256)), "one crop"),
    ("noise count", lambda net, latent: net.synthesize(latent, noise=[None]), "give 13"),
    ("noise word", lambda net, latent: net.synthesize(latent, noise="random"), "stored"),  # type: ignore[arg-type]
    ("edit shape", lambda net, latent: net.synthesize(latent, edit=torch.zeros(14, 16)), "edit"),
    ("codes", lambda net, latent: net.synthesize(latent._replace(wplus=torch.zeros(1, 18, 16))), "14, 16"),
    ("skips", lambda net, latent: net.synthesize(latent._replace(skips=latent.skips[:2])), "same model"),
    ("batches", lambda net, latent: net.synthesize(Latent(torch.zeros(2, 14, 16), torch.zeros(3, 12, 4, 4))), "batch"),
    ("z", lambda net, _: net.mapping(torch.zeros(2, 8)), "B, 16"),
]


@pytest.mark.parametrize(("call", "words"), [each[1:] for each in ERRORS], ids=[each[0] for each in ERRORS])
def test_errors_say_what_and_the_remedy(
    net: StyleGANEX, latent: Latent, call: Callable[[StyleGANEX, Latent], object], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        call(net, latent)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_aligned_crop_for_a_sketch_model() -> None:
    net = build(replace(TINY, input_channels=1, num_skips=1))
    with pytest.raises(ModelError, match="1-channel"):
        net.invert(picture(1, 1, 64, 64), X2)


def test_what_a_plain_generator_cannot_do() -> None:
    net = build(replace(TINY, has_encoder=False, has_feature=False, num_skips=0))
    net.latent_avg = None
    with pytest.raises(ModelError, match="generator alone"):
        net.invert(picture(1, 3, 64, 64))
    with pytest.raises(ModelError, match="centre"):
        net.sample(normal("z", (1, 16)), truncation=0.7)


def test_feature_at_the_second_layer_needs_its_rgb() -> None:
    net = build(replace(TINY, feature_index=1))
    latent = net.invert(picture(1, 3, 64, 40), X2)
    with pytest.raises(ModelError, match="feature_rgb"):
        net.synthesize(latent._replace(feature_rgb=None))
    codes = latent.wplus.clone()
    codes[:, 0] = 7.0
    assert torch.equal(net.synthesize(latent._replace(wplus=codes)), net.synthesize(latent))
