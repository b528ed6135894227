"""Weights in and out: published .pt files, StyleGAN2 g_ema files, and our own .safetensors. Nothing is ever executed.

Every way a file can be wrong ends in a CheckpointError that says which keys differ.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.allocator import settle_allocator
from models.config import ModelConfig
from models.errors import CheckpointError, ModelError
from models.lockfile import guard
from models.official_file import Contents, check_codes, read_official
from models.safetensors_file import sort_metadata
from models.styleganex import StyleGANEX
from models.torch_file import REFETCH, read_torch


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> StyleGANEX:
    """Read a weight file, whichever kind it is. From here on the C allocator keeps large blocks (models/allocator.py).

    Returns:
        The network in float32 and eval mode on `device`.

    Raises:
        CheckpointError: missing, foreign, damaged or hostile file; keys or shapes that differ; a fetched file that is
            no longer what was recorded.
    """
    settle_allocator()
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}", "check the path") from error
    # The header of a safetensors file is its length in 8 bytes, then JSON.
    ours = head[8:9] == b"{"
    if ours:
        guard(path)
    content = None if ours else read_torch(path)
    try:
        return (_build(_read_safetensors(path)) if ours else from_official(content)).to(device)
    except ModelError as error:
        raise CheckpointError(f"{path}: {error.what}", REFETCH) from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.what}", error.remedy) from error


def save_checkpoint(net: StyleGANEX, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as safetensors, its ModelConfig as JSON under the metadata key "config".

    Args:
        metadata: free text, kept beside the weights; None: what `net.metadata` holds. Keys that others read: `task`
            (what it was trained for; several with commas), `style`, `directions` (names of `editing_w`, with commas),
            `licence`.

    The file appears under its name only when it is complete. Equal networks and texts give equal bytes.
    """
    path = Path(path)
    text = dict(net.metadata if metadata is None else metadata) | {"config": net.config.to_json()}
    state = {key: value.detach().to("cpu").contiguous() for key, value in net.state_dict().items()}
    part = path.with_name(path.name + ".part")
    try:
        part.touch()
        mode = part.stat().st_mode
        save_file(state, part, metadata=text)
        part.chmod(mode)  # the library makes files that only their owner can read
        sort_metadata(part)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be written ({error})", "choose a folder that can be written") from error
    finally:
        part.unlink(missing_ok=True)


def from_official(content: Any) -> StyleGANEX:
    """The network of a published checkpoint that was already read: StyleGANEX, pSp, or a StyleGAN2 g_ema.

    Its metadata has `task` where the file's options tell.

    Tensors are taken over, not copied, where they are float32. Eval mode.

    Raises:
        CheckpointError: keys or shapes that differ, options that cannot be.
    """
    return _build(read_official(content))


def _read_safetensors(path: Path) -> Contents:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            config = ModelConfig.from_json(metadata["config"])
            # Copied out of the mapped file: aligned, so that sums come out the same, and safe if the file changes.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except KeyError as error:
        raise CheckpointError("a safetensors file without a config in its metadata", REFETCH) from error
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"not a readable safetensors file of this project: {error}", REFETCH) from error
    return Contents(config, state, {key: text for key, text in metadata.items() if key != "config"})


def _build(contents: Contents) -> StyleGANEX:
    with torch.device("meta"):
        net = StyleGANEX(contents.config)
    state = contents.state
    check_codes(contents)
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
        raise CheckpointError(f"the keys do not fit the network; {'; '.join(faults)}", REFETCH)
    tensors = {key: value if key.endswith("num_batches_tracked") else value.float() for key, value in state.items()}
    net.load_state_dict(tensors, assign=True)
    net.metadata = dict(contents.metadata)
    return net.requires_grad_(True).eval()


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
