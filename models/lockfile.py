"""What each weight file was when it came: its sha256, kept in one JSON file beside the weights."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from models.errors import CheckpointError

LOCK_NAME = "weights.lock.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One weight file, as it was when its digest was taken."""

    sha256: str
    size: int
    """Bytes."""
    mtime_ns: int
    """Modification time. While size and time stand, the digest is taken as read; `models verify` reads every byte."""
    source: str = ""
    """Where it came from: a URL with the revision, or the file that it was converted from."""


class Lockfile:
    """The records of one folder. Every change is one atomic replacement of the file, safe among processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK_NAME

    def records(self) -> dict[str, Record]:
        """{file name: record}; {} where nothing was recorded.

        Raises:
            CheckpointError: a lock file that cannot be read. It is not ignored, for it guards the weights.
        """
        try:
            table = json.loads(self.path.read_text(encoding="utf-8"))
            return {name: Record(**fields) for name, fields in table["files"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{self.path}: not a readable lock file ({type(error).__name__})",
                "put a good copy back, or delete it and run `models verify --record` if you trust the weights",
            ) from error

    def add(self, path: Path, digest: str, source: str = "") -> None:
        """Record a file of this folder, in place of an older record of that name."""
        self._put(path.name, _record(path, digest, source))

    def check(self, path: Path) -> str:
        """sha256 of a file; what is recorded must be what is there. Files outside the folder have no record.

        Raises:
            CheckpointError: the file is not what it was when it was recorded.
        """
        stat = path.stat()
        record = self.records().get(path.name) if path.parent.absolute() == self.folder.absolute() else None
        if record is None:
            return sha256_of(path)
        if (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            return record.sha256
        self._compare(path, record)
        with suppress(OSError):  # a folder that one cannot write to: hash again next time
            self._put(path.name, replace(record, mtime_ns=stat.st_mtime_ns))
        return record.sha256

    def verify(self, path: Path) -> bool | None:
        """Read every byte: True as recorded, False not so, None without a record."""
        record = self.records().get(path.name)
        return None if record is None else read_sha256(path) == record.sha256

    def _compare(self, path: Path, record: Record) -> None:
        if (digest := sha256_of(path)) != record.sha256:
            raise CheckpointError(
                f"{path}: not the file that was fetched (sha256 {digest[:12]}…, recorded {record.sha256[:12]}…)",
                f"fetch it again; if you changed it on purpose, remove its entry from {self.path}",
            )

    def _put(self, name: str, record: Record) -> None:
        with FileLock(self.folder / ".weights.busy"):
            table = {**self.records(), name: record}
            files = {key: asdict(table[key]) for key in sorted(table)}
            part = self.path.with_name(f"{LOCK_NAME}.part")
            part.write_text(json.dumps({"format": 1, "files": files}, indent=2) + "\n", encoding="utf-8")
            os.replace(part, self.path)


def guard(path: Path) -> None:
    """Raise CheckpointError if the lock file beside `path` records it otherwise. Cheap: see `Record`."""
    lock = Lockfile(path.parent)
    if path.name in lock.records():
        lock.check(path)


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file's bytes; read once per process while its size and time stand."""
    stat = path.stat()
    return _cached(str(path.absolute()), stat.st_size, stat.st_mtime_ns)


def read_sha256(path: Path) -> str:
    """Hexadecimal digest of a file's bytes, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _cached(path: str, size: int, mtime_ns: int) -> str:
    return read_sha256(Path(path))


def _record(path: Path, digest: str, source: str) -> Record:
    stat = path.stat()
    return Record(sha256=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns, source=source)
