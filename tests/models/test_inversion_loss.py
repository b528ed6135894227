"""The loss of inversion step II and its schedule."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from models.inversion_loss import average_to, inversion_loss, jitter_scale, learning_rate, psnr, wplus_spread
from models.latent import Latent
from models.noise_maps import initial_noise, noise_regularizer, noise_shapes
from models.perceptual import MultiscaleDistance
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import TINY, fill, normal

SMALL = replace(TINY, resolution=64, generator_channels=(6, 6, 5, 5, 4), num_skips=2)


@pytest.mark.parametrize("step", range(0, 500, 7))
def test_learning_rate_and_jitter_are_the_specs(step):
    t = step / 500
    wanted = 0.05 * 0.5 * (1 - math.cos(math.pi * min(1, (1 - t) / 0.25))) * min(1, t / 0.05)
    assert learning_rate(t) == pytest.approx(wanted, abs=1e-12)
    assert jitter_scale(t) == pytest.approx(0.05 * 0.2 * max(0, 1 - t / 0.75) ** 2, abs=1e-12)


def test_landmarks_of_the_schedule():
    assert learning_rate(0) == 0
    assert learning_rate(0.05) == learning_rate(0.75) == 0.05
    assert learning_rate(0.875) == pytest.approx(0.025)
    assert jitter_scale(0) == pytest.approx(0.01)
    assert jitter_scale(0.75) == jitter_scale(0.9) == 0


def test_spread_is_the_distance_from_the_mean():
    net = fill(StyleGANEX(SMALL))
    z = torch.randn(1000, SMALL.style_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        w = net.mapping(z).double()
    assert wplus_spread(net, seed=5) == pytest.approx(float(w.var(dim=0, unbiased=False).sum().sqrt()), rel=1e-5)


def test_average_is_by_area():
    x = normal("average", (2, 3, 24, 36))
    torch.testing.assert_close(average_to(x, (6, 12)), F.interpolate(x, size=(6, 12), mode="area"))
    torch.testing.assert_close(average_to(x, (7, 12)), F.adaptive_avg_pool2d(x, (7, 12)))
    assert average_to(x, (24, 36)) is x


def test_psnr_by_hand():
    a = torch.zeros(2, 3, 8, 8)
    b = a.clone()
    b[1] += 0.2
    assert psnr(b, a).tolist() == [math.inf, pytest.approx(20.0)]
    assert psnr(a + 3, a + 1).tolist() == [math.inf, math.inf]  # clamped


def parts(seed: int = 0) -> tuple[StyleGANEX, Latent, list[torch.Tensor], torch.Tensor]:
    net = fill(StyleGANEX(SMALL)).eval().requires_grad_(False).double()
    with torch.no_grad():
        latent = net.invert(torch.tanh(normal("loss.x1", (1, 3, 64, 64)).double()))
    noise = initial_noise(noise_shapes(SMALL, 64, 64), torch.Generator().manual_seed(seed))
    return net, latent, [maps.double() for maps in noise], torch.tanh(normal("loss.target", (1, 3, 64, 64)).double())


def test_loss_is_distance_plus_weighted_regularizer():
    net, latent, noise, target = parts()
    image = net.synthesize(latent, noise=noise)  # 16×16 for this network, so that the target is averaged 4×
    assert image.shape[2:] == (16, 16)
    wanted = MultiscaleDistance()(image, F.avg_pool2d(target, 4)) + 1e3 * noise_regularizer(noise)
    torch.testing.assert_close(inversion_loss(net, latent, noise, target, MultiscaleDistance()), wanted)
    silent = inversion_loss(net, latent, None, target, MultiscaleDistance())
    torch.testing.assert_close(silent, MultiscaleDistance()(net.synthesize(latent), F.avg_pool2d(target, 4)))


class Square:
    """A smooth distance, so that differences say something."""

    name = "square"

    def __call__(self, a, b):
        return (a - b).square().mean(dim=(1, 2, 3))


def test_gradients_are_those_of_finite_differences():
    """Along random directions of w+, f and every noise map, central differences in float64."""
    net, latent, noise, target = parts()
    feature = latent.feature
    assert feature is not None

    def loss(*tensors):
        moved = latent._replace(wplus=tensors[0], feature=tensors[1])
        return inversion_loss(net, moved, tensors[2:], target, Square(), 1.0).sum()

    values = [latent.wplus, feature, *noise]
    leaves = [value.detach().clone().requires_grad_() for value in values]
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    for number, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
        direction = normal(f"direction.{number}", tuple(value.shape)).double()
        ends = []
        for step in (1e-5, -1e-5):
            moved = [v + step * direction if k == number else v for k, v in enumerate(values)]
            with torch.no_grad():
                ends.append(loss(*moved).item())
        wanted = (ends[0] - ends[1]) / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(wanted, rel=2e-4, abs=1e-9), number
        assert gradient.abs().max() > 0
