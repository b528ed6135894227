"""Noise maps of inversion step II."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.config import SIZES
from models.noise_maps import initial_noise, noise_regularizer, noise_shapes, normalize_noise_


def test_sizes_are_those_of_the_features():
    """max(32, s)·(H, W)/256 for native sizes s = 4, 8, 8, …, 1024, 1024."""
    square = noise_shapes(SIZES["full"], 256, 256)
    assert [h for h, _ in square] == [32] * 7 + [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert all(h == w for h, w in square)
    assert noise_shapes(SIZES["full"], 320, 192)[0] == (40, 24)
    assert noise_shapes(SIZES["full"], 320, 192)[-1] == (1280, 768)


def reference_regularizer(noise):
    """The spec's sentence, with index arithmetic and interpolation: one map [h, w], all halvings down to 8."""
    total = 0.0
    while True:
        h, w = noise.shape
        right = noise[:, [(x - 1) % w for x in range(w)]]
        below = noise[[(y - 1) % h for y in range(h)]]
        total += float((noise * right).mean() ** 2 + (noise * below).mean() ** 2)
        if min(h, w) <= 8:
            return total
        noise = F.interpolate(noise[None, None], scale_factor=0.5, mode="bilinear", align_corners=False)[0, 0]


@pytest.mark.parametrize("shapes", [[(8, 8)], [(32, 32)], [(40, 24), (64, 48)], [(33, 17), (4, 4)]])
def test_regularizer_is_the_specs(shapes):
    generator = torch.Generator().manual_seed(1)
    maps = [torch.randn(2, 1, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    wanted = [sum(reference_regularizer(noise[b, 0]) for noise in maps) for b in range(2)]
    torch.testing.assert_close(noise_regularizer(maps), torch.tensor(wanted, dtype=torch.float64))


def test_regularizer_tells_white_noise_from_smooth():
    white = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    smooth = F.avg_pool2d(white, 5, 1, 2)
    normalize_noise_([smooth])
    assert noise_regularizer([smooth]) > 20 * noise_regularizer([white])


def test_gradient_of_the_regularizer():
    noise = torch.randn(2, 1, 9, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda n: noise_regularizer([n]), noise.requires_grad_())


def test_normalised_by_sample():
    maps = [torch.randn(2, 1, 9, 12) * torch.tensor([3.0, 0.1]).view(2, 1, 1, 1) + 5 for _ in range(2)]
    normalize_noise_(maps)
    for noise in maps:
        torch.testing.assert_close(noise.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.ones(2))


def test_first_maps_come_from_the_generator():
    shapes = ((8, 8), (16, 24))
    first, again = (initial_noise(shapes, torch.Generator().manual_seed(3)) for _ in range(2))
    assert [tuple(noise.shape) for noise in first] == [(1, 1, 8, 8), (1, 1, 16, 24)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
