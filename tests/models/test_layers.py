"""The layers against a literal, slow reading of their definitions."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers import EqualLinear, ModulatedConv, RescaledUpConv, StyledConv, ToRGB, UpConv
from models.ops import BINOMIAL, Blur, PixelNorm, Upsample

B, C_IN, C_OUT, D, H, W = 3, 5, 4, 6, 7, 9


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(B, C_IN, H, W, generator=generator), torch.randn(B, D, generator=generator)


def modulated_weight(conv: ModulatedConv, w: Tensor) -> Tensor:
    """[out, in, k, k] for one w [style_dim], by the formula of StyleGAN2 §2.2."""
    style = conv.modulation.weight @ w / math.sqrt(len(w)) + conv.modulation.bias
    weight = conv.weight * style[None, :, None, None] / math.sqrt(conv.weight[0].numel())
    norm = weight.square().sum(dim=(1, 2, 3), keepdim=True).add(1e-8).rsqrt()
    return weight * norm if conv.demodulate else weight


def fir4() -> Tensor:
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(line, line) / 64 * 4


def correlate_each_channel(x: Tensor, kernel: Tensor) -> Tensor:
    return torch.cat([F.conv2d(channel, kernel[None, None]) for channel in x.split(1, dim=1)], dim=1)


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_modulated_conv(inputs: tuple[Tensor, Tensor], dilation: int) -> None:
    x, w = inputs
    conv = ModulatedConv(C_IN, C_OUT, D, dilation=dilation)
    bias = torch.randn(1, C_OUT, 1, 1)
    wanted = [
        F.conv2d(x[i : i + 1], modulated_weight(conv, w[i]), padding=dilation, dilation=dilation) * 2 + bias
        for i in range(B)
    ]
    torch.testing.assert_close(conv(x, w, bias, gain=2.0), torch.cat(wanted), atol=1e-5, rtol=1e-5)


def test_up_conv_doubles_the_size(inputs: tuple[Tensor, Tensor]) -> None:
    x, w = inputs
    conv = UpConv(C_IN, C_OUT, D)
    wanted = []
    for i in range(B):
        weight = modulated_weight(conv, w[i]).transpose(0, 1)
        up = F.conv_transpose2d(x[i : i + 1], weight, stride=2)
        wanted.append(correlate_each_channel(F.pad(up, (1, 1, 1, 1)), fir4()))
    got = conv(x, w, torch.zeros(1, C_OUT, 1, 1))
    assert got.shape == (B, C_OUT, 2 * H, 2 * W)
    torch.testing.assert_close(got, torch.cat(wanted), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_rescaled_up_conv_keeps_the_size(inputs: tuple[Tensor, Tensor], dilation: int) -> None:
    x, w = inputs
    conv = RescaledUpConv(C_IN, C_OUT, D, dilation=dilation)
    line = torch.tensor(BINOMIAL)
    blur = (torch.outer(line, line) / 16).expand(C_IN, 1, 3, 3)
    wanted = []
    for i in range(B):
        smooth = F.conv_transpose2d(x[i : i + 1], blur, dilation=dilation, groups=C_IN)
        weight = modulated_weight(conv, w[i]).transpose(0, 1)
        wanted.append(F.conv_transpose2d(smooth, weight, padding=2 * dilation, dilation=dilation))
    got = conv(x, w, torch.zeros(1, C_OUT, 1, 1))
    assert got.shape == (B, C_OUT, H, W)
    torch.testing.assert_close(got, torch.cat(wanted), atol=1e-5, rtol=1e-5)


def test_upsample_is_zero_insertion_and_filter(inputs: tuple[Tensor, Tensor]) -> None:
    x, _ = inputs
    spread = torch.zeros(B, C_IN, 2 * H, 2 * W)
    spread[:, :, ::2, ::2] = x
    wanted = correlate_each_channel(F.pad(spread, (2, 1, 2, 1)), fir4())
    torch.testing.assert_close(Upsample()(x), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("native_size", "scale"), [(8, 1), (32, 1), (64, 2)])
def test_to_rgb_adds_to_the_running_image(inputs: tuple[Tensor, Tensor], native_size: int, scale: int) -> None:
    x, w = inputs
    layer = ToRGB(C_IN, D, native_size)
    before = torch.randn(B, 3, H, W)
    x = F.interpolate(x, scale_factor=float(scale))
    dilation = 32 // native_size
    brought = Upsample()(before) if scale == 2 else Blur(BINOMIAL, padding=dilation, dilation=dilation)(before)
    assert brought.shape[2:] == x.shape[2:]
    wanted = [F.conv2d(x[i : i + 1], modulated_weight(layer.conv, w[i])) for i in range(B)]
    torch.testing.assert_close(layer(x, w, before), torch.cat(wanted) + brought, atol=1e-5, rtol=1e-5)


def test_styled_conv_order_of_noise_bias_and_activation(inputs: tuple[Tensor, Tensor]) -> None:
    x, w = inputs
    layer = StyledConv(ModulatedConv(C_IN, C_OUT, D), C_OUT)
    torch.nn.init.normal_(layer.activation_bias)
    torch.nn.init.constant_(layer.noise_weight, 0.7)
    noise = torch.randn(1, 1, 4, 4)
    conv = layer.conv(x, w, torch.zeros(1, C_OUT, 1, 1))
    pooled = F.adaptive_avg_pool2d(noise, (H, W))
    biased = conv + 0.7 * pooled + layer.activation_bias[None, :, None, None]
    wanted = F.leaky_relu(biased, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, noise), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(x, w, None), layer(x, w, torch.zeros(1, 1, H, W)))


def test_equal_linear_does_not_depend_on_its_rate_at_the_start() -> None:
    x = torch.randn(2, D)
    torch.manual_seed(1)
    slow = EqualLinear(D, C_OUT, bias_init=0.5, lr_multiplier=0.01)
    torch.manual_seed(1)
    plain = EqualLinear(D, C_OUT, bias_init=0.5)
    torch.testing.assert_close(slow(x), plain(x))


def test_pixel_norm_has_mean_square_one() -> None:
    normed = PixelNorm()(torch.randn(4, 64) * 7)
    torch.testing.assert_close(normed.square().mean(dim=1), torch.ones(4))
