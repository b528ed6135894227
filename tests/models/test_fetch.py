"""Fetching from the hub, played by a local server: whole, broken and resumed, changed, not there, no network."""

from __future__ import annotations

import builtins
import hashlib
import io
import json
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import CheckpointError
from models.fetch import fetch
from models.lockfile import LOCK_NAME, Lockfile
from models.registry import published
from tests.models.hub import COMMIT, Hub, serve

NAME = "faceparsing"
FILE = "PKUWilliamYang/VToonify/models/faceparsing.pth"
CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the package waits between its attempts
    monkeypatch.setattr(
        "huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000
    )  # 10 MB else; a chunk is all or nothing
    monkeypatch.setattr("logging.raiseExceptions", False)  # its log handler keeps the stderr of the first test
    with serve(Hub({FILE: CONTENT})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def gets(hub: Hub) -> list[str]:
    """Requests for content that reached it."""
    return [line for line in hub.log if line.startswith("GET /cdn" if hub.redirects else "GET")]


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("redirects", [True, False])
def test_a_whole_file_and_its_record(hub: Hub, folder: Path, redirects: bool, capsys: pytest.CaptureFixture) -> None:
    hub.redirects = redirects
    path = fetch(NAME, accepted=True)
    assert path == folder / "faceparsing.pth"
    assert path.read_bytes() == CONTENT
    assert visible(folder) == {"faceparsing.pth", LOCK_NAME}
    assert not list(folder.glob(".*.part"))
    record = json.loads((folder / LOCK_NAME).read_text())["files"]["faceparsing.pth"]
    assert (record["sha256"], record["size"]) == (DIGEST, len(CONTENT))
    assert record["source"].endswith(f"VToonify/resolve/{COMMIT}/models/faceparsing.pth")
    assert any(f"/resolve/{COMMIT}/" in line for line in gets(hub)), (
        "content comes from the revision that was looked up"
    )
    err = capsys.readouterr().err
    assert "S-Lab License 1.0 (non-commercial)" in err
    assert "not the one seen on a mirror" in err
    hub.log.clear()
    assert fetch(NAME) == path, "what is there needs neither network nor licence"
    assert not hub.log


def test_a_transfer_that_breaks_once_goes_on_by_itself(hub: Hub, folder: Path) -> None:
    hub.break_after = [300_000]
    assert fetch(NAME, accepted=True).read_bytes() == CONTENT
    assert [line.rpartition(" ")[2] for line in gets(hub)][1] == "bytes=300000-"


def test_a_transfer_that_breaks_for_good_is_resumed_by_the_next_fetch(hub: Hub, folder: Path) -> None:
    hub.break_after = [500_000, *[0] * 20]
    with pytest.raises(CheckpointError, match="goes on from there") as caught:
        fetch(NAME, accepted=True)
    assert "HF_ENDPOINT" in caught.value.remedy
    assert visible(folder) == set()
    assert [path.stat().st_size for path in folder.glob(".*.part")] == [500_000]
    hub.break_after.clear()
    hub.log.clear()
    assert fetch(NAME, accepted=True).read_bytes() == CONTENT
    assert gets(hub)[-1].endswith("bytes=500000-")
    assert not list(folder.glob(".*.part"))


def test_a_server_without_ranges_starts_over(hub: Hub, folder: Path) -> None:
    hub.break_after, hub.ranges = [500_000, *[0] * 20], False
    with pytest.raises(CheckpointError):
        fetch(NAME, accepted=True)
    hub.break_after.clear()
    assert fetch(NAME, accepted=True).read_bytes() == CONTENT


def test_a_part_of_an_older_revision_is_not_gone_on_with(hub: Hub, folder: Path) -> None:
    hub.break_after = [500_000, *[0] * 20]
    with pytest.raises(CheckpointError):
        fetch(NAME, accepted=True)
    hub.break_after.clear()
    hub.files[FILE] = CONTENT[::-1]
    assert fetch(NAME, accepted=True).read_bytes() == CONTENT[::-1]
    assert not list(folder.glob(".*.part"))


def test_bytes_that_are_not_what_the_hub_says(hub: Hub, folder: Path) -> None:
    hub.changes_bytes = True
    with pytest.raises(CheckpointError, match=f"the hub says {DIGEST[:12]}"):
        fetch(NAME, accepted=True)
    assert visible(folder) == set()
    assert not list(folder.glob(".*.part")), "damaged bytes are not gone on with"
    hub.changes_bytes = False
    assert fetch(NAME, accepted=True).read_bytes() == CONTENT


def test_a_file_that_changed_on_the_hub_since_it_was_recorded(hub: Hub, folder: Path) -> None:
    fetch(NAME, accepted=True).unlink()
    hub.files[FILE] = CONTENT + b"more"
    with pytest.raises(CheckpointError, match="no longer the one recorded") as caught:
        fetch(NAME, accepted=True)
    assert str(folder / LOCK_NAME) in caught.value.remedy
    assert visible(folder) == {LOCK_NAME}
    hub.files[FILE] = CONTENT
    fetch(NAME, accepted=True)
    assert Lockfile(folder).records()["faceparsing.pth"].sha256 == DIGEST


def test_a_file_that_changed_on_disk_is_not_taken(hub: Hub, folder: Path) -> None:
    path = fetch(NAME, accepted=True)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="not the file that was fetched"):
        fetch(NAME)


def test_a_file_put_there_by_hand_is_recorded(folder: Path) -> None:
    folder.mkdir()
    (folder / "faceparsing.pth").write_bytes(b"by hand")
    assert fetch(NAME) == folder / "faceparsing.pth"
    assert Lockfile(folder).records()["faceparsing.pth"].sha256 == hashlib.sha256(b"by hand").hexdigest()


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, r"not on the hub \(404\)"), (500, "could not be fetched"), (200, "like a Hugging Face hub")],
)
def test_a_server_that_has_no_such_file(hub: Hub, folder: Path, status: int, words: str) -> None:
    hub.status, hub.redirects = status if status != 404 else 0, False
    hub.files.clear()
    with pytest.raises(CheckpointError, match=words) as caught:
        fetch(NAME, accepted=True)
    assert "HF_ENDPOINT" in caught.value.remedy
    assert visible(folder) == set()
    assert "\n" not in str(caught.value)


def test_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(CheckpointError, match="could not be fetched") as caught:
        fetch(NAME, accepted=True)
    assert str(folder / "faceparsing.pth") in caught.value.remedy, "how to do it by hand"


def test_the_licence_must_be_accepted(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(CheckpointError, match="licence not accepted") as caught:
        fetch(NAME)
    assert caught.value.remedy == "run again with --accept-licence"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", lambda question: "n")
    with pytest.raises(CheckpointError, match="licence"):
        fetch(NAME)
    assert not hub.log, "nothing is asked of the hub before that"
    monkeypatch.setattr(builtins, "input", lambda question: "y")
    assert fetch(NAME).is_file()


def test_no_room(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(CheckpointError, match="1,048,576 bytes"):
        fetch(NAME, accepted=True)
    assert not gets(hub)


def test_a_folder_that_cannot_be(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("in the way")
    with pytest.raises(CheckpointError) as caught:
        fetch(NAME, accepted=True)
    assert "STYLEGANEX_WEIGHTS" in caught.value.remedy


def test_unknown_names(folder: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        fetch("styleganex_toonify_cartoons")
    assert "styleganex_toonify_cartoon" in caught.value.remedy


def test_without_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return plain(name, *rest, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CheckpointError, match="huggingface_hub") as caught:
        fetch(NAME, accepted=True)
    assert "requirements-hub.txt" in caught.value.remedy


def test_the_published_file_is_the_one_that_is_asked_for() -> None:
    entry = published(NAME)
    assert entry is not None
    assert f"{entry.repository}/{entry.file}" == FILE
