"""Weights in and out: published .pt files, StyleGAN2 g_ema files, and our own .safetensors. Nothing is ever executed.

Every way a file can be wrong ends in a CheckpointError that says which keys differ.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.config import ModelConfig
from models.errors import CheckpointError, ModelError
from models.official import config_from_generator, config_from_opts, to_ours
from models.styleganex import StyleGANEX

_LOG = logging.getLogger(__name__)
_REFETCH = "fetch the file again, or check that it is the one you mean"
_CODES = ("latent_avg", "editing_w")


class _Contents(NamedTuple):
    config: ModelConfig
    state: dict[str, Tensor]
    """In our names, latent_avg and editing_w included where the file has them."""
    metadata: dict[str, str]


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> StyleGANEX:
    """Read a weight file, whichever kind it is.

    Returns:
        The network in float32 and eval mode on `device`.

    Raises:
        CheckpointError: missing, foreign, damaged or hostile file; keys or shapes that differ.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}", "check the path") from error
    try:
        # The header of a safetensors file is its length in 8 bytes, then JSON.
        net = _build(_read_safetensors(path)) if head[8:9] == b"{" else from_official(_read_torch(path))
        return net.to(device)
    except ModelError as error:
        raise CheckpointError(f"{path}: {error.what}", _REFETCH) from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.what}", error.remedy) from error


def save_checkpoint(net: StyleGANEX, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as safetensors, its ModelConfig as JSON under the metadata key "config".

    Args:
        metadata: free text, kept beside the weights; None: what `net.metadata` holds. The file appears under its
            name only when it is complete.
    """
    path = Path(path)
    text = dict(net.metadata if metadata is None else metadata) | {"config": net.config.to_json()}
    state = {key: value.detach().to("cpu").contiguous() for key, value in net.state_dict().items()}
    part = path.with_name(path.name + ".part")
    try:
        save_file(state, part, metadata=text)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be written ({error})", "choose a folder that can be written") from error
    finally:
        part.unlink(missing_ok=True)


def from_official(content: Mapping[str, Any]) -> StyleGANEX:
    """The network of a published checkpoint that was already read: StyleGANEX, pSp, or a StyleGAN2 g_ema.

    Tensors are taken over, not copied, where they are float32. Eval mode.

    Raises:
        CheckpointError: keys or shapes that differ, options that cannot be.
    """
    if "state_dict" in content:
        return _build(_styleganex(content))
    if "g_ema" in content:
        return _build(_stylegan2(content))
    raise CheckpointError("neither `state_dict` nor `g_ema` is in it", _REFETCH)


def _read_safetensors(path: Path) -> _Contents:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            config = ModelConfig.from_json(metadata["config"])
            # Copied out of the mapped file: aligned, so that sums come out the same, and safe if the file changes.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except KeyError as error:
        raise CheckpointError("a safetensors file without a config in its metadata", _REFETCH) from error
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"not a readable safetensors file of this project: {error}", _REFETCH) from error
    return _Contents(config, state, {key: text for key, text in metadata.items() if key != "config"})


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line.upper()), "")
        raise CheckpointError(
            f"holds something other than weights, or is damaged; nothing of it was run. {reason}".strip(),
            "use only weight files from a source you trust",
        ) from error
    except Exception as error:  # torch.load raises nearly anything on damaged bytes
        raise CheckpointError(f"not a readable checkpoint ({type(error).__name__})", _REFETCH) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"holds a {type(content).__name__}, not a checkpoint", _REFETCH)
    return content


def _styleganex(content: Mapping[str, Any]) -> _Contents:
    opts = content.get("opts", {})
    opts = vars(opts) if isinstance(opts, argparse.Namespace) else opts
    if not isinstance(opts, dict):
        raise CheckpointError(f"`opts` is a {type(opts).__name__}, not a table of options", _REFETCH)
    tensors = _tensors(content["state_dict"], "state_dict")
    state = {key: value for key, value in tensors.items() if key.startswith(("encoder.", "decoder."))}
    config = config_from_opts(opts, state)
    if opts.get("toonify_weights") is not None:
        _LOG.warning("opts.toonify_weights names %r: ignored, the decoder in the file is used", opts["toonify_weights"])
    return _Contents(config, to_ours(state, config) | _codes(content, config), {})


def _stylegan2(content: Mapping[str, Any]) -> _Contents:
    state = {f"decoder.{key}": value for key, value in _tensors(content["g_ema"], "g_ema").items()}
    config = config_from_generator(state)
    return _Contents(config, to_ours(state, config) | _codes(content, config), {})


def _tensors(table: Any, name: str) -> dict[str, Tensor]:
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise CheckpointError(f"`{name}` is not a table of tensors", _REFETCH)
    return dict(table)


def _codes(content: Mapping[str, Any], config: ModelConfig) -> dict[str, Tensor]:
    """latent_avg as [L, style_dim] (one row stands for all) and editing_w, as far as the file has them."""
    codes = {key: content[key] for key in _CODES if content.get(key) is not None}
    for key, value in codes.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"`{key}` is not a tensor", _REFETCH)
    if (average := codes.get("latent_avg")) is not None and average.shape[-1:] == (config.style_dim,):
        rows = average.reshape(-1, config.style_dim)
        if rows.shape[0] == 1:
            codes["latent_avg"] = rows.repeat(config.num_styles, 1)
    return codes


def _build(contents: _Contents) -> StyleGANEX:
    with torch.device("meta"):
        net = StyleGANEX(contents.config)
    state = contents.state
    _check_codes(contents)
    net.latent_avg = state.get("latent_avg")
    net.editing_w = state.get("editing_w")
    wanted = {key: value.shape for key, value in net.state_dict().items()}
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    wrong = [
        f"{key} {list(state[key].shape)} instead of {list(shape)}"
        for key, shape in wanted.items()
        if key in state and state[key].shape != shape
    ]
    found = {"missing": missing, "unexpected": extra, "wrong shape": wrong}
    faults = [f"{name}: {_some(keys)}" for name, keys in found.items() if keys]
    if faults:
        raise CheckpointError(f"the keys do not fit the network; {'; '.join(faults)}", _REFETCH)
    tensors = {key: value if key.endswith("num_batches_tracked") else value.float() for key, value in state.items()}
    net.load_state_dict(tensors, assign=True)
    net.metadata = dict(contents.metadata)
    return net.requires_grad_(True).eval()


def _check_codes(contents: _Contents) -> None:
    config, state = contents.config, contents.state
    wanted = (config.num_styles, config.style_dim)
    for key in _CODES:
        if key in state and state[key].shape[-2:] != wanted:
            shape = list(state[key].shape)
            raise CheckpointError(f"`{key}` has shape {shape}, this network needs [{wanted[0]}, {wanted[1]}]", _REFETCH)
    if config.has_encoder and config.start_from_latent_avg and "latent_avg" not in state:
        raise CheckpointError("`latent_avg` is missing, and this network starts from it", _REFETCH)


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
