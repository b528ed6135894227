"""Sets on disk: resumable, the same whatever wrote them, never half a file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")

from models.training.heads import __main__ as command
from models.training.heads import clips, dataset
from models.training.heads.dataset import Order, prepare, write_samples
from models.training.heads.errors import HeadsError


@pytest.fixture
def egg(monkeypatch, stage):
    monkeypatch.setattr(dataset, "load_human", lambda: None)
    monkeypatch.setattr(dataset, "Stage", lambda human: stage)
    monkeypatch.setattr(clips, "load_human", lambda: None)
    monkeypatch.setattr(clips, "Stage", lambda human: stage)


def read(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_a_set(tmp_path, egg):
    order = Order(tmp_path / "set", 2, seed=5, size=40, variants=2)
    prepare(order)
    written = list(write_samples(order))
    assert [path.name for path in written] == ["heads_000000.npz", "heads_000001.npz"]
    said = json.loads((order.out / "heads.json").read_text())
    with_edits, without = (read(path) for path in written)
    assert with_edits["attributes"].shape == (len(said["attributes"]),)
    assert said["attributes"][0] == "age"
    assert {name for name in with_edits if name.startswith("variant_")} == {f"variant_{v}" for v in said["variants"]}
    assert not any(name.startswith("variant_") for name in without)
    assert not list(order.out.glob("*.part"))

    times = [path.stat().st_mtime_ns for path in written]
    written[0].unlink()
    assert list(write_samples(order)) == [written[0]]
    assert written[1].stat().st_mtime_ns == times[1]
    again = read(written[0])
    assert all(np.array_equal(again[name], with_edits[name]) for name in with_edits)


def test_workers_share_a_set(tmp_path, egg):
    order = Order(tmp_path, 3, seed=5, size=32)
    prepare(order)
    names = [[path.name for path in write_samples(order, worker, 2)] for worker in (0, 1)]
    assert names == [["heads_000000.npz", "heads_000002.npz"], ["heads_000001.npz"]]


def test_another_set_in_the_folder_is_refused(tmp_path):
    prepare(Order(tmp_path, 2, seed=1, size=64))
    prepare(Order(tmp_path, 9, seed=1, size=64))  # more of the same
    with pytest.raises(HeadsError, match="another set"):
        prepare(Order(tmp_path, 2, seed=2, size=64))


def test_clips_are_written(tmp_path, egg):
    order = Order(tmp_path, 0, seed=5, size=32)
    assert [path.name for path in clips.write_clips(order, 1, 2)] == ["clip_000.npz"]
    held = read(tmp_path / "clips" / "clip_000.npz")
    assert held["frames"].shape == (2, 32, 32, 3)
    assert held["flow"].shape == (1, 32, 32, 2)
    assert list(clips.write_clips(order, 1, 2)) == []


def test_the_command(tmp_path, egg, capsys):
    assert command.main(["--out", str(tmp_path), "--count", "1", "--size", "32"]) == 0
    assert (tmp_path / "heads_000000.npz").exists()
    assert command.main(["--out", str(tmp_path), "--count", "1", "--size", "8"]) == 2
    assert "hint:" in capsys.readouterr().err


def test_processes_find_their_work(tmp_path):
    """Spawned processes do not import `__main__` again; an empty set is enough to see whether they start."""
    asked = [sys.executable, "-m", "models.training.heads", "--out", str(tmp_path), "--count", "0", "--workers", "2"]
    subprocess.run(asked, check=True, timeout=120, cwd=Path(__file__).parents[4])
    assert (tmp_path / "heads.json").exists()


def test_without_anny_the_remedy_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "anny", None)
    assert command.main(["--out", str(tmp_path), "--count", "1"]) == 2
    assert "pip install -r requirements-train.txt" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))


def test_seeds_do_not_meet(tmp_path):
    first, second = Order(tmp_path, 10, seed=1), Order(tmp_path, 10, seed=2)
    assert not {first.scene_seed(i) for i in range(10)} & {second.scene_seed(i) for i in range(10)}
