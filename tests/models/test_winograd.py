"""Winograd's convolution against the direct one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.fast_layers import Conv
from models.fast_upsample import UpConv
from models.ops import FIR, separable_kernel
from models.winograd import Winograd


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("dilation", [1, 2, 8])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (9, 13), (33, 6)])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_the_direct_convolution(dilation: int, height: int, width: int, padded: bool) -> None:
    margin = 0 if padded else dilation
    x = normal(1, 5, height + 2 * (dilation - margin), width + 2 * (dilation - margin))
    weight, scale, shift, gain, bias = normal(7, 5, 3, 3), normal(5), normal(5) + 1, normal(7), normal(7)
    slope = torch.rand(7)
    affine = x * scale[:, None, None] + shift[:, None, None]
    wanted = F.conv2d(affine.double(), weight.double(), padding=margin, dilation=dilation).float()
    wanted = F.prelu(wanted * gain[:, None, None] + bias[:, None, None], slope)
    form = Winograd(weight, dilation)
    parts = x[:, :2], x[:, 2:]
    got = form(parts, padding=margin, scale=scale, shift=shift, gain=gain, bias=bias, slope=slope)
    assert got.shape == (1, 7, height, width)
    torch.testing.assert_close(got, wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch, dilation: int, padded: bool) -> None:
    x, form = normal(1, 6, 41, 24), Winograd(normal(3, 6, 3, 3), dilation)
    padding = 0 if padded else dilation
    whole = form([x], padding=padding)
    monkeypatch.setattr("models.winograd.STRIP", 1)
    torch.testing.assert_close(form([x], padding=padding), whole, atol=1e-5, rtol=0)


def test_saving_counts_what_tiles_and_weights_cost() -> None:
    wide, narrow = torch.empty(512, 512, 3, 3), torch.empty(24, 24, 3, 3)
    assert Winograd(wide).saving(128, 128) > 3.4
    assert Winograd(wide).saving(32, 32) < 2.5
    assert Winograd(wide, 8).saving(129, 129) < Winograd(wide, 8).saving(128, 128)
    assert Winograd(narrow).saving(400, 336) < 2


def test_a_kept_weight_gives_the_same_bits() -> None:
    form = Winograd(normal(8, 8, 3, 3))
    small, large = normal(1, 8, 5, 6), normal(1, 8, 40, 40)
    before = form([small], padding=1)
    assert form._kept is None
    form([large], padding=1)
    assert form._kept is not None
    assert torch.equal(form([small], padding=1), before)


@pytest.mark.parametrize("strip", [1, 1 << 22])
def test_up_conv_equals_transposed_convolution_and_filter(monkeypatch: pytest.MonkeyPatch, strip: int) -> None:
    monkeypatch.setattr("models.fast_upsample.STRIP", strip)
    x, weight, bias, noise = normal(1, 5, 11, 7), normal(3, 5, 3, 3), normal(3), normal(1, 1, 22, 14)
    kernel = separable_kernel(FIR, gain=4.0)
    raised = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    filtered = F.conv2d(raised, kernel.expand(3, -1, -1, -1), padding=1, groups=3) + bias[:, None, None]
    up = UpConv(weight, kernel, bias, slope=0.2)
    torch.testing.assert_close(up(x), F.leaky_relu(filtered, 0.2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(up(x, noise), F.leaky_relu(filtered + noise, 0.2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [4, 40])
def test_turned_weights_are_read_where_they_lie(size: int) -> None:
    x, weight, bias = normal(1, 6, size, size), normal(3, 6, 3, 3), normal(3)
    wanted = F.conv_transpose2d(x, weight.transpose(0, 1), padding=1) + bias[:, None, None]
    turned = Conv(weight, bias=bias, turned=True)
    for directly in (False, True):
        torch.testing.assert_close(turned(x, directly=directly), wanted, atol=2e-5, rtol=1e-4)
    form = Winograd(weight, turned=True)
    torch.testing.assert_close(form([x], padding=1, bias=bias), wanted, atol=1e-4, rtol=1e-4)
