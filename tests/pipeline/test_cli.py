"""The command line: exit statuses, two lines for every mistake, nothing left behind."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from run_pipeline import run
from tests.helpers import write_audio


def refused(capsys, *argv):
    """Run a command that must be refused; returns (error line, hint line)."""
    assert run([str(word) for word in argv]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    return lines


def test_renders_into_output_folder_by_default(here, sample_clip, capsys):
    shutil.copy(sample_clip, "clip.mp4")
    assert run(["--task", "toonify", "clip.mp4", "--end", "2"]) == 0
    assert sorted(p.name for p in (here / "output").iterdir()) == [
        "clip_toonify.mp4",
        "clip_toonify.mp4.preview.png",
        "clip_toonify.mp4.report.json",
        "clip_toonify.mp4.report.md",
    ]
    assert "demonstration model" in capsys.readouterr().err


def test_options_are_settings(here, sample_clip):
    words = ["--config", "c.yaml", "--set", "track.smooth_s=0.25", "--face", "all", "--end", "1", "--task", "none"]
    (here / "c.yaml").write_text("crop: {frame: window}")
    assert run([str(sample_clip), "-o", "x.mp4", *words, "--quiet"]) == 0
    config = json.loads((here / "x.mp4.report.json").read_text())["config"]
    assert config["track"]["smooth_s"] == 0.25
    assert config["track"]["face"] == "all"
    assert config["crop"]["frame"] == "window"
    assert config["read"]["end"] == 1


def bad_inputs(folder, clip):
    whole = clip.read_bytes()
    (folder / "text.mp4").write_text("hello " * 100)
    (folder / "zero.mp4").touch()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty").mkdir()
    write_audio(folder / "sound.mp4")
    return {
        name: folder / name for name in ("missing.mp4", "text.mp4", "zero.mp4", "truncated.mp4", "empty", "sound.mp4")
    }


def test_bad_inputs_are_named_with_a_remedy(here, sample_clip, capsys):
    for name, path in bad_inputs(here, sample_clip).items():
        error, hint = refused(capsys, path, "-o", here / "out.mp4")
        assert name in error
        assert len(hint) > len("hint: ")
        assert not [p for p in here.iterdir() if p.name.startswith(("out", ".out"))], name


def test_bad_settings_and_outputs(here, sample_clip, capsys):
    (here / "c.yaml").write_text("track: {smoth_s: 1}")
    error, hint = refused(capsys, sample_clip, "--config", "c.yaml")
    assert "c.yaml: track.smoth_s" in error
    assert "smooth_s" in hint
    refused(capsys, sample_clip, "--task", "tonify")
    refused(capsys, sample_clip, "--set", "track.smooth_s")
    refused(capsys, sample_clip, "--device", "toaster")
    (here / "file").touch()
    refused(capsys, sample_clip, "-o", here / "file" / "out.mp4")
    (here / "there.mp4").write_text("precious")
    _, hint = refused(capsys, sample_clip, "-o", here / "there.mp4")
    assert "--overwrite" in hint
    assert (here / "there.mp4").read_text() == "precious"


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def test_bad_weights(here, sample_clip, capsys):
    (here / "text.pt").write_text("not weights")
    (here / "text.safetensors").write_text("not weights")
    torch.save({"state_dict": Bomb()}, here / "bomb.pt")
    (here / "bomb2.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("text.pt", "text.safetensors", "bomb.pt", "bomb2.pt", "none.pt", "styleganex_toonify_cartoon"):
        error, _ = refused(capsys, sample_clip, "--model", name, "-o", "out.mp4")
        assert name in error
    assert not (here / "exploded").exists()
    assert not list(here.glob("out*"))


def test_no_face_with_fail(here, capsys):
    import numpy as np

    from tests.helpers import write_clip

    clip = write_clip(here / "wall.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 4)
    error, _ = refused(capsys, clip, "--no-face", "fail", "-o", "out.mp4")
    assert "face" in error
    assert not list(here.glob("*out*"))


def test_explain_and_models_list(capsys):
    assert run(["explain", "--task", "none"]) == 0
    assert "kind: none" in capsys.readouterr().out
    assert run(["explain", "--set", "analysis=x"]) == 0
    stages = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("  thread ")]
    assert stages[:3] == ["read", "replay", "crop"]
    assert run(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert "lite_toon" in listed
    assert "styleganex_toonify_cartoon" in listed
    assert run(["models", "fetch", "nothing"]) == 2


@pytest.mark.expects_error_log
def test_batch_exit_statuses(here, sample_clip, capsys):
    shutil.copy(sample_clip, "a.mp4")
    (here / "b.mp4").write_text("broken")
    (here / "jobs.yaml").write_text("defaults: {task: {kind: none}, read: {end: 2}}\njobs: [{input: '*.mp4'}]\n")
    assert run(["batch", "jobs.yaml", "--check"]) == 2
    assert run(["batch", "jobs.yaml"]) == 1
    assert "1 done, 1 failed" in capsys.readouterr().out
    (here / "b.mp4").unlink()
    assert run(["batch", "jobs.yaml", "--resume"]) == 0
    assert "1 skipped" in capsys.readouterr().out
    assert run(["batch", "status", "jobs.yaml"]) == 0


def test_ctrl_c_leaves_nothing(here, sample_clip, request):
    script = request.config.rootpath / "run_pipeline.py"
    process = subprocess.Popen(
        [sys.executable, script, sample_clip, "-o", "out.mp4"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    deadline = time.monotonic() + 60
    while not list(here.glob("*out*")) and time.monotonic() < deadline:
        time.sleep(0.05)  # until it has begun to write
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not list(here.glob("*out*"))
