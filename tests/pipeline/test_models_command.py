"""`models …` and `--model` on the command line, and that looking at finished work loads no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.lockfile import LOCK_NAME
from models.official import to_official
from models.styleganex import StyleGANEX
from run_pipeline import run
from tests.golden.make_model_goldens import fill
from tests.models.hub import Hub, serve
from tests.pipeline.tiny import tiny_net

CARTOON = "styleganex_toonify_cartoon"
REPOSITORY = "PKUWilliamYang/StyleGANEX/pretrained_models"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def hub(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    path = tmp_path / "published.pt"
    torch.save(official() | {"discriminator": torch.zeros(200_000)}, path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serve(Hub({f"{REPOSITORY}/{CARTOON}.pt": path.read_bytes()})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def official() -> dict[str, Any]:
    """A small file in the published layout."""
    net = fill(StyleGANEX(replace(SIZES["tiny"])))
    opts = {"output_size": 256, "use_skip": True, "skip_max_layer": 6, "dataset_type": "toonify"}
    return {"state_dict": to_official(net.state_dict()), "opts": opts, "latent_avg": net.latent_avg}


def refused(capsys: pytest.CaptureFixture, *argv: object) -> tuple[str, str]:
    """Run a command that must be refused; (error line, hint line)."""
    assert run([str(word) for word in argv]) == 2
    error, hint = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    return error, hint


def test_list_says_what_there_is_and_what_each_is_for(weights: Path, capsys: pytest.CaptureFixture) -> None:
    net = tiny_net("edit")
    save_checkpoint(net, weights / "mine.safetensors", {**net.metadata, "licence": "CC0-1.0\x1b[2J"})
    (weights / "broken.safetensors").write_bytes(b"no")
    (weights / f"{CARTOON}.pt").write_bytes(b"x" * 1_500_000)
    assert run(["models", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "embedded" in lines["lite_toon"]
    assert "edit" in lines["mine"]
    assert "directions age,smile" in lines["mine"]
    assert "CC0-1.0?[2J" in lines["mine"], "no escape sequence reaches the terminal"
    assert "cannot be read" in lines["broken"]
    assert " here " in lines[CARTOON]
    assert "1.5 MB" in lines[CARTOON]
    assert "not here" in lines["styleganex_sr32"]
    assert "≈ 1.41 GB" in lines["styleganex_sr32"]
    assert "non-commercial" in lines["direction_dics"]
    assert run(["models", "list", "--json"]) == 0
    listed = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert listed["styleganex_edit_age"]["size"] == 1_480_000_000
    assert listed["styleganex_edit_age"]["file"] == "pretrained_models/styleganex_edit_age.pt"
    assert listed["faceparsing"]["repository"] == "PKUWilliamYang/VToonify"
    assert listed["mine"]["directions"] == "age,smile"


def test_fetch_verify_change_verify(hub: Hub, weights: Path, capsys: pytest.CaptureFixture) -> None:
    error, hint = refused(capsys, "models", "fetch", CARTOON)
    assert "licence not accepted" in error
    assert "--accept-licence" in hint
    assert run(["models", "fetch", CARTOON, "--accept-licence"]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(weights / f"{CARTOON}.pt")
    assert "S-Lab" in printed.err
    (weights / "other.npy").write_bytes(b"not a model")
    (weights / "stranger.pt").write_bytes(b"?")
    assert run(["models", "verify"]) == 0
    out = capsys.readouterr().out
    assert f"{CARTOON}.pt" in out
    assert "not recorded" in out
    assert run(["models", "verify", "--record"]) == 0
    assert "stranger.pt" in json.loads((weights / LOCK_NAME).read_text())["files"]
    capsys.readouterr()
    data = bytearray((weights / f"{CARTOON}.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (weights / f"{CARTOON}.pt").write_bytes(bytes(data))
    assert run(["models", "verify"]) == 1
    assert "changed" in next(line for line in capsys.readouterr().out.splitlines() if CARTOON in line)


def test_fetch_as_safetensors_strips_the_training_state(hub: Hub, weights: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["models", "fetch", CARTOON, "--accept-licence", "--safetensors"]) == 0
    path = weights / f"{CARTOON}.safetensors"
    assert [each.name for each in weights.glob("styleganex*")] == [path.name]
    assert path.stat().st_size < len(hub.files[f"{REPOSITORY}/{CARTOON}.pt"]) - 700_000
    net = load_checkpoint(path)
    assert {key: net.metadata[key] for key in ("task", "style")} == {"task": "toonify", "style": "cartoon"}
    assert "non-commercial" in net.metadata["licence"]
    assert len(net.metadata["source_sha256"]) == 64
    requests = len(hub.log)
    assert run(["models", "fetch", CARTOON]) == 0
    assert len(hub.log) == requests
    assert run(["models", "verify"]) == 0
    assert "missing" not in capsys.readouterr().out


def test_convert(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save(official(), tmp_path / "a.pt")
    assert run(["models", "convert", "a.pt", "a.safetensors"]) == 0
    assert run(["models", "convert", "a.pt", "b.safetensors"]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert load_checkpoint(tmp_path / "a.safetensors").metadata["source"] == "a.pt"
    refused(capsys, "models", "convert", "a.pt", "a.bin")
    error, _ = refused(capsys, "models", "convert", "none.pt", "c.safetensors")
    assert "none.pt" in error
    (tmp_path / "cut.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:9999])
    refused(capsys, "models", "convert", "cut.pt", "c.safetensors")
    assert not list(tmp_path.glob("c.*"))


def test_a_lock_file_that_cannot_be_read(weights: Path, capsys: pytest.CaptureFixture) -> None:
    for text in ("{", "[]", '{"files": {"a": {"sha": 1}}}'):
        (weights / LOCK_NAME).write_text(text)
        error, hint = refused(capsys, "models", "verify")
        assert LOCK_NAME in error
        assert "verify --record" in hint


def test_resume_and_batch_status_load_no_network(
    sample_clip: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "jobs.yaml").write_text(
        f"output: '{{stem}}_out.mp4'\ndefaults: {{read: {{end: 1}}}}\njobs: [{{input: '{sample_clip}'}}]\n"
    )
    output = sample_clip.stem + "_out.mp4"
    assert run([str(sample_clip), "-o", output, "--end", "1", "--quiet"]) == 0

    def loads(*words: object, **more: object) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("models.zoo.load_checkpoint", loads)
    assert run([str(sample_clip), "-o", output, "--end", "1", "--resume"]) == 0
    capsys.readouterr()
    assert run(["batch", "status", "jobs.yaml"]) == 0
    assert "done" in capsys.readouterr().out
    (weights / f"{CARTOON}.pt").write_bytes(b"a better model has come")
    assert run(["batch", "status", "jobs.yaml"]) == 0
    assert "changed" in capsys.readouterr().out
