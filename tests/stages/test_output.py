"""Checks before any work, and names that appear only when the file is whole."""

from pathlib import Path

import pytest

from stages.errors import MediaError
from stages.output import check_output, default_suffix, partial_file, partial_folder


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.mp4"
    path.write_bytes(b"x")
    return path


def refused(source: Path, target: Path, overwrite=False) -> str:
    with pytest.raises(MediaError) as caught:
        check_output(source, target, overwrite)
    assert str(target.parent) in caught.value.what
    assert caught.value.remedy
    return caught.value.what


def test_what_is_refused(source, tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"y")
    (tmp_path / "link.mp4").symlink_to(source)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_bytes(b"z")
    assert "are the same" in refused(source, source, overwrite=True)
    assert "are the same" in refused(source, tmp_path / "link.mp4", overwrite=True)
    assert "exists already" in refused(source, tmp_path / "old.mp4")
    assert "cannot be written" in refused(source, tmp_path / "out.xyz")
    assert "there is a folder" in refused(source, tmp_path / "folder.mp4", overwrite=True)
    assert "there is a file" in refused(source, tmp_path / "file", overwrite=True)
    assert "cannot be written" in refused(source, tmp_path / "file" / "out.mp4")
    assert "pattern" in refused(source, tmp_path / "f.%04d.png")
    assert "the input lies in it" in refused(source, tmp_path.parent / tmp_path.name, overwrite=True)
    assert "cannot be written" in refused(source, Path("/proc/nothing/out.mp4"))


def test_what_passes_and_makes_nothing(source, tmp_path):
    deep = tmp_path / "new" / "deep" / "out.mp4"
    check_output(source, deep, overwrite=False)
    assert list(tmp_path.iterdir()) == [source]
    with partial_file(deep) as part:
        part.write_bytes(b"n")
    assert deep.read_bytes() == b"n"
    (tmp_path / "old.mp4").write_bytes(b"y")
    check_output(source, tmp_path / "old.mp4", overwrite=True)
    check_output(source, tmp_path / "frames", overwrite=False)
    assert (tmp_path / "old.mp4").read_bytes() == b"y"


def test_default_suffixes(tmp_path):
    names = {"a.mp4": ".mp4", "a.MOV": ".mov", "a.avi": ".mkv", "a.gif": ".mp4", "a.exr": ".png", "a.JPG": ".jpg"}
    assert {name: default_suffix(Path(name)) for name in names} == names
    assert default_suffix(tmp_path) == ""
    assert default_suffix(Path("shot.%04d.png")) == default_suffix(Path("shot.*.png")) == ""


def test_partial_files_and_folders(tmp_path):
    target = tmp_path / "out.bin"
    with partial_file(target) as part:
        part.write_bytes(b"new")
        assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]
    interrupted = partial_file(target)
    interrupted.__enter__().write_bytes(b"half")
    assert not interrupted.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # nothing is swallowed
    assert target.read_bytes() == b"new"
    folder = tmp_path / "frames"
    for text in ("first", "second"):
        with partial_folder(folder) as part:
            (part / text).write_text(text)
        assert [p.name for p in folder.iterdir()] == [text]
    failed = partial_folder(folder)
    (failed.__enter__() / "half").write_text("half")
    assert not failed.__exit__(RuntimeError, RuntimeError(), None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames", "out.bin"]
    assert [p.name for p in folder.iterdir()] == ["second"]
