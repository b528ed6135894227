"""Seeds: the same picture whatever the company; loops that close."""

import logging
from dataclasses import replace

import pytest
import torch

from models.config import SIZES
from models.errors import ModelError
from models.sampling import Sampler, looped, seed_z
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill

TINY = replace(SIZES["tiny"], resolution=64, generator_channels=(12, 12, 10, 10, 8), num_skips=4)
L, D = TINY.num_styles, TINY.style_dim


@pytest.fixture
def net():
    return fill(StyleGANEX(TINY)).eval().requires_grad_(False)


def test_seeds_are_those_that_everyone_knows():
    assert seed_z(0, 512)[0, :3].tolist() == pytest.approx([1.7640524, 0.4001572, 0.9787380])
    assert seed_z(2**32 - 1, 8).shape == (1, 8)
    for seed in (-1, 2**32):
        with pytest.raises(ModelError, match="seed"):
            seed_z(seed, 8)


@torch.inference_mode()
def test_image_is_that_of_plain_sampling(net):
    sampler = Sampler(net, truncation=0.7)
    image = sampler.image(sampler.wplus(5))
    assert image.shape == (3, sampler.size, sampler.size)
    assert torch.equal(image, net.sample(seed_z(5, D), truncation=0.7)[0])
    together = net.sample(torch.cat([seed_z(seed, D) for seed in (4, 5, 6)]), truncation=0.7)
    assert torch.allclose(image, together[1], atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("change", [{"has_encoder": False, "num_skips": 0}, {"has_feature": False, "num_skips": 0}])
def test_generators_and_psp_files_too(change):
    net = fill(StyleGANEX(replace(TINY, **change))).eval().requires_grad_(False)
    sampler = Sampler(net)
    assert torch.equal(sampler.image(sampler.wplus(1)), net.sample(seed_z(1, D))[0])


def test_truncation_nought_is_the_mean(net):
    assert torch.equal(Sampler(net, 0.0).wplus(3)[0], net.latent_avg)
    assert torch.equal(Sampler(net, 0.0).wplus(3), Sampler(net, 0.0).wplus(4))


@pytest.mark.parametrize("truncation", [0.7, float("nan")])
def test_truncation_that_cannot_be(net, truncation):
    net.latent_avg = None
    with pytest.raises(ModelError, match="truncation"):
        Sampler(net, truncation)
    Sampler(net)


def test_a_model_that_cannot_sample_says_so(net, caplog):
    for name, bias in net.generator.mapping.named_parameters():
        if name.endswith("bias"):
            bias.zero_()
    with caplog.at_level(logging.WARNING):
        Sampler(net)
    assert "untrained" in caplog.text
    caplog.clear()
    net.metadata["can_sample"] = "yes"
    Sampler(net)
    assert not caplog.records
    net.metadata["can_sample"] = "no"
    with pytest.raises(ModelError, match="mean nothing"):
        Sampler(net)


def test_loop_is_exact_at_the_points_and_closes_without_a_corner():
    points = [torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    way = torch.cat(list(looped(points, frames=50)))
    assert way.shape == (200, 3, 4)
    assert torch.equal(way[::50], torch.cat(points))
    steps = torch.cat([way, way[:2]]).diff(dim=0)
    bends = steps.diff(dim=0).abs().amax(dim=(1, 2))
    assert bends.max() < 0.2 * steps.abs().max()
    assert torch.equal(torch.cat(list(looped(points[:2], frames=1))), torch.cat(points[:2]))
