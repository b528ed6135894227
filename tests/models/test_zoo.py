"""The zoo: the table of files, which model answers a task, digests, exchanged generators."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import zoo
from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.errors import CheckpointError
from models.inventory import listing, verify
from models.lockfile import LOCK_NAME, Lockfile, read_sha256, sha256_of
from models.official import to_official
from models.registry import ANSWERS, PUBLISHED, USER_SUPPLIED, can_answer, published
from models.styleganex import StyleGANEX
from models.zoo import find_model, load_generator_into, load_model, model_sha256
from tests.golden.make_model_goldens import fill, normal

TINY = SIZES["tiny"]
BARE = replace(TINY, num_skips=0, has_encoder=False, has_feature=False)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("STYLEGANEX_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of models/weights/, empty."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    monkeypatch.setattr(zoo, "WEIGHTS", folder)
    return folder


def save(folder: Path, name: str, task: str = "", net: StyleGANEX | None = None) -> Path:
    path = folder / f"{name}.safetensors"
    save_checkpoint(net or StyleGANEX(TINY), path, {"task": task} if task else {})
    return path


def test_the_table_is_whole() -> None:
    assert len(PUBLISHED) == 12
    assert len({entry.name for entry in PUBLISHED}) == 12
    for entry in PUBLISHED:
        assert entry.purpose
        assert "non-commercial" in entry.licence
        assert entry.local.startswith(f"{entry.name}.")
        if entry.kind == "network":
            assert entry.task in ANSWERS
            assert entry.size is not None
            assert 1.2e9 <= entry.size <= 1.5e9
    assert {entry.task for entry in PUBLISHED} >= {"toonify", "edit", "super_resolution", "sketch_to_face", "inversion"}
    assert [kind.kind for kind in USER_SUPPLIED][:2] == ["pSp checkpoint (.pt)", "StyleGAN2 generator (.pt)"]
    assert published("nothing") is None


def test_what_answers_what() -> None:
    assert can_answer("", "edit"), "nothing is known of it"
    assert can_answer("toonify", "toonify")
    assert not can_answer("toonify", "edit")
    assert can_answer("inversion", "edit")
    assert can_answer("toonify, edit", "edit")
    assert can_answer("a task of tomorrow", "a task of tomorrow")
    assert not can_answer("a task of tomorrow", "edit")


def test_names_paths_and_defaults(weights: Path, embedded: Path, tmp_path: Path) -> None:
    small = save(embedded, "lite_toon", "toonify")
    assert find_model(None, ("styleganex_toonify_cartoon", "lite_toon"), "toonify") == small
    fetched = weights / "styleganex_toonify_cartoon.pt"
    fetched.touch()
    assert find_model(None, ("styleganex_toonify_cartoon", "lite_toon"), "toonify") == fetched
    converted = save(weights, "styleganex_toonify_cartoon", "toonify")
    assert find_model("styleganex_toonify_cartoon") == converted
    assert find_model("lite_toon", task="toonify") == small
    own = save(tmp_path, "own")
    assert find_model(str(own), task="edit") == own, "nothing tells that it cannot"
    (weights / "faceparsing.pth").touch()
    assert find_model("faceparsing").name == "faceparsing.pth"


def test_a_model_is_found_by_what_its_file_says(weights: Path, embedded: Path) -> None:
    save(embedded, "a", "toonify")
    second = save(embedded, "b", "edit, inversion")
    save(embedded, "c")
    (embedded / "broken.safetensors").write_bytes(b"broken")
    assert find_model(None, ("styleganex_inversion",), "inversion") == second
    with pytest.raises(CheckpointError, match="no model for mask_to_face is here") as caught:
        find_model(None, ("styleganex_mask2face",), "mask_to_face")
    assert "models fetch styleganex_mask2face" in caught.value.remedy
    with pytest.raises(CheckpointError, match="is here") as caught:
        find_model(None, ("mine",), "sample")
    assert "--model" in caught.value.remedy


def test_a_model_of_another_task_is_refused(weights: Path, embedded: Path, tmp_path: Path) -> None:
    save(embedded, "lite_toon", "toonify")
    save(embedded, "lite_edit", "edit")
    with pytest.raises(CheckpointError, match="model lite_toon cannot do edit: it was made for toonify") as caught:
        find_model("lite_toon", ("styleganex_edit_age",), "edit")
    assert "lite_edit, styleganex_edit_age, styleganex_edit_hair" in caught.value.remedy
    (weights / "styleganex_sr.pt").touch()
    with pytest.raises(CheckpointError, match="cannot do toonify: it was made for super_resolution"):
        find_model("styleganex_sr", task="toonify")
    assert find_model("lite_toon", ("lite_toon",), "edit"), "a task that names it knows better"
    opts = {"output_size": 256, "use_skip": True, "skip_max_layer": 6, "dataset_type": "ffhq_sketch_to_face"}
    net = fill(StyleGANEX(TINY))
    content = {"state_dict": to_official(net.state_dict()), "opts": opts, "latent_avg": net.latent_avg}
    torch.save(content, tmp_path / "someones.pt")
    with pytest.raises(CheckpointError, match="model someones cannot do edit: it was made for sketch_to_face"):
        load_model(str(tmp_path / "someones.pt"), (), "cpu", "edit")


@pytest.mark.parametrize("wanted", ["styleganex_edit_age", "none.pt", "nobody", "a/b"])
def test_what_is_not_there(weights: Path, wanted: str) -> None:
    with pytest.raises(CheckpointError, match=wanted) as caught:
        find_model(wanted)
    assert ("models fetch" if published(wanted) else "models list") in caught.value.remedy


def test_the_digest_without_the_network(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(weights, "mine", "toonify", fill(StyleGANEX(TINY)))
    model = load_model("mine", (), "cpu", "toonify")
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not any(parameter.requires_grad for parameter in model.net.parameters())
    monkeypatch.setattr(zoo, "load_checkpoint", None)
    assert model_sha256("mine", (), "toonify") == model.sha256
    save(weights, "mine", "toonify", StyleGANEX(TINY))
    assert model_sha256("mine") == read_sha256(path) != model.sha256


def test_recorded_files_are_hashed_once_and_then_trusted_by_size_and_time(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = weights / "a.pt", Lockfile(weights)
    path.write_bytes(b"one")
    lock.add(path, read_sha256(path), "somewhere")
    stat = path.stat()
    with monkeypatch.context() as patch:
        patch.setattr("models.lockfile.read_sha256", None)
        assert lock.check(path) == hashlib.sha256(b"one").hexdigest()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10))
    assert lock.check(path) == hashlib.sha256(b"one").hexdigest(), "touched, not changed"
    assert lock.records()["a.pt"].mtime_ns == stat.st_mtime_ns + 10
    assert lock.records()["a.pt"].source == "somewhere"
    path.write_bytes(b"two")
    with pytest.raises(CheckpointError, match="not the file that was fetched") as caught:
        lock.check(path)
    assert LOCK_NAME in caught.value.remedy
    with pytest.raises(CheckpointError, match="not the file that was fetched"):
        load_model("a", (), "cpu")
    with pytest.raises(CheckpointError, match="not the file that was fetched"):
        load_checkpoint(path)
    path.write_bytes(b"six")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10))
    assert lock.verify(path) is False, "verify is not fooled by a time that was set back"
    assert lock.verify(weights / "b.pt") is None
    other = weights.parent / "a.pt"
    other.write_bytes(b"two")
    assert lock.check(other) == sha256_of(other), "a file elsewhere that bears the same name has no record"


def test_the_lock_file_keeps_every_record(weights: Path) -> None:
    lock = Lockfile(weights)
    for name in ("b.pt", "a.pt", "b.pt"):
        (weights / name).write_text(name)
        lock.add(weights / name, name * 10)
    assert list(lock.records()) == ["a.pt", "b.pt"]
    assert lock.records()["b.pt"].sha256 == "b.pt" * 10


def test_inventory(weights: Path) -> None:
    save(weights, "mine", "edit")
    (weights / "gone.pt").write_text("x")
    Lockfile(weights).add(weights / "gone.pt", "0")
    (weights / "gone.pt").unlink()
    found = {line.name: line for line in listing()}
    assert found["lite_toon"].task == "toonify"
    assert (found["mine"].where, found["mine"].task) == ("here", "edit")
    assert found["styleganex_edit_age"].where == "not here"
    verdicts = {line.name: line.verdict for line in verify()}
    assert verdicts["mine.safetensors"] == "not recorded"
    assert verdicts["gone.pt"] == "missing"
    assert verdicts["lite_toon.safetensors"] == "ok"


def test_another_generator_in_the_same_network(weights: Path, tmp_path: Path) -> None:
    net = fill(StyleGANEX(TINY))
    toon = fill(StyleGANEX(BARE))
    with torch.no_grad():
        for parameter in toon.generator.parameters():
            parameter.mul_(1.25)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = {key.removeprefix("decoder."): value for key, value in to_official(toon.state_dict()).items()}
    torch.save({"g_ema": state}, tmp_path / "toon.pt")
    assert load_generator_into(net, tmp_path / "toon.pt") is net
    assert all(
        torch.equal(value, net.generator.state_dict()[key]) for key, value in toon.generator.state_dict().items()
    )
    kept = {key: value for key, value in net.state_dict().items() if not key.startswith("generator.")}
    assert all(torch.equal(value, before[key]) for key, value in kept.items())
    with torch.inference_mode():
        wplus = normal("w", (1, 14, 16))
        latent = net.invert(torch.zeros(1, 3, 16, 16))
        latent = latent._replace(wplus=wplus, skips=())
        drawn = net.synthesize(latent)
        torch.testing.assert_close(drawn, toon.synthesize(latent))
    save(weights, "whole", net=fill(StyleGANEX(TINY)))
    load_generator_into(net, "whole")
    with torch.inference_mode():
        assert (net.synthesize(latent) - drawn).abs().max() > 0.05
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resolution": 128, "generator_channels": (12, 12, 12, 12, 8, 8)}, "resolution 128 instead of 256"),
        ({"generator_channels": (12, 12, 12, 12, 8, 8, 7)}, "generator_channels"),
        ({"style_dim": 8}, "style_dim 8 instead of 16"),
        ({"mapping_layers": 3}, "mapping_layers 3 instead of 2"),
    ],
)
def test_a_generator_that_does_not_fit(tmp_path: Path, change: dict[str, object], words: str) -> None:
    net = fill(StyleGANEX(TINY))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    path = save(tmp_path, "other", net=StyleGANEX(replace(BARE, **change)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(CheckpointError, match=words) as caught:
        load_generator_into(net, path)
    assert str(path) in caught.value.what
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
