"""Files in the published format, of every kind and small: keys, options, what may be missing, what may not."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import ModelConfig
from models.errors import CheckpointError
from models.official import to_official
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import TINY, fill, normal

# The widths differ from group to group, as the published ones do: that is how the groups of the body are told apart.
SMALL = replace(TINY, num_skips=0)
MIDDLE = replace(TINY, resolution=512, generator_channels=(12, 12, 10, 10, 8, 8, 6, 4), num_skips=7)
LARGE = replace(TINY, resolution=1024, generator_channels=(12, 12, 10, 10, 8, 8, 6, 6, 4), num_skips=0)
SIZE = {"output_size": 256}
SKIPS = {"output_size": 512, "use_skip": True}
KINDS: dict[str, tuple[ModelConfig, dict[str, Any]]] = {
    # the network, and the options that make it: what is not said is the default
    "toonify": (MIDDLE, SKIPS | {"dataset_type": "toonify", "toonify_weights": None}),
    "edit": (replace(MIDDLE, attention=1), SKIPS | {"use_att": 1, "dataset_type": "ffhq_edit"}),
    "sr": (replace(SMALL, num_skips=4), SIZE | {"use_skip": True, "skip_max_layer": 4}),
    "sr_torgb": (
        replace(SMALL, num_skips=2, skip_to_rgb=True),
        SIZE | {"use_skip": 1, "skip_max_layer": 2, "use_skip_torgb": 1, "dataset_type": "ffhq_super_resolution"},
    ),
    "sketch": (
        replace(SMALL, input_channels=1, num_skips=1, translation_channels=5, res_blocks=1),
        SIZE
        | {"input_nc": 1, "use_skip": True, "skip_max_layer": 0, "res_num": 1, "dataset_type": "ffhq_sketch_to_face"},
    ),
    "mask": (
        replace(SMALL, input_channels=19, num_skips=2),
        SIZE | {"input_nc": 19, "use_skip": True, "skip_max_layer": 2, "dataset_type": "ffhq_seg_to_face"},
    ),
    "inversion": (LARGE, {"use_skip": False, "skip_max_layer": 7, "dataset_type": "ffhq_encode"}),
    "psp": (replace(SMALL, has_feature=False), SIZE | {"dataset_type": "ffhq_frontalize", "n_styles": 14}),
    "psp sketch": (replace(SMALL, has_feature=False, input_channels=1, direct_input=True), SIZE | {"input_nc": 1}),
    "second layer": (replace(SMALL, feature_index=1), SIZE | {"feat_ind": 1}),
    "one w": (replace(SMALL, learn_in_w=True, max_pooling=True), SIZE | {"learn_in_w": True, "max_pooling": True}),
    "own start": (replace(SMALL, start_from_latent_avg=False), SIZE | {"start_from_latent_avg": False}),
    "many skips": (MIDDLE, SKIPS | {"skip_max_layer": 12}),
    "nothing said": (LARGE, {"use_skip": None, "output_size": None, "start_from_latent_avg": None}),
}
TASKS = {"toonify": "toonify", "edit": "edit", "sr_torgb": "super_resolution", "sketch": "sketch_to_face"}
TASKS |= {"mask": "mask_to_face", "inversion": "inversion", "psp": "frontalization"}


@cache
def filled(kind: str) -> StyleGANEX:
    """The network that a file of this kind is made from. Not to be written to."""
    net = fill(StyleGANEX(KINDS[kind][0]))
    if kind == "edit":
        net.editing_w = 0.3 * normal("editing", (2, 16, 16))
    return net


def official(kind: str) -> dict[str, Any]:
    """The content of a file of this kind, with the training state that published ones carry."""
    net = filled(kind)
    state = to_official(net.state_dict())
    if net.config.translation:  # these files hold an input layer that nobody uses
        state["encoder.input_layer.0.weight"] = torch.zeros(6, 3, 3, 3)
    content = {"state_dict": state, "opts": KINDS[kind][1], "latent_avg": net.latent_avg, "editing_w": net.editing_w}
    return content | {"discriminator": {"convs.0.weight": torch.ones(4)}, "optimizer": {"step": 7}, "global_step": 100}


def write(path: Path, content: dict[str, Any]) -> Path:
    torch.save(content, path)
    return path


@torch.inference_mode()
def image(net: StyleGANEX) -> Tensor:
    x1 = torch.tanh(normal("x1", (1, net.config.input_channels, 32, 24)))
    latent = net.invert(x1, torch.tanh(normal("x2", (1, 3, 256, 256))) if net.config.input_channels == 3 else None)
    edit = None if net.editing_w is None else 0.5 * net.editing_w[:1]
    return net.synthesize(latent, edit=edit, noise="stored")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_network_that_was_filled(kind: str, tmp_path: Path) -> None:
    net, wanted = load_checkpoint(write(tmp_path / "file.pt", official(kind))), filled(kind)
    assert net.config == wanted.config
    assert net.metadata == ({"task": TASKS[kind]} if kind in TASKS else {})
    before, after = wanted.state_dict(), net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert torch.equal(image(net), image(wanted))
    assert not net.training


def test_a_psp_file_draws_from_the_constant(tmp_path: Path) -> None:
    content = official("psp")
    kept = {key: value for key, value in content["state_dict"].items() if "blur_weight" not in key}
    assert not any(key.startswith(("encoder.featlayer", "encoder.skiplayer", "encoder.fusion")) for key in kept)
    net = load_checkpoint(write(tmp_path / "psp.pt", content | {"state_dict": kept}))
    aligned = torch.tanh(normal("x2", (1, 3, 256, 256)))
    with torch.inference_mode():
        latent = net.invert(aligned)
        assert latent.feature is None
        assert latent.skips == ()
        drawn = net.synthesize(latent)
    assert drawn.shape == (1, 3, 256, 256)
    assert drawn.std() > 0.01


def test_an_average_of_one_row_stands_for_all(tmp_path: Path) -> None:
    row = normal("row", (16,))
    for average in (row, row[None], row.expand(14, -1), row.expand(1, 14, -1)):
        net = load_checkpoint(write(tmp_path / "file.pt", official("psp") | {"latent_avg": average}))
        assert net.latent_avg is not None
        assert torch.equal(net.latent_avg, row.expand(14, -1))


def test_one_editing_vector_without_its_number_of_directions(tmp_path: Path) -> None:
    net = load_checkpoint(write(tmp_path / "file.pt", official("edit") | {"editing_w": torch.ones(16, 16)}))
    assert net.editing_w is not None
    assert net.editing_w.shape == (1, 16, 16)


@pytest.mark.parametrize("kind", ["toonify", "psp"])
def test_what_may_be_missing(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = official(kind)
    optional = ("blur_weight", "kernel", "num_batches_tracked")
    state = {key: value for key, value in content["state_dict"].items() if key.rpartition(".")[2] not in optional}
    state = {key: value for key, value in state.items() if ".noises." not in key}
    path = write(
        tmp_path / "file.pt", {"state_dict": state, "opts": content["opts"], "latent_avg": content["latent_avg"]}
    )
    with caplog.at_level(logging.INFO):
        net = load_checkpoint(path)
    assert "noise maps" in caplog.text
    same = load_checkpoint(path)
    assert all(torch.equal(a, b) for a, b in zip(net.generator.stored_noise, same.generator.stored_noise, strict=True))
    wanted = filled(kind)
    with torch.inference_mode():
        x = torch.tanh(normal("x", (1, 3, 256, 256)))
        assert torch.equal(net.invert(x).wplus, wanted.invert(x).wplus)
        net.train().encode_style(x)
    assert net.get_buffer("encoder.body.0.res_layer.0.num_batches_tracked") == 1


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = official("inversion")
    content["state_dict"] |= {"discriminator.weight": torch.ones(1)}
    with caplog.at_level(logging.INFO):
        load_checkpoint(write(tmp_path / "file.pt", content))
    assert "discriminator, discriminator, optimizer, global_step" in caplog.text


@pytest.mark.parametrize(
    ("drop", "add", "words"),
    [
        ("decoder.convs.3.conv.weight", {}, r"missing: generator\.convs\.3\.conv\.weight"),
        ("encoder.fusion.6.fusion_out.bias", {}, r"missing: fusion\.6\.fusion_out\.bias"),
        ("decoder.noises.noise_3", {}, r"missing: generator\.noises\.noise_3"),
        ("encoder.body.5.res_layer.1.weight", {}, r"missing: encoder\.body\.5\.res_layer\.1\.weight \("),
        ("decoder.to_rgb1.conv.weight", {}, r"missing: generator\.to_rgb1\.conv\.weight"),
        ("", {"encoder.fusion.7.fusion_out.bias": torch.ones(1)}, r"unexpected: fusion\.7\.fusion_out\.bias"),
        (
            "",
            {"decoder.conv1.activate.bias": torch.ones(5)},
            r"wrong shape: .*conv1\.activation_bias \[5\] instead of \[12\]",
        ),
        ("", {"decoder.to_rgb1.conv.weight": torch.ones(())}, r"wrong shape: .*to_rgb1.* \[\] instead of"),
    ],
)
def test_what_may_not_be(drop: str, add: dict[str, Tensor], words: str, tmp_path: Path) -> None:
    content = official("toonify")
    content["state_dict"] = {key: value for key, value in content["state_dict"].items() if key != drop} | add
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(write(tmp_path / "file.pt", content))


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        ({"use_skip": False}, r"unexpected: fusion\.0"),
        ({"use_att": 1}, r"missing: fusion\.0\.linear"),
        ({"use_skip_torgb": True}, r"missing: fusion\.0\.fusion_skip"),
        ({"skip_max_layer": 4}, r"unexpected: fusion\.4"),
        ({"input_nc": 4}, r"wrong shape: encoder\.input_layer\.0\.weight \[6, 3, 3, 3\] instead"),
        ({"output_size": 1024}, "output_size is 1024, the decoder's weights are for 512"),
        ({"use_att": 2}, "attention"),
        ({"encoder_type": "Encoder4Editing"}, "Encoder4Editing"),
        ({"feat_ind": 3}, "feature_index"),
    ],
)
def test_options_that_the_weights_contradict(opts: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "file.pt", official("toonify") | {"opts": argparse.Namespace(**(SKIPS | opts))})
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    assert str(path) in caught.value.what


def test_conversion_keeps_every_number(tmp_path: Path) -> None:
    net = load_checkpoint(write(tmp_path / "file.pt", official("edit")))
    save_checkpoint(net, tmp_path / "file.safetensors")
    again = load_checkpoint(tmp_path / "file.safetensors")
    assert again.metadata == {"task": "edit"}
    assert torch.equal(image(net), image(again))


def test_a_saved_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    save_checkpoint(filled("sr"), tmp_path / "a.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    text = {f"key {i}": f'value "{i}"\n\t\x01 é ⟶ /\x7f' for i in range(12)}
    files = []
    for number, words in enumerate((text, dict(reversed(text.items())), text)):
        path = tmp_path / f"{number}.safetensors"
        save_checkpoint(filled("sr"), path, words)
        files.append(path.read_bytes())
        assert load_checkpoint(path).metadata == text
    assert files[0] == files[1] == files[2]
