import copy

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES, ModelConfig
from models.errors import CheckpointError
from models.refine import KIND, Refinement, add_residuals, load_refine, modulated, refined, save_refine
from models.refine_encoder import RefineEncoder, load_refine_encoder, reconstruction, save_refine_encoder
from models.styleganex import StyleGANEX


@pytest.fixture
def net() -> StyleGANEX:
    torch.manual_seed(0)
    return StyleGANEX(SIZES["tiny"]).eval()


@pytest.fixture
def tokens(net) -> Refinement:
    made = Refinement(net, 2)
    with torch.no_grad():
        for p in made.p:
            p.normal_(0, 0.2)
    return made


@torch.no_grad()
def picture(net: StyleGANEX) -> torch.Tensor:
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return net.synthesize(net.invert(x))


def test_fresh_tokens_and_rank_zero_change_no_bit(net, tmp_path):
    plain = picture(net)
    for rank in (0, 3):
        fresh = Refinement(net, rank)
        with refined(net, fresh.weights(net)):
            assert torch.equal(picture(net), plain)
        save_refine(fresh.tokens(), tmp_path / "fresh.safetensors")
        load_refine(net, tmp_path / "fresh.safetensors")
        assert torch.equal(picture(net), plain)


def test_residual_is_the_product_of_the_tokens(net, tokens):
    weights = tokens.weights(net)
    for name, conv in modulated(net).items():
        delta = (weights[name] - conv.weight).flatten(1)
        p, q = tokens.tokens()[name]
        assert torch.allclose(delta, torch.einsum("ro,ri->oi", p, q), atol=1e-5)
        assert torch.linalg.matrix_rank(delta, tol=1e-3) <= 2
    assert set(weights) == {"conv1.conv", "to_rgb1.conv"} | {
        f"{group}.{i}.conv" for group, count in (("convs", 12), ("to_rgbs", 6)) for i in range(count)
    }


def test_file_gives_what_training_saw(net, tokens, tmp_path):
    plain = picture(net)
    with refined(net, tokens.weights(net)):
        wanted = picture(net)
    assert torch.equal(picture(net), plain)  # nothing stays behind
    assert (wanted - plain).abs().max() > 0.01
    path = tmp_path / "style.safetensors"
    save_refine(tokens.tokens(), path, {"style": "test"})
    save_checkpoint(net, tmp_path / "net.safetensors")
    again = load_refine(load_checkpoint(tmp_path / "net.safetensors"), path)
    assert (picture(again) - wanted).abs().max() < 5e-3 * wanted.abs().max()
    assert again.metadata["refine"] == "style.safetensors"
    half = load_refine(load_checkpoint(tmp_path / "net.safetensors"), path, strength=0.5)
    middle = modulated(half)["conv1.conv"].weight
    ends = modulated(net)["conv1.conv"].weight, modulated(again)["conv1.conv"].weight
    assert torch.allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-4)


def test_published_size_takes_a_few_hundred_kilobytes():
    with torch.device("meta"):
        net = StyleGANEX(ModelConfig())
        tokens = Refinement(net, 4)
    assert 200_000 < 2 * sum(p.numel() for p in tokens.parameters()) < 600_000


def test_context_restores_parameters_even_after_an_error(net, tokens):
    before = dict(net.named_parameters())
    with pytest.raises(RuntimeError), refined(net, tokens.weights(net)):
        raise RuntimeError
    after = dict(net.named_parameters())
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)


def test_gradient_reaches_the_tokens_alone(net, tokens):
    net.requires_grad_(False)
    latent = net.invert(torch.rand(1, 3, 64, 64))
    with refined(net, tokens.weights(net)):
        net.synthesize(latent).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokens.parameters())
    assert all(p.grad is None for p in net.parameters())


def test_foreign_files_are_refused_and_change_nothing(net, tokens, tmp_path):
    path = tmp_path / "tokens.safetensors"
    plain = picture(net)
    with pytest.raises(CheckpointError, match="not a readable"):
        load_refine(net, tmp_path / "absent.safetensors")
    save_checkpoint(net, path)
    with pytest.raises(CheckpointError, match="no refinement"):
        load_refine(net, path)
    save_refine(tokens.tokens(), path)
    lite = StyleGANEX(SIZES["lite"])
    with pytest.raises(CheckpointError, match=r"conv1\.conv"):
        load_refine(lite, path)
    state = load_file(path)
    cases = {
        "other half": {key: value for key, value in state.items() if key != "conv1.conv.q"},
        "no tokens for": {key: value for key, value in state.items() if not key.startswith("conv1.conv")},
        "has not": state | {"convs.99.conv.p": torch.zeros(2, 3), "convs.99.conv.q": torch.zeros(2, 3)},
        "for a kernel": state | {"conv1.conv.p": torch.zeros(3, 12)},
    }
    for message, changed in cases.items():
        save_file({key: value.clone() for key, value in changed.items()}, path, metadata={"kind": KIND})
        with pytest.raises(CheckpointError, match=message):
            load_refine(net, path)
    assert torch.equal(picture(net), plain)


@torch.no_grad()
def test_encoder_of_tokens_starts_at_nothing_and_tells_pictures_apart(net):
    made = RefineEncoder(net, rank=2, width=16).eval()
    aligned = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(2)) * 2 - 1
    drawn = reconstruction(net, aligned)
    tables = made(aligned, drawn)
    assert set(tables[0]) == set(modulated(net))
    assert all(pair.p.abs().max() == 0 for table in tables for pair in table.values())
    for layer in made.to_p:
        layer.get_parameter("weight").normal_()
    first, second = made(aligned, drawn)
    alone = made(aligned[1:], drawn[1:])[0]
    for name, pair in second.items():
        assert not torch.allclose(pair.p, first[name].p)
        assert torch.allclose(pair.p, alone[name].p, atol=1e-4)


@torch.no_grad()
def test_encoder_of_tokens_from_its_file_gives_the_same_tokens(net, tmp_path):
    made = RefineEncoder(net, rank=1, width=16).eval()
    for layer in made.to_p:
        layer.get_parameter("weight").normal_(0, 0.1)
    path = tmp_path / "encoder.safetensors"
    save_refine_encoder(net, made, path)
    aligned = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(2)) * 2 - 1
    drawn = reconstruction(net, aligned)
    (first,), (second,) = (encoder(aligned, drawn) for encoder in (made, load_refine_encoder(net, path)))
    assert all(torch.allclose(first[name].p, second[name].p, atol=1e-5) for name in first)
    with refined(net, add_residuals(net, first)):
        wanted = picture(net)
    assert (wanted - picture(net)).abs().max() > 1e-3
    with pytest.raises(CheckpointError, match="an encoder of tokens") as caught:
        load_refine(net, path)
    assert f"refine FACE.png --encoder {path}" in caught.value.remedy
    save_refine(first, tmp_path / "tokens.safetensors")
    again = load_refine(copy.deepcopy(net), tmp_path / "tokens.safetensors")
    assert (picture(again) - wanted).abs().max() < 5e-3 * wanted.abs().max()
    with pytest.raises(CheckpointError, match="other weights"):
        load_refine_encoder(again, path)
    with pytest.raises(CheckpointError, match="for this network"):
        load_refine_encoder(StyleGANEX(SIZES["lite"]), path)
    save_checkpoint(net, path)
    with pytest.raises(CheckpointError, match="no encoder of tokens"):
        load_refine_encoder(net, path)
