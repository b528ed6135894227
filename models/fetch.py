"""Get a published weight file from the Hugging Face hub, under its own licence. A broken transfer goes on later."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from models.errors import CheckpointError
from models.lockfile import LOCK_NAME, Lockfile, read_sha256
from models.registry import PUBLISHED, Published, published
from models.zoo import weights_dir


class _Remote(NamedTuple):
    """A file on the hub at one revision."""

    url: str
    """With the revision in it."""
    etag: str
    """Of large files: their sha256."""
    size: int


def fetch(name: str, accepted: bool = False) -> Path:
    """Download `name` into `weights_dir()` and record its sha256; a file that is there already is checked instead.

    $HF_ENDPOINT names a mirror; tokens and proxies are those of `huggingface_hub`.

    Args:
        name: one of `PUBLISHED`.
        accepted: the user has accepted the licence; False: ask on the terminal.

    Raises:
        CheckpointError: no such name, licence not accepted, `huggingface_hub` not installed, no network, no such file
            there, no room, or a file that is not what the hub says or what was recorded before.
    """
    entry = published(name)
    if entry is None:
        names = ", ".join(entry.name for entry in PUBLISHED)
        raise CheckpointError(f"model {name}: not a published file", f"choose one of {names}")
    folder = weights_dir()
    lock, target = Lockfile(folder), folder / entry.local
    for here in (target.with_suffix(".safetensors"), target):
        if here.is_file():
            if here.name not in lock.records():
                lock.add(here, read_sha256(here), "was there already")
            lock.check(here)
            return here
    _ask(entry, accepted)
    hub = _hub()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{entry.name}.busy", timeout=0):
            remote = _look_up(hub, entry, target)
            part = folder / f".{entry.name}.{_short(remote.etag)}.part"
            _transfer(hub, entry, remote, part)
            _accept(entry, remote, part, target, lock)
    except Timeout as error:
        raise CheckpointError(f"model {name}: another process is fetching it", "wait for it to finish") from error
    except OSError as error:
        where = error.filename or folder
        raise CheckpointError(
            f"{where}: {error.strerror or error}", "set $STYLEGANEX_WEIGHTS to another folder"
        ) from error
    return target


def _hub() -> Any:
    try:
        import huggingface_hub.file_download
    except ImportError as error:
        raise CheckpointError(
            "the package huggingface_hub is not installed", "pip install -r requirements-hub.txt"
        ) from error
    return huggingface_hub


def _look_up(hub: Any, entry: Published, target: Path) -> _Remote:
    """Ask the hub for the newest revision of the file."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None  # the package reads it only once, when imported
    try:
        url = hub.hf_hub_url(entry.repository, entry.file, endpoint=endpoint)
        found = hub.get_hf_file_metadata(url)
    except Exception as error:  # the package raises its own, httpx's (before 1.0 requests') and the system's
        raise _failure(entry, target, error) from error
    if not found.commit_hash or not found.etag:
        raise CheckpointError(
            f"model {entry.name}: {url} does not answer like a Hugging Face hub", "check $HF_ENDPOINT, or unset it"
        )
    url = hub.hf_hub_url(entry.repository, entry.file, revision=found.commit_hash, endpoint=endpoint)
    return _Remote(url, found.etag, found.size or 0)


def _transfer(hub: Any, entry: Published, remote: _Remote, part: Path) -> None:
    """Bring `part` to its full length, from where an earlier attempt at the same content left it."""
    for old in part.parent.glob(f".{entry.name}.*.part"):
        if old != part:
            old.unlink()  # of an older revision
    have = part.stat().st_size if part.exists() else 0
    if remote.size and have > remote.size:
        part.unlink()
        have = 0
    free = shutil.disk_usage(part.parent).free
    if remote.size - have > free:
        raise CheckpointError(
            f"model {entry.name}: needs {remote.size - have:,} bytes, {part.parent} has {free:,} left",
            "make room, or set $STYLEGANEX_WEIGHTS to another folder",
        )
    try:
        with part.open("ab") as file:
            hub.file_download.http_get(
                remote.url,
                file,
                resume_size=have,
                headers=hub.utils.build_hf_headers(),
                expected_size=remote.size or None,
                displayed_filename=entry.local,
            )
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # the disk, not the network
            raise
        raise _failure(entry, part, error) from error


def _accept(entry: Published, remote: _Remote, part: Path, target: Path, lock: Lockfile) -> None:
    """Compare the digest with what the hub says and with an earlier record; then give the file its name."""
    digest, earlier = read_sha256(part), lock.records().get(target.name)
    if re.fullmatch(r"[0-9a-f]{64}", remote.etag) and digest != remote.etag:
        part.unlink()
        raise CheckpointError(
            f"model {entry.name}: what arrived has sha256 {digest[:12]}…, the hub says {remote.etag[:12]}…",
            "fetch it again; a proxy or mirror may have changed it",
        )
    if earlier is not None and digest != earlier.sha256:
        raise CheckpointError(
            f"model {entry.name}: the file on the hub is no longer the one recorded in {LOCK_NAME} "
            f"(sha256 {digest[:12]}…, recorded {earlier.sha256[:12]}…)",
            f"if you trust the new one, remove its entry from {lock.path} and fetch again",
        )
    if entry.sha256_hint and digest != entry.sha256_hint:
        print(f"note: sha256 {digest} is not the one seen on a mirror, {entry.sha256_hint}", file=sys.stderr)
    os.replace(part, target)
    lock.add(target, digest, remote.url)


def _failure(entry: Published, target: Path, error: Exception) -> CheckpointError:
    """What went wrong, by the names of the package's errors (they moved between its versions)."""
    names = {kind.__name__ for kind in type(error).__mro__}
    file = f"{entry.repository}/{entry.file}"
    by_hand = f"put the file at {weights_dir() / entry.local} by hand (from {entry.page})"
    if names & {"GatedRepoError"}:
        return CheckpointError(
            f"model {entry.name}: {file} needs permission", f"ask for it at {entry.page}, then `hf auth login`"
        )
    if names & {"EntryNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError"}:
        return CheckpointError(
            f"model {entry.name}: {file} is not on the hub (404)", f"check $HF_ENDPOINT, or {by_hand}"
        )
    if names & {"OfflineModeIsEnabled"}:
        return CheckpointError(f"model {entry.name}: $HF_HUB_OFFLINE forbids the network", f"unset it, or {by_hand}")
    kept = "; what has arrived is kept, fetching again goes on from there" if target.suffix == ".part" else ""
    words = str(error).strip().partition("\n")[0] or type(error).__name__
    return CheckpointError(
        f"model {entry.name}: {file} could not be fetched: {words}{kept}",
        f"check the network or $HF_ENDPOINT and try again, or {by_hand}",
    )


def _short(etag: str) -> str:
    return re.sub(r"\W", "", etag)[:16]


def _ask(entry: Published, accepted: bool) -> None:
    print(f"{entry.name} is published by its authors under the {entry.licence}: {entry.page}", file=sys.stderr)
    if accepted:
        return
    if not sys.stdin.isatty() or input("Do you accept this licence? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CheckpointError(f"model {entry.name}: licence not accepted", "run again with --accept-licence")
