"""Parity with the published networks at full size, with deterministic weights (not theirs), within 1e-4.

One case per kind in the default run; under 4 GB of memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.config import ModelConfig
from models.latent import Latent
from models.official import config_from_opts
from models.styleganex import StyleGANEX
from tests.models.published import KINDS, SEED, SPEC, FilledModels, file_layout, needs_spec, published_shapes

pytestmark = needs_spec
TOLERANCE = 1e-4
CASES = [
    ("toonify", "a256"),
    ("toonify", "b320x192"),
    ("toonify", "b320x192.no_x2"),
    ("toonify", "b320x192.stored_noise"),
    ("toonify", "b320x192.no_skip"),
    ("edit", "a256"),
    ("inversion", "a256"),
    ("sr", "a256"),
    ("sr_torgb", "a256"),
    ("sketch", "a256"),
    ("sketch", "b320x192.alpha"),
    ("sketch", "b320x192.train"),
    ("mask", "a256"),
]


@pytest.fixture(scope="module")
def filled() -> FilledModels:
    return FilledModels()


@cache
def golden(kind: str) -> dict[str, Any]:
    with np.load(SPEC / "golden" / f"{kind}.npz") as file:
        return dict(file)


def compare(name: str, wanted: dict[str, Any], case: str, got: Tensor, filled: FilledModels) -> float:
    """Largest error at the sampled places; shape and statistics are checked too."""
    sample = wanted[f"{case}/{name}_sample"]
    assert list(got.shape) == list(wanted[f"{case}/{name}_shape"])
    values = got.flatten()
    stats = [values.mean().item(), values.std().item(), values.min().item(), values.max().item()]
    np.testing.assert_allclose(stats, wanted[f"{case}/{name}_stats"], atol=TOLERANCE)
    return float(np.abs(values[filled.fill.sample_index(got.numel(), len(sample))].numpy() - sample).max())


def run_case(net: StyleGANEX, kind: str, case: str, filled: FilledModels) -> tuple[Latent, Tensor, Tensor]:
    """(latent as the generator uses it, w+ it draws from, image)."""
    x1, x2 = filled.input(kind, case)
    latent = net.invert(x1, None if "no_x2" in case else x2)
    if kind in ("sketch", "mask"):
        z = torch.from_numpy(filled.fill.normal(SEED, "z.inject", (1, 512)))
        style = 0.7 * net.mapping(z)[:, None].expand(-1, 18, -1)
        latent = latent.mix_layers(style, range(8, 18), alpha=0.3 if "alpha" in case else 1.0)
    if "no_skip" in case:
        latent = latent._replace(skips=())
    assert net.editing_w is not None or kind != "edit"
    edit = 0.5 * net.editing_w[:1] if net.editing_w is not None else None
    stored = kind in ("sr", "sr_torgb", "sketch", "mask") or "stored_noise" in case
    image = net.synthesize(latent, edit=edit, noise="stored" if stored else None)
    return latent, latent.wplus if edit is None else latent.wplus + edit, image


@pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(*each, marks=() if each[1] == "a256" else pytest.mark.release, id="-".join(each)) for each in CASES],
)
def test_golden(kind: str, case: str, filled: FilledModels) -> None:
    net = filled.load(kind)
    net.train("train" in case)
    with torch.inference_mode():
        latent, wplus, image = run_case(net, kind, case, filled)
    wanted = golden(kind)
    assert latent.feature is not None
    assert latent.feature_rgb is not None
    errors = {
        "w8": float(np.abs(wplus[:, :, :8].numpy() - wanted[f"{case}/w8"]).max()),
        "f0": compare("f0", wanted, case, latent.feature, filled),
        "f1": compare("f1", wanted, case, latent.feature_rgb, filled),
        "img": compare("img", wanted, case, image, filled),
    }
    print(kind, case, errors)
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.release
def test_golden_of_plain_stylegan2(filled: FilledModels) -> None:
    net = filled.load("inversion")
    z = torch.from_numpy(filled.fill.normal(SEED, "z.plain", (2, 512)))
    center = torch.from_numpy(filled.fill.latent_avg(SEED)[:1])
    with torch.inference_mode():
        mapped = net.mapping(z)
        image = net.sample(z, truncation=0.7, truncation_latent=center)
    wanted = golden("plain")
    np.testing.assert_allclose(mapped[:, :8].numpy(), wanted["z2/mapping8"], atol=TOLERANCE)
    wplus = (center + 0.7 * (mapped - center))[:, None, :8].expand(-1, 18, -1)
    np.testing.assert_allclose(wplus.numpy(), wanted["z2/w8"], atol=TOLERANCE)
    error = compare("img", wanted, "z2", image, filled)
    print("plain z2", error)
    assert error < TOLERANCE


@pytest.mark.release
def test_batch_statistics_for_one_call(filled: FilledModels) -> None:
    case = "b320x192.train"
    net = filled.load("sketch")
    before = {key: value.clone() for key, value in net.named_buffers() if "running" in key or "tracked" in key}
    x1, _ = filled.input("sketch", case)
    with torch.inference_mode():
        latent = net.invert(x1, batch_stats=True)
    assert latent.feature is not None
    wanted = golden("sketch")
    assert compare("f0", wanted, case, latent.feature, filled) < TOLERANCE
    running = net.get_buffer("encoder.body.20.res_layer.4.running_mean")[:64]
    np.testing.assert_array_equal(running.numpy(), wanted[f"{case}/running_mean_after"])
    assert all(torch.equal(net.get_buffer(key), value) for key, value in before.items())
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_shapes_of_published_files(kind: str) -> None:
    layout, opts = file_layout(kind)
    with torch.device("meta"):
        state = {key: torch.empty(shape, dtype=getattr(torch, dtype)) for key, (shape, dtype) in layout.items()}
        ours = published_shapes(StyleGANEX(config_from_opts(opts, state)))
    unused = {key for key in layout if kind in ("sketch", "mask") and key.startswith("encoder.input_layer.")}
    assert ours == {key: shape for key, (shape, _) in layout.items() if key not in unused}


def test_the_published_configuration_is_the_default() -> None:
    layout, opts = file_layout("toonify")
    state = {key: torch.empty(0) for key in layout}
    assert config_from_opts(opts, state) == ModelConfig()
