"""Our own weight files: the text in their header, read without the weights and written in one fixed order."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from models.errors import CheckpointError


def read_metadata(path: Path) -> dict[str, str]:
    """The free text in the header of a safetensors file; {} where it has none. Reads no tensor.

    Raises:
        CheckpointError: not a readable safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}", "check the file") from error


def sort_metadata(path: Path) -> None:
    """Put the metadata keys in order, in place: the library writes them in the order of a hash table that changes from
    run to run, and equal weights are to give equal bytes (they are compared by sha256).
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the header of {length} bytes would become {len(text)}")
        file.seek(8)
        file.write(text.ljust(length))
