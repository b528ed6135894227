"""Which models there are, where their files lie, and how to get one onto a device."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import load_checkpoint, save_checkpoint
from models.errors import CheckpointError
from models.styleganex import StyleGANEX

WEIGHTS = Path(__file__).parent / "weights"
REPOSITORY = "PKUWilliamYang/StyleGANEX"
LICENCE = "S-Lab License 1.0 (non-commercial)"


@dataclass(frozen=True, slots=True)
class Published:
    """A weight file of the StyleGANEX authors. Not shipped: each user fetches it under its own licence."""

    name: str
    task: str
    size_gb: float

    @property
    def file(self) -> str:
        """Path inside the repository on the Hugging Face hub."""
        return f"pretrained_models/{self.name}.pt"


PUBLISHED = tuple(
    Published(name, task, size)
    for name, task, size in (
        ("styleganex_toonify_cartoon", "toonify", 1.44),
        ("styleganex_toonify_arcane", "toonify", 1.44),
        ("styleganex_toonify_pixar", "toonify", 1.44),
        ("styleganex_edit_age", "edit", 1.48),
        ("styleganex_edit_hair", "edit", 1.48),
        ("styleganex_inversion", "inversion", 1.20),
        ("styleganex_sr", "super_resolution", 1.37),
        ("styleganex_sr32", "super_resolution", 1.41),
        ("styleganex_sketch2face", "sketch_to_face", 1.23),
        ("styleganex_mask2face", "mask_to_face", 1.25),
    )
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network ready to use."""

    net: StyleGANEX
    name: str
    path: Path
    sha256: str
    embedded: bool
    """True for a demonstration model that ships with the project."""

    @property
    def note(self) -> str:
        """One line for the log and the report."""
        if not self.embedded:
            return f"model {self.name} ({self.path})"
        return (
            f"model {self.name}: the small demonstration model that ships with this project; for the published ones "
            f"run `python run_pipeline.py models fetch NAME` (names: `models list`) or pass --model FILE"
        )


def weights_dir() -> Path:
    """Where fetched files lie: $STYLEGANEX_WEIGHTS, or styleganex/ in the user's cache folder."""
    named = os.environ.get("STYLEGANEX_WEIGHTS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "styleganex"


def find_model(wanted: str | None, fitting: Sequence[str]) -> Path:
    """The weight file for a name or path, or for the first of `fitting` that is at hand when nothing is wanted.

    Raises:
        CheckpointError: no such file or name, or the published file has not been fetched.
    """
    for name in [wanted] if wanted else fitting:
        for folder, suffixes in ((weights_dir(), (".safetensors", ".pt")), (WEIGHTS, (".safetensors",))):
            for suffix in suffixes:
                if (path := folder / f"{name}{suffix}").is_file():
                    return path
    if wanted and Path(wanted).is_file():
        return Path(wanted)
    known = [entry.name for entry in PUBLISHED] + sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
    if wanted in known:
        raise CheckpointError(f"model {wanted}: not fetched yet", f"run `python run_pipeline.py models fetch {wanted}`")
    raise CheckpointError(
        f"model {wanted or ' or '.join(fitting)}: no such file and no such model",
        "see `python run_pipeline.py models list`",
    )


def load_model(wanted: str | None, fitting: Sequence[str], device: str) -> LoadedModel:
    """Find, read and place a network, in eval mode, its parameters frozen."""
    path = find_model(wanted, fitting)
    net = load_checkpoint(path, device=device)
    net.requires_grad_(False)
    return LoadedModel(net, path.stem, path, file_sha256(path), embedded=path.parent == WEIGHTS)


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing() -> str:
    """A table of every model: what it is for and whether it is here."""
    rows = [("name", "task", "size", "here", "licence")]
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        rows.append((path.stem, "toonify", f"{path.stat().st_size / 1e6:.1f} MB", "embedded", "Apache-2.0"))
    for entry in PUBLISHED:
        here = next((weights_dir().glob(f"{entry.name}.*")), None)
        rows.append((entry.name, entry.task, f"{entry.size_gb:.2f} GB", "yes" if here else "no", LICENCE))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", f"fetched files lie in {weights_dir()}"])


def convert(source: Path, target: Path) -> None:
    """Write any checkpoint that `load_checkpoint` reads as safetensors: no code inside, no training state.

    Raises:
        CheckpointError: the source cannot be read, or the target is not a .safetensors file in a folder that exists.
    """
    if target.suffix != ".safetensors" or not target.parent.is_dir():
        raise CheckpointError(f"{target}: cannot be written there", "name a .safetensors file in a folder that exists")
    save_checkpoint(load_checkpoint(source), target)
