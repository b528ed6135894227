from dataclasses import replace

import pytest
import torch

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.styleganex import StyleGANEX
from models.training.export import centre_latents, export, portrait_crops, sample_crops
from tests.models.training.drawn_heads import make_samples


@pytest.fixture
def net() -> StyleGANEX:
    torch.manual_seed(0)
    return StyleGANEX(SIZES["tiny"]).eval()


@torch.no_grad()
def test_centring_changes_no_picture(net):
    crops = portrait_crops(4)
    x = crops[:1, :, :64, :64]
    before = net.synthesize(net.invert(x, crops[:1]))
    centre_latents(net, crops)
    assert torch.allclose(net.synthesize(net.invert(x, crops[:1])), before, atol=1e-4)
    assert net.latent_avg is not None
    assert torch.allclose(net.encode_style(crops).mean(dim=0), net.latent_avg, atol=1e-5)


@torch.no_grad()
def test_export_halves_the_file_and_keeps_the_picture(net, tmp_path):
    save_checkpoint(net, tmp_path / "trained.safetensors", {"steps": "7"})
    export(tmp_path / "trained.safetensors", tmp_path / "shipped.safetensors")
    shipped = load_checkpoint(tmp_path / "shipped.safetensors")
    assert shipped.metadata == {"steps": "7", "licence": "Apache-2.0"}
    assert next(shipped.parameters()).dtype == torch.float32
    crop = portrait_crops(1)
    before, after = (model.synthesize(model.invert(crop[:, :, :64, :64], crop)) for model in (net, shipped))
    assert (before - after).abs().max() < 0.01 * before.abs().max()
    sizes = [(tmp_path / name).stat().st_size for name in ("shipped.safetensors", "trained.safetensors")]
    assert sizes[0] < 0.8 * sizes[1]


def test_models_of_the_heads_are_centred_on_heads_and_others_left_alone(net, tmp_path):
    heads = make_samples(tmp_path / "heads", 2, 64)
    save_checkpoint(net, tmp_path / "trained.safetensors")
    export(tmp_path / "trained.safetensors", tmp_path / "toon.safetensors", heads, {"model": "toon"})
    shipped = load_checkpoint(tmp_path / "toon.safetensors")
    with torch.no_grad():
        mean = shipped.encode_style(sample_crops(heads, 2)).mean(dim=0)
    assert shipped.latent_avg is not None
    assert torch.allclose(mean, shipped.latent_avg, atol=0.02)
    sketch = StyleGANEX(replace(SIZES["tiny"], input_channels=1))
    save_checkpoint(sketch, tmp_path / "trained.safetensors")
    export(tmp_path / "trained.safetensors", tmp_path / "sketch.safetensors", heads)
    assert load_checkpoint(tmp_path / "sketch.safetensors").config.input_channels == 1
