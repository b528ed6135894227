"""Which files an image sequence consists of, in which order."""

import re
from itertools import pairwise
from pathlib import Path

from stages.errors import MediaError

_COMMON = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp"})
IMAGE_SUFFIXES = _COMMON | {".exr", ".dpx", ".jp2", ".j2k", ".ppm", ".pgm", ".pnm", ".qoi", ".avif", ".heic", ".heif"}
_PRINTF = re.compile(r"%(0\d+)?d")
_NUMBERS = re.compile(r"(\d+)")


def is_sequence(path: Path) -> bool:
    """True for a folder, a printf pattern (``shot.%04d.png``) and a glob (``shot.*.png``) that is no file itself."""
    return path.is_dir() or (not path.exists() and bool(_PRINTF.search(path.name) or re.search(r"[*?\[]", path.name)))


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sorting key under which ``a2`` comes before ``a10``."""
    parts = _NUMBERS.split(name.casefold())
    return tuple((1, int(part)) if number % 2 else (0, part) for number, part in enumerate(parts))


def list_images(path: Path) -> list[Path]:
    """The images of a folder or glob in natural order, or of a printf pattern in the order of their numbers.

    Raises:
        MediaError: there are none, or a number of the pattern is missing between the first and the last.
    """
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
        found = sorted((p for p in found if p.is_file()), key=lambda p: natural_key(p.name))
    elif pattern := _PRINTF.search(path.name):
        found = _numbered(path, pattern)
    else:
        found = sorted((p for p in path.parent.glob(path.name) if p.is_file()), key=lambda p: natural_key(p.name))
    if not found:
        kind = "the folder holds no image" if path.is_dir() else "no file matches this pattern"
        raise MediaError(
            f"{path}: {kind}", "give a video, an image, or a folder or pattern of PNG, TIFF or JPEG images"
        )
    return found


def _numbered(path: Path, pattern: re.Match[str]) -> list[Path]:
    head, tail = path.name[: pattern.start()], path.name[pattern.end() :]
    width = int(pattern[1]) if pattern[1] else 1
    name = re.compile(rf"{re.escape(head)}(\d{{{width},}}){re.escape(tail)}")
    files = path.parent.iterdir() if path.parent.is_dir() else ()
    by_number = {int(match[1]): p for p in files if (match := name.fullmatch(p.name))}
    numbers = sorted(by_number)
    for number, following in pairwise(numbers):
        if following != number + 1:
            missing = f"{head}{number + 1:0{width}d}{tail}"
            raise MediaError(
                f"{path}: {missing} is missing between {numbers[0]} and {numbers[-1]}",
                "add the missing image, or render the parts one by one from folders of their own",
            )
    return [by_number[number] for number in numbers]
