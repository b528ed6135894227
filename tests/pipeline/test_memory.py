"""--memory: from the command line to the tiles, and what too little looks like."""

import numpy as np
import pytest
import torch

from models.memory import held_memory
from pipeline.config import load_config
from run_pipeline import run
from tests.pipeline.tiny import drawing, rendered, tiny_model, write_png

TASK = ("--task", "sketch_to_face", "--model")


def test_sizes_are_read_as_people_write_them():
    assert load_config(None).memory is None
    assert load_config(None, {"memory": "6GiB"}).memory == 6 << 30
    assert load_config(None, {"memory": 12345}).memory == 12345


@pytest.mark.usefixtures("one_thread")
def test_a_budget_changes_no_visible_level(tmp_path, monkeypatch, caplog, capsys):
    model = tiny_model(tmp_path, "sketch_to_face")
    source = write_png(tmp_path / "lines.png", drawing(256))
    (whole,) = rendered(source, tmp_path / "whole.png", *TASK, model)
    # As a process that holds next to nothing: then the limit is the tile's.
    monkeypatch.setattr("models.budget.held_memory", lambda device: 0)
    caplog.set_level("INFO", "models.budget")
    (tiled,) = rendered(source, tmp_path / "tiled.png", *TASK, model, "--memory", "5MiB")
    assert "are drawn in tiles of" in capsys.readouterr().err
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert (tiled != whole).mean() < 1e-3


def test_too_little_is_said_in_two_lines(tmp_path, capsys):
    model = tiny_model(tmp_path, "sketch_to_face")
    source = write_png(tmp_path / "lines.png", drawing(256))
    assert held_memory(torch.device("cpu")) > 1 << 20
    words = [str(source), "-o", str(tmp_path / "out.png"), *TASK, str(model), "--memory", "1MiB", "--quiet"]
    assert run(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2
    assert "not enough memory for the smallest tile" in said[0]
    assert "--memory" in said[1]
    assert not (tmp_path / "out.png").exists()
