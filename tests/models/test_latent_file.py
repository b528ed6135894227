"""Latent files: what goes in comes out, lazily; what is wrong is said."""

from __future__ import annotations

import hashlib
import json
import pickle
import weakref
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.config import SIZES
from models.errors import LatentError
from models.latent import Latent
from models.latent_file import (
    FaceLatent,
    LatentFile,
    LatentFrame,
    LatentInfo,
    LatentWriter,
    load_latents,
    load_wplus,
    save_latents,
)

TINY = SIZES["tiny"]
L, D = TINY.num_styles, TINY.style_dim
INFO = LatentInfo(
    model="tiny", model_sha256="ab" * 32, time_base=Fraction(1, 24000), source={"path": "a.mp4", "sha256": "cd"}
)


def face(number: int, size: int = 4) -> FaceLatent:
    generator = torch.Generator().manual_seed(number)
    latent = Latent(
        torch.randn(1, L, D, generator=generator),
        torch.randn(1, 12, size, size + 1, generator=generator),
        tuple(torch.randn(1, c, size, size + 1, generator=generator) for c in TINY.skip_channels),
        torch.randn(1, 3, size, size + 1, generator=generator).half(),
    )
    noise = tuple(torch.randn(1, 1, size, size, generator=generator) for _ in range(TINY.num_noises))
    geometry = {"window": np.array([0.1, -3.25, number / 7]), "size": np.array([64, 48, 1])}
    return FaceLatent(latent, noise, 7 + number, geometry)


def clip(count: int = 5) -> list[LatentFrame]:
    """Frames 10, 11, …; frame 12 has no face, frame 13 two, of another size."""
    faces = {2: (), 3: (face(30, 6), face(31, 6))}
    return [LatentFrame(10 + i, 1001 * i, faces.get(i, (face(i),)), i // 3) for i in range(count)]


def same_face(a: FaceLatent, b: FaceLatent) -> bool:
    tensors = [
        [f.latent.wplus, f.latent.feature, f.latent.feature_rgb, *f.latent.skips, *(f.noise or ())] for f in (a, b)
    ]
    return (
        a.track_id == b.track_id
        and all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(*tensors, strict=True))
        and sorted(a.geometry) == sorted(b.geometry)
        and all(np.array_equal(a.geometry[k], b.geometry[k]) for k in a.geometry)
    )


@pytest.fixture
def path(tmp_path):
    save_latents(tmp_path / "a.safetensors", clip(), INFO, keep=("feature", "skips", "noise"))
    return tmp_path / "a.safetensors"


def test_every_bit_comes_back(path):
    with load_latents(path, TINY) as latents:
        assert isinstance(latents, LatentFile)
        assert latents.info == INFO
        assert len(latents) == 5
        for before, after in zip(clip(), latents, strict=True):
            assert before[:2] == after[:2]
            assert before.shot == after.shot
            assert len(before.faces) == len(after.faces)
            assert all(same_face(a, b) for a, b in zip(before.faces, after.faces, strict=True))
        assert same_face(latents.frame(13).faces[1], face(31, 6))
        assert latents.frame(12).faces == ()
    assert load_wplus(path, TINY).shape == (5, L, D)


def test_the_library_reads_it_and_every_tensor_is_aligned(path):
    tensors = load_file(path)
    assert tensors["wplus"].shape == (5, L, D)
    assert tensors["frame.pts"].tolist() == [0, 1001, 2002, 3003, 4004]
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    widths = {"F64": 8, "I64": 8, "F32": 4, "F16": 2}
    entries = [entry for key, entry in header.items() if key != "__metadata__"]
    assert len(entries) == len(tensors)
    assert all((8 + length + e["data_offsets"][0]) % widths[e["dtype"]] == 0 for e in entries)


def test_only_what_was_asked_for_is_kept(tmp_path):
    save_latents(tmp_path / "w.safetensors", clip(), INFO)
    with load_latents(tmp_path / "w.safetensors") as latents:
        got = latents.frame(10).faces[0]
        assert torch.equal(got.latent.wplus, face(0).latent.wplus)
        assert got.latent.feature is None
        assert got.latent.feature_rgb is None
        assert got.latent.skips == ()
        assert got.noise is None
    with pytest.raises(LatentError, match="no such part: features"):
        save_latents(tmp_path / "w.safetensors", clip(), INFO, keep=("features",))


def test_the_same_latents_give_the_same_bytes(tmp_path, path):
    save_latents(tmp_path / "b.safetensors", clip(), INFO, keep=("noise", "skips", "feature"))
    digests = {hashlib.sha256(p.read_bytes()).digest() for p in (path, tmp_path / "b.safetensors")}
    assert len(digests) == 1


def test_nothing_is_left_of_a_recording_that_broke_off(tmp_path):
    target = tmp_path / "a.safetensors"

    def broken():
        yield clip()[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        save_latents(target, broken(), INFO)
    assert list(tmp_path.iterdir()) == []
    save_latents(target, clip(), INFO)
    kept = target.read_bytes()
    with pytest.raises(RuntimeError):
        save_latents(target, broken(), INFO)
    assert target.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [target]


def test_frames_are_not_held(tmp_path):
    born: list[weakref.ref] = []
    most = 0

    def watched(frame: LatentFrame) -> LatentFrame:
        nonlocal most
        born.extend(weakref.ref(f.latent.wplus) for f in frame.faces)
        most = max(most, sum(ref() is not None for ref in born))
        return frame

    frames = (watched(LatentFrame(i, i, (face(i % 3),))) for i in range(60))
    save_latents(tmp_path / "a.safetensors", frames, INFO, keep=("feature", "noise"))
    with load_latents(tmp_path / "a.safetensors") as latents:
        assert sum(len(watched(frame).faces) for frame in latents) == 60
    assert len(born) == 120
    assert most <= 3


def test_writer_refuses_what_cannot_be_read_back(tmp_path):
    first, second = clip(2)
    with pytest.raises(ValueError, match="frame 10 after frame 10"):
        save_latents(tmp_path / "a.safetensors", [first, first], INFO)
    other = second.faces[0]._replace(geometry={"window": np.zeros(3)})
    with pytest.raises(ValueError, match=r"geometry\.size: 1 of 2 faces"):
        save_latents(tmp_path / "a.safetensors", [first, second._replace(faces=(other,))], INFO)
    wide = second.faces[0]._replace(latent=Latent(torch.zeros(1, L, D + 1)))
    with pytest.raises(ValueError, match="wplus"):
        save_latents(tmp_path / "a.safetensors", [first, second._replace(faces=(wide,))], INFO)
    for bad in ("a.npz", "nowhere/a.safetensors"):
        with pytest.raises(LatentError, match="cannot be written"):
            LatentWriter(tmp_path / bad, INFO)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_becomes_frames(tmp_path):
    wplus = torch.randn(3, L, D)
    save_latents(tmp_path / "a.safetensors", wplus)
    with load_latents(tmp_path / "a.safetensors", TINY) as latents:
        assert [frame.index for frame in latents] == [0, 1, 2]
    assert torch.equal(load_wplus(tmp_path / "a.safetensors", TINY), wplus)


def test_no_frame_and_no_face(tmp_path):
    save_latents(tmp_path / "none.safetensors", [], INFO)
    with load_latents(tmp_path / "none.safetensors", TINY) as latents:
        assert list(latents) == []
        with pytest.raises(LatentError, match="holds no frame"):
            latents.frame(0)
    with pytest.raises(LatentError, match="no face in any"):
        load_wplus(tmp_path / "none.safetensors", TINY)


def test_missing_frames_and_other_models(path):
    with load_latents(path) as latents:
        for index in (9, 15):
            with pytest.raises(LatentError, match="frames 10 to 14") as error:
                latents.frame(index)
            assert "--start" in error.value.remedy
    with pytest.raises(LatentError, match=rf"\[{L}, {D}\] \(model tiny\), this model needs \[18, 512\]"):
        load_latents(path, SIZES["full"])
    with pytest.raises(LatentError, match=r"first-layer feature and skip features in it .* not those of this model"):
        load_latents(path, replace(TINY, generator_channels=(10, *TINY.generator_channels[1:]), num_skips=3))


def test_damage_is_said(tmp_path, path):
    whole = path.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.safetensors").write_bytes(b"not a latent file at all")
    for name in ("cut", "text"):
        with pytest.raises(LatentError, match="not a readable latent file"):
            load_latents(tmp_path / f"{name}.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    cases = {
        "version 9": (tensors, metadata | {"version": "9"}),
        "description is damaged": (tensors, metadata | {"info": '{"model": 1}'}),
        "wplus: 4 of 5 faces": (tensors | {"wplus": tensors["wplus"][:4].clone()}, metadata),
        "table of frames": (tensors | {"frame.index": tensors["frame.index"].flip(0).clone()}, metadata),
        "geometry.size: 6 of 5": (tensors | {"geometry.size": torch.zeros(6, 3)}, metadata),
    }
    for message, (content, text) in cases.items():
        save_file(content, tmp_path / "b.safetensors", metadata=text)
        with pytest.raises(LatentError, match=message) as error:
            load_latents(tmp_path / "b.safetensors")
        assert error.value.remedy


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".safetensors"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_bare_wplus(tmp_path, suffix, count):
    wplus = torch.randn(max(count, 1), L, D)
    shaped = wplus if count else wplus[0]
    target = tmp_path / f"w{suffix}"
    match suffix:
        case ".pt":
            torch.save(shaped, target)
        case ".npy":
            np.save(target, shaped.numpy())
        case _:
            save_file({"anything": shaped}, target)
    with load_latents(target, TINY) as latents:
        assert latents.every_face
        assert torch.equal(latents.frame(2).faces[0].latent.wplus, wplus[-1:])
        if count == 3:
            with pytest.raises(LatentError, match="holds 3, for frames 0 to 2"):
                latents.frame(3)
        else:
            assert torch.equal(latents.frame(999).faces[0].latent.wplus, wplus)
    assert torch.equal(load_wplus(target, TINY), wplus)
    with pytest.raises(LatentError, match="this model needs"):
        load_latents(target, SIZES["full"])


class Hostile:
    def __reduce__(self):
        return (print, ("executed",))


def test_bare_files_that_are_no_latents(tmp_path, capsys):
    torch.save({"a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "two.pt")
    torch.save(torch.zeros(5), tmp_path / "flat.pt")
    torch.save(torch.full((1, L, D), float("nan")), tmp_path / "nan.pt")
    torch.save(["text"], tmp_path / "list.pt")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "hostile.pt").write_bytes(pickle.dumps(Hostile()))
    cases = {
        "two.pt": "none called wplus",
        "flat.pt": "shape",
        "nan.pt": "not numbers",
        "list.pt": "a list",
        "bad.npy": "not a readable",
        "hostile.pt": "nothing of",
        "missing.pt": "no such file",
        "missing.safetensors": "no such file",
        "a.mp4": "not a latent file",
    }
    for name, message in cases.items():
        with pytest.raises(LatentError, match=message):
            load_latents(tmp_path / name, TINY)
    assert "executed" not in capsys.readouterr().out
