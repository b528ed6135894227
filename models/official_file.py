"""What a published .pt file holds, checked and brought into our names: StyleGANEX, pSp, StyleGAN2 g_ema (spec §1)."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import CheckpointError
from models.official import config_from_generator, config_from_opts, task_from_opts, to_ours
from models.torch_file import REFETCH

_LOG = logging.getLogger(__name__)
_CODES = ("latent_avg", "editing_w")
_READ = ("state_dict", "opts", "g_ema", *_CODES)


class Contents(NamedTuple):
    """A weight file of any kind, in our names."""

    config: ModelConfig
    state: dict[str, Tensor]
    """latent_avg and editing_w included where the file has them."""
    metadata: dict[str, str]


def read_official(content: Any) -> Contents:
    """Sort out what `torch.load` gave. Training state (`discriminator`, optimisers, counters) is left out.

    Raises:
        CheckpointError: not such a checkpoint, or options that cannot be.
        ModelError: sizes that no network can have.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(f"holds a {type(content).__name__}, not a checkpoint", REFETCH)
    if "state_dict" in content:
        opts = _opts(content)
        state = _tensors(content["state_dict"], "state_dict")
        ignored = sorted({key.split(".")[0] for key in state} - {"encoder", "decoder"})
        state = {key: value for key, value in state.items() if key.startswith(("encoder.", "decoder."))}
        config, task = config_from_opts(opts, state), task_from_opts(opts)
    elif "g_ema" in content:
        ignored = []
        state = {f"decoder.{key}": value for key, value in _tensors(content["g_ema"], "g_ema").items()}
        config, task = config_from_generator(state), "sample"
    else:
        raise CheckpointError("neither `state_dict` nor `g_ema` is in it", REFETCH)
    if ignored := [*ignored, *(str(key) for key in content if key not in _READ)]:
        _LOG.info("left out, not needed to run the network: %s", ", ".join(ignored))
    ours = _with_buffers(to_ours(state, config), config)
    return Contents(config, ours | _codes(content, config), {"task": task} if task else {})


def check_codes(contents: Contents) -> None:
    """latent_avg and editing_w fit the network, and are there where it needs them.

    Raises:
        CheckpointError: they do not, or are not.
    """
    config, state = contents.config, contents.state
    wanted = (config.num_styles, config.style_dim)
    for key, dimensions in zip(_CODES, (2, 3), strict=True):
        if key in state and (state[key].shape[-2:] != wanted or state[key].ndim != dimensions):
            shape = list(state[key].shape)
            raise CheckpointError(f"`{key}` has shape {shape}, this network needs [{wanted[0]}, {wanted[1]}]", REFETCH)
    if config.has_encoder and config.start_from_latent_avg and "latent_avg" not in state:
        raise CheckpointError("`latent_avg` is missing, and this network starts from it", REFETCH)


def _opts(content: Mapping[str, Any]) -> dict[str, Any]:
    opts = content.get("opts", {})
    opts = vars(opts) if isinstance(opts, argparse.Namespace) else opts
    if not isinstance(opts, dict):
        raise CheckpointError(f"`opts` is a {type(opts).__name__}, not a table of options", REFETCH)
    if opts.get("toonify_weights") is not None:
        _LOG.warning("opts.toonify_weights names %r: ignored, the decoder in the file is used", opts["toonify_weights"])
    return opts


def _tensors(table: Any, name: str) -> dict[str, Tensor]:
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise CheckpointError(f"`{name}` is not a table of tensors", REFETCH)
    return {str(key): value for key, value in table.items()}


def _codes(content: Mapping[str, Any], config: ModelConfig) -> dict[str, Tensor]:
    """latent_avg [L, style_dim] (one row stands for all) and editing_w [N, L, style_dim], as far as they are there."""
    codes = {key: content[key] for key in _CODES if content.get(key) is not None}
    for key, value in codes.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"`{key}` is not a tensor", REFETCH)
    if (average := codes.get("latent_avg")) is not None and average.shape[-1:] == (config.style_dim,):
        rows = average.reshape(-1, config.style_dim)
        if rows.shape[0] in (1, config.num_styles):
            codes["latent_avg"] = rows.repeat(config.num_styles // rows.shape[0], 1)
    if (directions := codes.get("editing_w")) is not None and directions.ndim == 2:
        codes["editing_w"] = directions[None]
    return codes


def _with_buffers(state: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Stored buffers that older files lack: noise maps (drawn, from a fixed seed) and counters of batch norms."""
    added: dict[str, Tensor] = {}
    maps = [f"generator.noises.noise_{i}" for i in range(config.num_noises)]
    if not any(name in state for name in maps):
        draw = torch.Generator().manual_seed(0)
        for i, name in enumerate(maps):
            size = config.sizes[(i + 1) // 2]
            added[name] = torch.randn(1, 1, size, size, generator=draw)
        _LOG.warning('no noise maps in the file: noise="stored" will use maps drawn from a fixed seed')
    for key in state:
        prefix, _, last = key.rpartition(".")
        if last == "running_var" and f"{prefix}.num_batches_tracked" not in state:
            added[f"{prefix}.num_batches_tracked"] = torch.tensor(0)
    return state | added
