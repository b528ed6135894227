"""Where results go: checks before any work, and files that appear under their final name only when they are whole."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.errors import MediaError
from stages.sequence import IMAGE_SUFFIXES, is_sequence

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
}
"""Suffix → libav's muxer."""
WRITABLE_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
_TO_MP4 = frozenset({".3gp", ".gif", ".h264", ".264", ".hevc", ".265", ".mpg", ".mpeg", ".y4m"})
_FULL = (errno.ENOSPC, errno.EDQUOT)


def default_suffix(source: Path) -> str:
    """Suffix of the output for a source: its own where it can be written; "" (a folder) for an image sequence."""
    suffix = source.suffix.lower()
    if is_sequence(source):
        return ""
    if suffix in IMAGE_SUFFIXES:
        return suffix if suffix in WRITABLE_IMAGES else ".png"
    if suffix in CONTAINERS:
        return suffix
    return ".mp4" if suffix in _TO_MP4 else ".mkv"  # Matroska holds whatever sound the other containers hold


def check_output(source: Path, target: Path, overwrite: bool) -> None:
    """See that the output can be written, before any work is done. Makes nothing: folders come with the file.

    Raises:
        MediaError: it is the input itself, exists already, is of an unknown kind, or its folder cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix and suffix not in CONTAINERS and suffix not in WRITABLE_IMAGES:
        known = " ".join([*CONTAINERS, *sorted(WRITABLE_IMAGES)])
        raise MediaError(f"{target}: {suffix} files cannot be written", f"use one of {known}, or a folder's name")
    if "%" in target.name and suffix in WRITABLE_IMAGES:
        raise MediaError(f"{target}: a pattern cannot be written", f"give a folder, e.g. {target.parent / 'frames'}")
    if target.exists():
        if source.exists() and target.samefile(source):
            raise MediaError(f"{target}: input and output are the same", "give another output name")
        if target.is_dir() and suffix:
            raise MediaError(f"{target}: there is a folder of this name", "give another output name")
        if target.is_file() and not suffix:
            raise MediaError(
                f"{target}: there is a file of this name, where a folder of images would go", "add a suffix"
            )
        if not overwrite:
            raise MediaError(f"{target}: exists already", "add --overwrite, or give another output name")
        if source.exists() and target.is_dir() and source.resolve().is_relative_to(target.resolve()):
            raise MediaError(f"{target}: the input lies in it", "give another output folder")
    check_writable(target)


def check_writable(target: Path) -> None:
    """See that something can be made under this name. Makes nothing.

    Raises:
        MediaError: the folder that it would go to, or the nearest one that exists, cannot be written.
    """
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MediaError(
            f"{target.parent}: cannot be written: {(error.strerror or str(error)).lower()}",
            "give an output in a folder that you may write to",
        ) from error


def check_tensor_file(target: Path, what: str, overwrite: bool, inputs: Sequence[Path]) -> None:
    """See that `what` (tokens, directions) can be written under this name, before any work is done.

    Raises:
        MediaError: another kind of file, one of the `inputs`, or it exists already.
    """
    if target.suffix.lower() != ".safetensors":
        raise MediaError(f"{target}: {what} are not written as {target.suffix or 'a folder'}", "name a .safetensors")
    if target.exists() and any(path.exists() and target.samefile(path) for path in inputs):
        raise MediaError(f"{target}: input and output are the same", "give another output name")
    if target.exists() and not overwrite:
        raise MediaError(f"{target}: exists already", "add --overwrite, or give another output name")


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into one line for the user."""
    try:
        yield
    except MediaError:
        raise
    except OSError as error:
        if error.errno is None or isinstance(error, ValueError):
            raise  # libav's complaint about data, not about the disk
        remedy = "free some space" if error.errno in _FULL else "check the disk and its permissions"
        what = f"{target}: cannot be written: {(error.strerror or str(error)).lower()}"
        raise MediaError(what, f"{remedy}, or give an output elsewhere") from error


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """A hidden name beside `target`. A normal exit makes the file durable and renames it; any other removes it."""
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        with disk_errors(target):
            _sync(part)
            os.replace(part, target)
            _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """The same for a folder of images; an older folder of that name gives way only when the new one is whole."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        part.chmod(0o777 & ~_umask())
    try:
        yield part
        with disk_errors(target):
            for file in (*part.iterdir(), part):
                _sync(file)
            if target.exists():
                old = part.with_suffix(".old")
                target.rename(old)
                part.rename(target)
                shutil.rmtree(old)
            else:
                part.rename(target)
            _sync(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
