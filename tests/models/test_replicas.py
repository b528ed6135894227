"""Devices by one setting, and the network on each."""

from __future__ import annotations

import pytest
import torch

from models.config import SIZES
from models.errors import ModelError
from models.replicas import parse_devices, replicate
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("cpu", ("cpu",)),
        ("cuda", ("cuda",)),
        ("cuda:0,1", ("cuda:0", "cuda:1")),
        ("cuda:2, 0,3", ("cuda:2", "cuda:0", "cuda:3")),
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1")),
        ("cpu,cpu", ("cpu", "cpu")),
    ],
)
def test_devices(text: str, devices: tuple[str, ...]) -> None:
    assert parse_devices(text) == devices


@pytest.mark.parametrize("text", ["0,1", "cuda:0,", ""])
def test_no_devices(text: str) -> None:
    with pytest.raises(ModelError, match="device"):
        parse_devices(text)


def test_replicas_draw_the_same_bits_from_weights_of_their_own(one_thread: None) -> None:
    net = fill(StyleGANEX(SIZES["tiny"])).requires_grad_(False)
    net.set_precision("bf16")
    first, second = replicate(net, ("cpu", "cpu"))
    assert first is net
    assert second._precision == "bf16"
    assert second.generator.constant.data_ptr() != net.generator.constant.data_ptr()
    net.set_precision("fp32")
    second.set_precision("fp32")
    x1 = torch.tanh(normal("x1", (1, 3, 32, 40)))
    with torch.inference_mode():
        assert torch.equal(first.synthesize(first.invert(x1)), second.synthesize(second.invert(x1)))
