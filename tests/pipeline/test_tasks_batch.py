"""Different tasks in one batch, and what counts as changed: every file that a task names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from models.checkpoint import save_checkpoint
from models.latent_file import load_latents
from pipeline import batch
from run_pipeline import run
from tests.pipeline.tiny import drawing, read_png, rendered, tiny_model, tiny_net, write_png

TASKS = {
    "toonify": {},
    "plain_edit": {"kind": "edit", "direction": "push.npy", "strength": 0.5},
    "super_resolution": {"factor": 8},
    "inversion": {"optimize": {"steps": 2}},
    "sketch_to_face": {},
}


@pytest.fixture
def file(tmp_path, portrait, monkeypatch):
    """A batch with five tasks; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "face.png", np.ascontiguousarray(portrait[20:212, 144:304]))
    write_png(tmp_path / "drawing.png", drawing())
    np.save(tmp_path / "push.npy", np.ones(16, np.float32))
    jobs = [
        {
            "input": "drawing.png" if kind == "sketch_to_face" else "face.png",
            "model": str(tiny_model(tmp_path, kind)),
            "task": {"kind": kind} | settings,
        }
        for kind, settings in TASKS.items()
    ]
    jobs[3]["latents"] = {"save": "{stem}_{task}.safetensors"}
    defaults = {"crop": {"eye_distance_px": 32}, "report": {"preview_frames": 0}}
    path = tmp_path / "jobs.yaml"
    path.write_text(yaml.safe_dump({"defaults": defaults, "output": "out/{stem}_{task}.png", "jobs": jobs}))
    return path


def test_different_tasks_in_one_file(file, tmp_path, capsys):
    assert run(["batch", "jobs.yaml", "--check", "--quiet"]) == 0
    assert not (tmp_path / "out").exists()
    assert run(["batch", "jobs.yaml", "--quiet"]) == 0
    outputs = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    names = ["drawing_sketch_to_face", *(f"face_{t}" for t in ("edit", "inversion", "super_resolution", "toonify"))]
    assert outputs == [f"{name}.png" for name in names]
    words = ("--task", "edit", "--model", "tiny_plain_edit.safetensors", "--set", "crop.eye_distance_px=32")
    alone = rendered(
        tmp_path / "face.png", tmp_path / "alone.png", *words, "--direction", "push.npy", "--strength", "0.5"
    )
    assert np.array_equal(read_png(tmp_path / "out" / "face_edit.png"), alone[0])
    with load_latents(tmp_path / "face_inversion.safetensors") as latents:
        assert len(latents) == 1


def test_a_file_that_a_task_names_decides_too(file, tmp_path):
    assert run(["batch", "jobs.yaml", "--quiet"]) == 0

    def states():
        return [result.status for result in batch.status(batch.load_batch(file))]

    assert states() == ["done"] * 5
    np.save(tmp_path / "push.npy", np.full(16, 2, np.float32))
    assert states() == ["done", "changed", "done", "done", "done"]
    (tmp_path / "push.npy").unlink()
    (tmp_path / "face_inversion.safetensors").unlink()
    assert states() == ["done", "changed", "done", "changed", "done"]


@pytest.mark.parametrize("option", ["--generator", "--original", "--latent"])
def test_resume_sees_other_generators_and_latents(file, tmp_path, option):
    other = tmp_path / "other.safetensors"
    if option == "--latent":
        np.save(tmp_path / "w.npy", np.zeros((14, 16), np.float32))
        other = tmp_path / "w.npy"
    else:
        save_checkpoint(tiny_net("sample"), other)
    model = ["--model", "tiny_toonify.safetensors", "--set", "report.preview_frames=0"]
    words = ["--task", "toonify", "face.png", "-o", "out.png", "--quiet", "--resume", option, str(other), *model]
    words += ["--strength", "0.5"] if option == "--original" else []
    made = tmp_path / "out.png.report.json"
    assert run(words) == 0
    first = json.loads(made.read_text())
    written = made.stat().st_mtime_ns
    assert run(words) == 0
    assert made.stat().st_mtime_ns == written
    if option == "--latent":
        np.save(other, np.ones((14, 16), np.float32))
    else:
        net = tiny_net("sample")
        with torch.no_grad():
            net.generator.constant.add_(0.5)
            net.generator.conv1.conv.weight.mul_(1.5).add_(0.1)
        save_checkpoint(net, other)
    assert run([*words, "--overwrite"]) == 0
    assert json.loads(made.read_text())["fingerprint"] != first["fingerprint"]


def test_two_jobs_cannot_save_into_one_file(file):
    data = yaml.safe_load(file.read_text())
    data["defaults"]["latents"] = {"save": "all.safetensors"}
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(batch.ConfigError, match=r"both write .*all\.safetensors"):
        batch.load_batch(file)
