"""Hostile .pt files, in every container that PyTorch has had: refused in plain words, and nothing of them is run."""

from __future__ import annotations

import argparse
import builtins
import functools
import io
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint
from models.errors import CheckpointError
from models.torch_file import read_torch


class Calls:
    """Unpickled, it calls a function."""

    def __init__(self, function: Callable[..., Any], *words: Any) -> None:
        self.function, self.words = function, words

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.words


class Imitates(argparse.Namespace):
    """Says that it is an allowed class, and puts the call into its state."""

    def __init__(self, bait: Calls) -> None:
        super().__init__()
        self.bait = bait

    def __reduce__(self) -> tuple[Any, ...]:
        return argparse.Namespace, (), {"output_size": 1024, "bait": self.bait}


def legacy_tar(path: Path, bait: Calls) -> None:
    """The container of PyTorch 0.1."""
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(bait, protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def scripted(path: Path, bait: Calls) -> None:
    """A TorchScript archive: it has a constants.pkl, and code of its own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(bait, protocol=2))
        archive.writestr("a/constants.pkl", pickle.dumps(bait, protocol=2))
        archive.writestr("a/code/__torch__.py", "import os\nos.mkdir('it_ran')\n")
        archive.writestr("a/version", "3\n")


def saved(content: Callable[[Calls], Any], **options: Any) -> Callable[[Path, Calls], None]:
    return lambda path, bait: torch.save(content(bait), path, **options)


def raw(data: Callable[[Calls], bytes]) -> Callable[[Path, Calls], None]:
    def write(path: Path, bait: Calls) -> None:
        path.write_bytes(data(bait))

    return write


FORMS: dict[str, Callable[[Path, Calls], None]] = {
    "alone": saved(lambda bait: bait),
    "in opts": saved(lambda bait: {"state_dict": {}, "opts": {"note": [bait]}}),
    "in a namespace": saved(lambda bait: {"state_dict": {}, "opts": Imitates(bait)}),
    "among tensors": saved(lambda bait: {"g_ema": OrderedDict(a=torch.ones(1), b=bait)}),
    "as a key": saved(lambda bait: {bait: 1}),
    "behind a partial": saved(lambda bait: {"opts": functools.partial(bait.function, *bait.words)}),
    "in an array of objects": saved(lambda bait: {"latent_avg": np.array([bait], dtype=object)}),
    "legacy": saved(lambda bait: {"opts": bait}, _use_new_zipfile_serialization=False),
    "protocol 4": saved(lambda bait: bait, pickle_protocol=4),
    "tar": legacy_tar,
    "script": scripted,
    "pickle": raw(lambda bait: pickle.dumps(bait, protocol=2)),
    "pickle 5": raw(lambda bait: pickle.dumps(bait, protocol=5)),
    "text pickle": raw(lambda bait: f"cposix\nmkdir\n(S'{bait.words[0]}'\ntR.".encode()),
    "instance": raw(lambda bait: f"(S'{bait.words[0]}'\niposix\nmkdir\n.".encode()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arrays", [False, True])
def test_a_call_in_any_container_is_not_made(tmp_path: Path, form: str, arrays: bool) -> None:
    path, trace = tmp_path / "hostile.pt", tmp_path / "it_ran"
    FORMS[form](path, Calls(os.mkdir, str(trace)))
    for read in (lambda: read_torch(path, arrays=arrays), lambda: load_checkpoint(path)):
        with pytest.raises(CheckpointError) as caught:
            read()
        assert str(path) in caught.value.what
        assert "\n" not in str(caught.value)
        assert not trace.exists()


def test_the_bait_works() -> None:
    assert pickle.loads(pickle.dumps(Calls(len, "four"))) == 4


@pytest.mark.parametrize(
    ("function", "words", "name"),
    [
        (os.system, ("exit",), "system"),
        (eval, ("1",), "eval"),
        (exec, ("1",), "exec"),
        (getattr, ("a", "b"), "getattr"),
        (builtins.__import__, ("os",), "__import__"),
        (torch.load, ("a.pt",), "torch.serialization.load"),
        (np.load, ("a.npy",), "numpy.load"),
        (pickle.loads, (b"N.",), "loads"),
        (Path, ("a",), "pathlib.Path"),
    ],
)
def test_what_it_wanted_is_named(
    tmp_path: Path, function: Callable[..., Any], words: tuple[Any, ...], name: str
) -> None:
    torch.save({"opts": Calls(function, *words)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as caught:
        read_torch(tmp_path / "a.pt")
    assert "wants to run or build" in caught.value.what
    assert f"{name}`" in caught.value.what
    assert "trust" in caught.value.remedy


def test_numpy_scalars_and_modules_stay_out(tmp_path: Path) -> None:
    for content in (np.float64(3), torch.nn.Linear(2, 2), torch.jit.ScriptModule):
        torch.save({"opts": content}, tmp_path / "a.pt")
        for arrays in (False, True):
            with pytest.raises(CheckpointError, match="wants to run or build"):
                read_torch(tmp_path / "a.pt", arrays=arrays)


def test_arrays_of_numbers_only_where_they_are_wanted(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        value = np.arange(6, dtype=dtype).reshape(2, 3)
        torch.save({"a": value}, tmp_path / "a.pt")
        found = read_torch(tmp_path / "a.pt", arrays=True)["a"]
        np.testing.assert_array_equal(found, value)
        assert found.dtype == dtype
        with pytest.raises(CheckpointError, match="_reconstruct"):
            read_torch(tmp_path / "a.pt")


def test_the_allow_list_does_not_stay(tmp_path: Path) -> None:
    torch.save(argparse.Namespace(a=1), tmp_path / "a.pt")
    assert read_torch(tmp_path / "a.pt").a == 1
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_damage_anywhere_is_an_error_or_harmless(tmp_path: Path) -> None:
    """Single bytes of the pickle inside are changed: it reads as something, or it is refused; it never runs away."""
    torch.save({"g_ema": {"a": torch.ones(2)}, "opts": {"b": 1}}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    start, end = data.index(b"g_ema") - 20, data.index(b"g_ema") + 180
    refused = 0
    for place in range(start, end, 3):
        (tmp_path / "b.pt").write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            read_torch(tmp_path / "b.pt")
        except CheckpointError:
            refused += 1
    assert refused > 10


def test_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(CheckpointError) as caught:
            read_torch(path)
        assert caught.value.remedy == "check the path"
