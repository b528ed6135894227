"""The weights folder as a whole: what is there, whether it is still what came, and how to make it smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.checkpoint import load_checkpoint, save_checkpoint
from models.errors import CheckpointError, UserError
from models.lockfile import Lockfile, read_sha256
from models.registry import PUBLISHED, published
from models.safetensors_file import read_metadata
from models.zoo import WEIGHTS, local_files, trained_for, weights_dir

BROKEN = "cannot be read: see `models verify`"
Verdict = Literal["ok", "changed", "missing", "unreadable", "not recorded", "recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of `models list`."""

    name: str
    task: str
    """"" where nothing tells."""
    style: str = ""
    directions: str = ""
    """Names of the editing directions that the file holds, with commas."""
    purpose: str = ""
    size: int | None = None
    """Bytes; of a file that is not here, as published (three figures)."""
    where: Literal["embedded", "here", "not here"]
    path: str = ""
    licence: str = ""
    repository: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of `models verify`."""

    name: str
    verdict: Verdict
    note: str = ""


def listing() -> list[Listed]:
    """Every model: the embedded ones, what lies in the weights folder, and what has been published."""
    here = {path.stem: path for path in local_files()}
    lines = [_local(path) for path in here.values() if published(path.stem) is None]
    for entry in PUBLISHED:
        path = here.get(entry.name)
        lines.append(
            Listed(
                name=entry.name,
                task=entry.task,
                style=entry.style,
                purpose=entry.purpose,
                size=path.stat().st_size if path else entry.size,
                where="here" if path else "not here",
                path=str(path or ""),
                licence=entry.licence,
                repository=entry.repository,
                file=entry.file,
            )
        )
    return sorted(lines, key=lambda line: ("embedded", "here", "not here").index(line.where))


def verify(record: bool = False) -> Iterator[Checked]:
    """Read every byte of every weight file here and compare it with the lock file; embedded models are loaded.

    Args:
        record: take files without a record as they are now.
    """
    lock, folder = Lockfile(weights_dir()), weights_dir()
    records = lock.records()
    names = {path.name for path in local_files() if path.parent == folder}
    for name in sorted(names | set(records)):
        path = folder / name
        if not path.is_file():
            if path.with_suffix(".safetensors").is_file():
                continue  # converted
            yield Checked(name, "missing", "recorded, but not in the folder")
        elif name in records:
            good = lock.verify(path)
            note = records[name].source if good else f"recorded sha256 {records[name].sha256[:12]}…: fetch it again"
            yield Checked(name, "ok" if good else "changed", note)
        elif record:
            lock.add(path, read_sha256(path), "put there by hand")
            yield Checked(name, "recorded")
        else:
            yield Checked(name, "not recorded", "add it with `models verify --record` if you trust it")
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        yield _load(path)


def convert(source: Path, target: Path) -> None:
    """Write any checkpoint that `load_checkpoint` reads as safetensors: no code inside, no discriminator, no optimiser.

    The text in its header says for what it is, under which licence, and the sha256 of the file it comes from.

    Raises:
        CheckpointError: the source cannot be read, or the target is not a .safetensors file in a folder that exists.
    """
    if target.suffix != ".safetensors" or not target.parent.is_dir():
        raise CheckpointError(f"{target}: cannot be written there", "name a .safetensors file in a folder that exists")
    net, entry, digest = load_checkpoint(source), published(source.stem), Lockfile(weights_dir()).check(source)
    text = {"source": source.name, "source_sha256": digest}
    if entry is not None:
        text |= {"task": entry.task, "style": entry.style, "licence": entry.licence}
    save_checkpoint(net, target, {**text, **net.metadata})
    if target.parent.absolute() == weights_dir().absolute():
        Lockfile(weights_dir()).add(target, read_sha256(target), f"converted from {source.name}, sha256 {digest}")


def _local(path: Path) -> Listed:
    embedded = path.parent == WEIGHTS
    text: dict[str, str] = {}
    if path.suffix == ".safetensors":
        try:
            text = read_metadata(path)
        except CheckpointError:
            text = {"purpose": BROKEN}
    # Whatever stands in a stranger's file must not steer the terminal.
    text = {key: "".join(c if c.isprintable() else "?" for c in words) for key, words in text.items()}
    return Listed(
        name=path.stem,
        task=text.get("task") or trained_for(path),
        style=text.get("style", ""),
        directions=text.get("directions", ""),
        purpose=text.get("purpose", "small demonstration model" if embedded else ""),
        size=path.stat().st_size,
        where="embedded" if embedded else "here",
        path=str(path),
        licence=text.get("licence", ""),
    )


def _load(path: Path) -> Checked:
    try:
        load_checkpoint(path)
    except UserError as error:
        return Checked(path.name, "unreadable", error.what)
    return Checked(path.name, "ok", "embedded; loads, every key and shape")
