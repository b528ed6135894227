"""Get a published weight file from the Hugging Face hub, under its own licence."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from models.errors import CheckpointError
from models.zoo import LICENCE, PUBLISHED, REPOSITORY, weights_dir


def fetch(name: str, accepted: bool = False) -> Path:
    """Download `name` into `weights_dir()`; a file that is there already is left as it is.

    Args:
        name: one of `PUBLISHED`.
        accepted: the user has accepted the licence; False: ask on the terminal.

    Raises:
        CheckpointError: no such name, licence not accepted, `huggingface_hub` not installed, or the transfer failed.
    """
    entry = next((entry for entry in PUBLISHED if entry.name == name), None)
    if entry is None:
        raise CheckpointError(f"model {name}: not a published file", "see `python run_pipeline.py models list`")
    target = weights_dir() / f"{name}.pt"
    if target.is_file():
        return target
    _ask(name, accepted)
    try:
        from huggingface_hub import hf_hub_download  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise CheckpointError("the package huggingface_hub is not installed", "pip install huggingface_hub") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        cached = hf_hub_download(REPOSITORY, entry.file)
    except Exception as error:  # the package raises its own, requests' and the operating system's
        raise CheckpointError(
            f"model {name}: {REPOSITORY}/{entry.file} could not be fetched: {type(error).__name__}",
            f"check the network or $HF_ENDPOINT, or put the file at {target} by hand",
        ) from error
    part = target.with_suffix(".part")
    shutil.copyfile(cached, part)
    part.replace(target)
    return target


def _ask(name: str, accepted: bool) -> None:
    notice = f"{name} is published by its authors under the {LICENCE}: https://huggingface.co/{REPOSITORY}"
    print(notice, file=sys.stderr)
    if accepted:
        return
    if not sys.stdin.isatty() or input("Do you accept this licence? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CheckpointError(f"model {name}: licence not accepted", "run again with --accept-licence")
