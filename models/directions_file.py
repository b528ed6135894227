"""Editing directions from files that others made: one or many, plain or named, as .pt, .npy or .safetensors."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from models.config import ModelConfig
from models.errors import CheckpointError
from models.torch_file import read_torch

_LOG = logging.getLogger(__name__)
SUFFIXES = (".pt", ".pth", ".npy", ".safetensors")


def load_direction(path: str | Path, config: ModelConfig, name: str | None = None) -> Tensor:
    """Read one editing direction.

    A file holds [D] (the same for every style input), [L, D], or [N, L, D] (the first is taken where none is chosen);
    or a table from names to such tensors, as in the published direction_dics.pt and in what `save_directions` writes.

    Args:
        path: the file; `FILE:NAME` chooses a direction in it.
        name: a direction's name, or its number from 0; None: what stands after the colon, else the only or first one.

    Returns:
        [L, D] float32 on the CPU.

    Raises:
        CheckpointError: no such file or direction, something else in it, or a size that is not the model's.
    """
    file, chosen = split_name(path)
    name = name if name is not None else chosen
    content = _read(file)
    if isinstance(content, Mapping):
        label, value = _pick(file, _flat(content), name)
        return _shaped(file, label, value, config, None)
    return _shaped(file, "", content, config, name)


def load_directions(path: str | Path, config: ModelConfig) -> tuple[tuple[str, ...], Tensor]:
    """Read every direction of a file, or the one that `FILE:NAME` chooses.

    Returns:
        Their names (the file's own where a single one has none), and [N, L, D] float32 on the CPU.

    Raises:
        CheckpointError: as `load_direction`.
    """
    file, chosen = split_name(path)
    names = (chosen,) if chosen is not None else direction_names(file)
    rows = [load_direction(file, config, name) for name in names or (None,)]
    return names or (file.stem,), torch.stack(rows)


def direction_names(path: str | Path) -> tuple[str, ...]:
    """Names in a file of several directions; numbers where they have none; () for a single one.

    Raises:
        CheckpointError: as `load_direction`.
    """
    content = _read(split_name(path)[0])
    if isinstance(content, Mapping):
        return tuple(_flat(content))
    return tuple(map(str, range(content.shape[0]))) if getattr(content, "ndim", 0) == 3 and len(content) > 1 else ()


def split_name(path: str | Path) -> tuple[Path, str | None]:
    """`file.pt:smile` → (file.pt, smile). A colon that no known suffix precedes belongs to the path."""
    front, colon, name = str(path).rpartition(":")
    if colon and Path(front).suffix.lower() in SUFFIXES:
        return Path(front), name
    return Path(path), None


def _read(path: Path) -> Any:
    if path.suffix.lower() not in SUFFIXES:
        raise CheckpointError(f"{path}: not a direction file", f"give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file", "check the path of the direction file")
    try:
        match path.suffix.lower():
            case ".npy":
                return np.load(path, allow_pickle=False)
            case ".safetensors":
                return _named_rows(path) or load_file(path)
            case _:
                return read_torch(path, arrays=True)
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: not a readable direction file ({type(error).__name__})", "save it as one array of numbers"
        ) from error


def _named_rows(path: Path) -> dict[str, Tensor]:
    """What `directions.save_directions` wrote, by name; {} for another file."""
    with safe_open(path, framework="pt") as file:
        names = json.loads((file.metadata() or {}).get("names", "null"))
        if not isinstance(names, list) or "directions" not in file.keys():  # noqa: SIM118
            return {}
        rows = file.get_tensor("directions").clone()
    if rows.ndim != 3 or len(rows) != len(names):
        raise ValueError("names and directions differ in number")
    return {str(name): row for name, row in zip(names, rows, strict=True)}


def _flat(table: Mapping[Any, Any]) -> dict[str, Any]:
    """Names to values; tables in tables get names with a point between."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": leaf for inner, leaf in _flat(value).items()}
        else:
            flat[str(key)] = value
    return flat


def _pick(path: Path, table: Mapping[str, Any], name: str | None) -> tuple[str, Any]:
    if not table:
        raise CheckpointError(f"{path}: an empty table of directions", "give another file")
    if name is None and len(table) > 1:
        raise CheckpointError(f"{path}: holds {len(table)} directions: {_some(table)}", f"choose one: {path}:NAME")
    if name is not None and name not in table:
        raise CheckpointError(f"{path}: no direction {name} in it", f"choose one of {_some(table)}")
    label = next(iter(table)) if name is None else name
    return label, table[label]


def _shaped(path: Path, label: str, value: Any, config: ModelConfig, index: str | None) -> Tensor:
    """[L, D] from an array of any of the shapes that `load_direction` takes."""
    where = f"{path}: {label} " if label else f"{path}: "
    layers, width = config.num_styles, config.style_dim
    wanted = f"[{width}], [{layers}, {width}] or [N, {layers}, {width}]"
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
    if not isinstance(value, Tensor) or value.is_complex():
        raise CheckpointError(f"{where}a {type(value).__name__}, not an array of numbers", f"give {wanted}")
    shape = tuple(value.shape)
    if shape not in ((width,), (1, width)) and (
        value.ndim not in (2, 3) or shape[-2:] != (layers, width) or 0 in shape
    ):
        raise CheckpointError(
            f"{where}has shape {list(shape)}, this model needs {wanted}",
            "use a direction made for a model of this size",
        )
    value = value.detach().float()
    if not torch.isfinite(value).all():
        raise CheckpointError(f"{where}holds values that are not numbers (inf or nan)", "make the direction again")
    count = shape[0] if value.ndim == 3 else 1
    number = 0 if index is None else _number(path, index, count)
    if count > 1 and index is None:
        _LOG.warning("%s holds %d directions: the first is used (choose by number: %s:0 …)", path, count, path)
    return (value[number] if value.ndim == 3 else value.expand(layers, width)).clone()


def _number(path: Path, text: str, count: int) -> int:
    if not text.isdecimal() or int(text) >= count:
        raise CheckpointError(
            f"{path}: no direction {text} in it; they have no names", f"choose a number from 0 to {count - 1}"
        )
    return int(text)


def _some(names: Mapping[str, Any], most: int = 12) -> str:
    return ", ".join(list(names)[:most]) + (", …" if len(names) > most else "")
