from __future__ import annotations

import pytest
import torch

from models.errors import ModelError
from models.latent import Latent


@pytest.fixture
def latent() -> Latent:
    return Latent(torch.randn(2, 14, 16, generator=torch.Generator().manual_seed(0)), feature=torch.ones(2, 4, 8, 8))


def test_mix_layers_replaces_only_what_was_named(latent: Latent) -> None:
    other = torch.ones(1, 14, 16)
    mixed = latent.mix_layers(other, range(8, 14))
    assert torch.equal(mixed.wplus[:, :8], latent.wplus[:, :8])
    assert torch.equal(mixed.wplus[:, 8:], other[:, 8:].expand(2, -1, -1))
    assert mixed.feature is latent.feature


def test_mix_layers_blends(latent: Latent) -> None:
    other = torch.full((2, 14, 16), 2.0)
    mixed = latent.mix_layers(other, [3], alpha=0.3)
    torch.testing.assert_close(mixed.wplus[:, 3], 0.3 * other[:, 3] + 0.7 * latent.wplus[:, 3])
    assert torch.equal(latent.mix_layers(other, range(14), alpha=0.0).wplus, latent.wplus)


def test_mix_layers_leaves_its_input_alone_and_grows_to_the_other_batch(latent: Latent) -> None:
    before = latent.wplus.clone()
    mixed = latent._replace(wplus=latent.wplus[:1]).mix_layers(torch.zeros(5, 14, 16), [0])
    assert mixed.wplus.shape == (5, 14, 16)
    assert torch.equal(latent.wplus, before)
    assert torch.equal(latent.mix_layers(torch.zeros(1, 14, 16), ()).wplus, before)


@pytest.mark.parametrize("layers", [[14], [-1], [0, 99]])
def test_layers_that_do_not_exist(latent: Latent, layers: list[int]) -> None:
    with pytest.raises(ModelError, match="from 0 to 13"):
        latent.mix_layers(latent.wplus, layers)


def test_codes_of_another_model(latent: Latent) -> None:
    with pytest.raises(ModelError, match="same number of styles"):
        latent.mix_layers(torch.zeros(1, 18, 16), [0])


def test_truncation_and_direction(latent: Latent) -> None:
    center = torch.randn(14, 16)
    torch.testing.assert_close(latent.truncate(center, 0.0).wplus, center.expand(2, -1, -1))
    assert torch.equal(latent.truncate(center, 1.0).wplus, latent.wplus)
    torch.testing.assert_close(latent.truncate(center, 0.7).wplus, center + 0.7 * (latent.wplus - center))
    moved = latent.add_direction(torch.ones(1, 14, 16), -0.5)
    torch.testing.assert_close(moved.wplus, latent.wplus - 0.5)
