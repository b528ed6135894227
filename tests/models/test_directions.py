"""Directions found in tiny generators, some with an answer planted in them."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from models.config import SIZES
from models.directions import closed_form_directions, principal_directions, save_directions
from models.errors import CheckpointError, ModelError
from models.latent import Latent
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill

TINY = replace(SIZES["tiny"], resolution=64, generator_channels=(12, 12, 10, 10, 8), num_skips=4)
L, D = TINY.num_styles, TINY.style_dim


@pytest.fixture
def net():
    return fill(StyleGANEX(TINY)).requires_grad_(False)


def planted(net, strength):
    """Every affine layer listens `strength` times more to one direction in w; returns that direction."""
    direction = torch.nn.functional.normalize(torch.linspace(-1, 2, D), dim=0)
    for name, weight in net.generator.named_parameters():
        if name.endswith("modulation.weight"):
            weight += strength * torch.outer(weight @ direction, direction)
    return direction


def test_closed_form_is_orthonormal_and_sorted(net):
    found = closed_form_directions(net, count=D)
    rows = found.vectors[:, 0].double()
    assert found.vectors.shape == (D, L, D)
    assert torch.equal(found.vectors, found.vectors[:, :1].expand(-1, L, -1))
    assert torch.allclose(rows @ rows.T, torch.eye(D, dtype=torch.float64), atol=1e-6)
    assert (found.values.diff() <= 0).all()
    # Rows have length 1, so the eigenvalues sum up to their number: every channel that some w modulates.
    channels = sum(p.shape[0] for n, p in net.generator.named_parameters() if n.endswith("modulation.weight"))
    assert found.values.sum().item() == pytest.approx(channels)


def test_closed_form_finds_what_the_layers_listen_to(net):
    direction = planted(net, strength=4.0)
    found = closed_form_directions(net, count=2)
    assert abs(found.vectors[0, 0] @ direction) > 0.98
    assert found.values[0] > 5 * found.values[1]


def test_first_direction_changes_the_image_more_than_the_last(net):
    planted(net, strength=2.0)
    found = closed_form_directions(net, count=D)
    wplus = net.mapping(torch.randn(4, D, generator=torch.Generator().manual_seed(1)))[:, None].expand(-1, L, -1)
    source = net.synthesize(Latent(wplus))
    change = [
        sum((net.synthesize(Latent(wplus), edit=sign * v[None]) - source).abs().mean() for sign in (-1, 1))
        for v in found.vectors[[0, -1]]
    ]
    assert change[0] > 2 * change[1]


def test_layers_choose_weights_and_where_the_direction_acts(net):
    coarse = closed_form_directions(net, layers=range(4), count=1)
    fine = closed_form_directions(net, layers=range(8, L), count=1)
    assert not coarse.vectors[:, 4:].any()
    assert coarse.vectors[:, :4].any(dim=2).all()
    assert abs(coarse.vectors[0, 0] @ fine.vectors[0, 8]) < 0.99
    before = fine.vectors
    net.generator.conv1.conv.modulation.weight.mul_(torch.rand(D))
    assert torch.equal(closed_form_directions(net, layers=range(8, L), count=1).vectors, before)
    assert not torch.equal(closed_form_directions(net, layers=range(4), count=1).vectors, coarse.vectors)


def test_every_style_input_has_a_reader(net):
    for layer in range(L):
        assert closed_form_directions(net, layers=[layer], count=1).values[0] > 0


def test_principal_components_recover_a_planted_covariance(net, monkeypatch):
    """w = Q·diag(s)·PixelNorm(z), of which the components are the columns of Q and the deviations s."""
    deviations = torch.linspace(4, 1, D)
    basis = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(0)))[0]

    def mapping(z):
        return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True)) @ (basis * deviations).T + 100

    monkeypatch.setattr(net, "mapping", mapping)
    found = principal_directions(net, samples=20_000, seed=3, count=4)
    assert torch.allclose(found.values.float(), deviations[:4], rtol=0.03)
    units = found.vectors[:, 0] / found.values[:, None]
    assert torch.allclose((units @ units.T).float(), torch.eye(4), atol=1e-5)
    assert abs(units.float() @ basis)[range(4), range(4)].min() > 0.97
    assert (units.gather(1, units.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_same_seed_same_components(net):
    one, two, other = (principal_directions(net, 3000, seed, 3, layers=(2, 3)) for seed in (5, 5, 6))
    assert torch.equal(one.vectors, two.vectors)
    assert not torch.equal(one.vectors, other.vectors)
    assert not one.vectors[:, [0, 1, 4]].any()
    assert one.names == ("pca0", "pca1", "pca2")


def test_principal_components_map_a_bounded_number_at_once(net, monkeypatch):
    sizes = []
    mapping = net.mapping
    monkeypatch.setattr(net, "mapping", lambda z: sizes.append(len(z)) or mapping(z))
    principal_directions(net, samples=5000, count=1)
    assert max(sizes) <= 1024
    assert sum(sizes) == 5000


@pytest.mark.parametrize(
    "call",
    [
        lambda net: closed_form_directions(net, layers=[L]),
        lambda net: closed_form_directions(net, layers=[]),
        lambda net: closed_form_directions(net, count=D + 1),
        lambda net: principal_directions(net, count=0),
        lambda net: principal_directions(net, samples=3, count=3),
    ],
)
def test_what_the_model_does_not_have(net, call):
    with pytest.raises(ModelError, match="directions"):
        call(net)


def test_saved_file(net, tmp_path):
    found = closed_form_directions(net, layers=(1, 2), count=3)
    save_directions(tmp_path / "found.safetensors", found, {"model_sha256": "ab"})
    with safe_open(tmp_path / "found.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("directions"), found.vectors)
        assert torch.equal(file.get_tensor("values"), found.values)
        metadata = file.metadata()
    assert json.loads(metadata["names"]) == ["sefa0", "sefa1", "sefa2"]
    assert json.loads(metadata["layers"]) == [1, 2]
    assert (metadata["method"], metadata["model_sha256"]) == ("sefa", "ab")
    assert [p.name for p in tmp_path.iterdir()] == ["found.safetensors"]
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_directions(tmp_path / "missing" / "found.safetensors", found)
