from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.config import SIZES
from models.styleganex import StyleGANEX
from models.training.palette import NUMBERS, PALETTE, palette_code, plain_backdrop, read_palette

LITE = replace(SIZES["tiny"], style_dim=32)


def test_codes_of_heads_like_the_sets_are_about_normal():
    """Colours drawn with the spread of each region come back as numbers of mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    codes = []
    for _ in range(150):
        parsing = np.repeat(np.array([region.labels[0] for region in PALETTE], np.uint8), 8)[None].repeat(4, axis=0)
        lab = np.zeros((4, 32, 3), np.float32)
        for place, region in enumerate(PALETTE):
            lab[:, 8 * place : 8 * place + 8] = rng.multivariate_normal(region.mean, region.covariance)
        image = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
        if image.min() >= 0 and image.max() <= 1:  # a colour that a screen can show
            codes.append(palette_code((image * 255).round().astype(np.uint8), parsing, 16, rng)[:NUMBERS])
    found = np.array(codes)
    assert len(found) > 50
    assert np.abs(found[:, :3].mean(axis=0)).max() < 0.4
    assert found[:, :3].std(axis=0).min() > 0.6
    assert found[:, :3].std(axis=0).max() < 1.3


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_mapping_passes_the_palette_on_and_nothing_else(layers):
    net = StyleGANEX(replace(LITE, mapping_layers=layers))
    read_palette(net)
    z = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    z *= 32**0.5 / z.norm(dim=1, keepdim=True)
    other = z.clone()
    other[:, NUMBERS:] = other[:, NUMBERS:].flip(1)  # of the same length
    with torch.no_grad():
        w = net.mapping(z)
        assert torch.allclose(net.mapping(other), w, atol=1e-5)
    told = (w[:, 0 : 2 * NUMBERS : 2] - w[:, 1 : 2 * NUMBERS : 2]) / 1.2
    assert torch.allclose(told, 0.5 * z[:, :NUMBERS], atol=1e-4)
    assert w[:, 2 * NUMBERS :].abs().max() < 1e-6


def test_a_narrow_network_reads_as_many_as_it_has_room_for():
    net = StyleGANEX(SIZES["tiny"])
    read_palette(net)
    with torch.no_grad():
        assert net.mapping(torch.eye(16)[:8]).abs().amax(dim=1).min() > 0.1


def test_a_plain_backdrop_has_the_backgrounds_median_colour_and_leaves_the_head():
    rng = np.random.default_rng(0)
    image = (rng.integers(-20, 21, (40, 60, 3)) + np.array([90, 120, 200])).astype(np.uint8)
    parsing = np.zeros((40, 60), np.uint8)
    parsing[10:30, 20:40] = 1
    plain = plain_backdrop(image, parsing)
    assert plain.dtype == np.uint8
    assert np.array_equal(plain[11:29, 21:39], image[11:29, 21:39])
    wall = np.median(image[parsing == 0], axis=0)
    assert np.abs(plain[:9].astype(float) - wall).max() <= 0.5
    assert np.array_equal(plain_backdrop(image, parsing + 1), image)
    before, after = (palette_code(picture, parsing, 64, rng)[9:NUMBERS] for picture in (image, plain))
    np.testing.assert_allclose(after, before, atol=0.15)
