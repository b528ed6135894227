"""Weight files: every kind that loads, every way to be wrong."""

from __future__ import annotations

import argparse
import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES, ModelConfig
from models.errors import CheckpointError
from models.official import official_key, to_official, to_ours
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal

TINY = SIZES["tiny"]
GENERATOR = ModelConfig(
    resolution=64,
    style_dim=12,
    mapping_layers=3,
    generator_channels=(10, 9, 8, 7, 6),
    has_encoder=False,
    has_feature=False,
    num_skips=0,
)


@pytest.fixture
def net() -> StyleGANEX:
    net = fill(StyleGANEX(TINY))
    net.editing_w = normal("editing", (2, 14, 16))
    return net


@pytest.fixture
def generator() -> dict[str, Tensor]:
    """A StyleGAN2 state dict, with rosinality's key names."""
    state = to_official(fill(StyleGANEX(GENERATOR)).state_dict())
    return {key.removeprefix("decoder."): value for key, value in state.items()}


def images(net: StyleGANEX) -> Tensor:
    with torch.inference_mode():
        latent = net.invert(torch.tanh(normal("x", (1, 3, 40, 48))))
        return net.synthesize(latent, noise="stored")


def test_safetensors_round_trip_is_bit_exact(net: StyleGANEX, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(net, path, {"command": "train it"})
    again = load_checkpoint(path)
    assert again.config == TINY
    assert again.metadata == {"command": "train it"}
    assert not any(module.training for module in again.modules())
    before, after = net.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert torch.equal(images(net), images(again))
    save_checkpoint(again, tmp_path / "second.safetensors")
    assert load_checkpoint(tmp_path / "second.safetensors").metadata == again.metadata
    assert sorted(os.listdir(tmp_path)) == ["second.safetensors", "tiny.safetensors"]


def test_a_loaded_network_can_be_trained(net: StyleGANEX, tmp_path: Path) -> None:
    save_checkpoint(net, tmp_path / "a.safetensors")
    again = load_checkpoint(tmp_path / "a.safetensors").train()
    again.synthesize(again.invert(torch.zeros(2, 3, 40, 48))).mean().backward()
    assert again.generator.conv1.conv.weight.grad is not None


def test_half_precision_files_become_float32(net: StyleGANEX, tmp_path: Path) -> None:
    save_checkpoint(net.half(), tmp_path / "half.safetensors")
    again = load_checkpoint(tmp_path / "half.safetensors")
    assert {value.dtype for value in again.state_dict().values()} == {torch.float32, torch.int64}


def test_names_translate_both_ways() -> None:
    for config in (TINY, replace(TINY, attention=1, skip_to_rgb=True), replace(TINY, input_channels=19)):
        with torch.device("meta"):
            state = StyleGANEX(config).state_dict()
        del state["latent_avg"]
        there = to_official(state)
        assert {key.split(".")[0] for key in there} == {"encoder", "decoder"}
        back = to_ours(there, config)
        assert {key: value.shape for key, value in back.items()} == {key: value.shape for key, value in state.items()}
    assert official_key("fusion.0.fusion_out.weight") == "encoder.fusion.0.fusion_out.weight"
    assert official_key("generator.convs.3.activation_bias") == "decoder.convs.3.activate.bias"
    assert official_key("generator.constant") == "decoder.input.input"


def test_stylegan2_file(generator: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "stylegan2.pt"
    average = normal("average", (12,))
    torch.save({"g_ema": generator, "latent_avg": average, "d": {"unused": torch.ones(1)}, "args": None}, path)
    net = load_checkpoint(path)
    assert net.config == GENERATOR
    assert net.encoder is None
    assert net.latent_avg is not None
    assert torch.equal(net.latent_avg, average.expand(10, -1))
    wanted = fill(StyleGANEX(GENERATOR))
    z = normal("z", (2, 12))
    with torch.inference_mode():
        assert torch.equal(net.sample(z), wanted.sample(z))
    torch.save({"g_ema": {key: value for key, value in generator.items() if "blur_weight" not in key}}, path)
    assert load_checkpoint(path).latent_avg is None


def published(tmp_path: Path, **changes: Any) -> Path:
    """A small file in the published layout: a pSp one, 64 px, with the published widths everywhere else it can."""
    path = tmp_path / "published.pt"
    content: dict[str, Any] = {"state_dict": {}, "opts": {"output_size": 64}, "latent_avg": torch.zeros(10, 512)}
    torch.save(content | changes, path)
    return path


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    path = published(tmp_path, state_dict={"encoder.other.weight": torch.zeros(1), "discriminator.x": torch.zeros(1)})
    with pytest.raises(
        CheckpointError, match=r"missing: .* and \d+ more; unexpected: encoder\.other\.weight"
    ) as caught:
        load_checkpoint(path)
    assert "discriminator" not in str(caught.value)
    assert str(path) in caught.value.what


def test_wrong_shapes_are_named(net: StyleGANEX, tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    state["fusion.1.fusion_out.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "wrong.safetensors", metadata={"config": TINY.to_json()})
    with pytest.raises(CheckpointError, match=r"wrong shape: fusion\.1\.fusion_out\.bias \[3\] instead of \[12\]"):
        load_checkpoint(tmp_path / "wrong.safetensors")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent_avg": None}, "latent_avg"),
        ({"latent_avg": torch.zeros(3, 7)}, r"\[3, 7\]"),
        ({"latent_avg": "mean"}, "not a tensor"),
        ({"state_dict": [1, 2]}, "state_dict"),
        ({"state_dict": {"encoder.a": 3}}, "state_dict"),
        ({"opts": 7}, "opts"),
        ({"opts": {"output_size": "big"}}, "output_size"),
        ({"opts": {"output_size": 77}}, "resolution"),
        ({"opts": {"output_size": 64, "use_skip": True, "skip_max_layer": 7}}, "num_skips"),
    ],
)
def test_content_that_cannot_be(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(published(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_options_may_be_a_namespace_and_a_foreign_decoder_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = argparse.Namespace(output_size=64, toonify_weights="cartoon.pt")
    with caplog.at_level(logging.WARNING), pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(published(tmp_path, opts=options))
    assert "cartoon.pt" in caplog.text


class _Hostile:
    """Unpickled, it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "inside"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, target = tmp_path / "hostile.pt", tmp_path / "it_ran"
    hostile = _Hostile(target)
    match form:
        case "zip":
            torch.save(hostile, path)
        case "legacy":
            torch.save(hostile, path, _use_new_zipfile_serialization=False)
        case "pickle":
            path.write_bytes(pickle.dumps(hostile, protocol=2))
        case _:
            published(tmp_path, opts={"output_size": 64, "note": hostile}).rename(path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert not target.exists()
    assert "\n" not in str(caught.value)
    if form == "zip":
        assert "mkdir" in caught.value.what
        pickle.loads(pickle.dumps(hostile))
        assert target.exists(), "the bait itself must work"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", b"\x10\0\0\0\0\0\0\0{broken", bytes(5000)])
def test_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in caught.value.what


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_truncated_file(
    net: StyleGANEX, generator: dict[str, Tensor], tmp_path: Path, share: float, suffix: str
) -> None:
    path = tmp_path / f"whole{suffix}"
    if suffix == ".pt":
        torch.save({"g_ema": generator}, path)
    else:
        save_checkpoint(net, path)
    load_checkpoint(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_files_that_are_not_there_or_hold_something_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="directory"):
        load_checkpoint(tmp_path)
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    with pytest.raises(CheckpointError, match="Tensor"):
        load_checkpoint(tmp_path / "tensor.pt")
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="g_ema"):
        load_checkpoint(tmp_path / "other.pt")
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="config"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_saving_where_one_cannot(net: StyleGANEX, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        save_checkpoint(net, tmp_path / "nowhere" / "a.safetensors")
