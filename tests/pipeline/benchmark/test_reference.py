"""The reference formulation gives the network's numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.config import SIZES, ModelConfig
from models.latent import Latent
from models.styleganex import StyleGANEX
from pipeline.benchmark import reference
from tests.golden.make_model_goldens import fill, normal

TINY = SIZES["tiny"]


@pytest.mark.parametrize("config", [TINY, replace(TINY, skip_to_rgb=True, num_skips=3)])
def test_reference_equals_the_network(config: ModelConfig) -> None:
    net = fill(StyleGANEX(config)).requires_grad_(False)
    x1, x2 = torch.tanh(normal("x1", (1, 3, 40, 56))), torch.tanh(normal("x2", (1, 3, 256, 256)))
    with torch.inference_mode():
        wanted = net.synthesize(net.invert(x1, x2))
        got = reference.frame(net, x1, x2)
        feature = reference.content(net, x1)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    assert feature is not None
    assert feature.shape == (1, 12, 5, 7)


def test_behind_the_calls_of_the_stages() -> None:
    net = fill(StyleGANEX(TINY)).requires_grad_(False)
    x1 = torch.tanh(normal("x1", (2, 3, 40, 56)))
    with torch.inference_mode():
        wplus = net.encode_style(torch.tanh(normal("x2", (1, 3, 256, 256))))
        wanted = net.synthesize(Latent(wplus, *net.encode_content(x1)))
        plain = reference.ReferenceNet(net)
        got = plain.synthesize(Latent(wplus, *plain.encode_content(x1)))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    assert plain.seen == [(40, 56)] * 2
