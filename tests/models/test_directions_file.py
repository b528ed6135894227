"""Direction files: every shape and format, names and numbers, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.config import SIZES
from models.directions_file import direction_names, load_direction, load_directions, split_name
from models.errors import CheckpointError
from tests.golden.make_model_goldens import normal

TINY = SIZES["tiny"]
LAYERS, WIDTH = TINY.num_styles, TINY.style_dim
PLAIN, STACK, MANY = normal("d", (WIDTH,)), normal("d", (LAYERS, WIDTH)), normal("d", (3, LAYERS, WIDTH))


def write(path: Path, value: Any) -> Path:
    """A direction (or a table) in the format that the suffix names."""
    if path.suffix == ".npy":
        np.save(path, value.numpy())
    elif path.suffix == ".safetensors":
        save_file(value if isinstance(value, dict) else {"direction": value}, path)
    else:
        torch.save(value, path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npy", ".safetensors"])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [(PLAIN, PLAIN.expand(LAYERS, -1)), (PLAIN[None], PLAIN.expand(LAYERS, -1)), (STACK, STACK), (MANY[:1], MANY[0])],
)
def test_shapes_and_formats(tmp_path: Path, suffix: str, value: Tensor, wanted: Tensor) -> None:
    found = load_direction(write(tmp_path / f"a{suffix}", value.clone()), TINY)
    assert found.shape == (LAYERS, WIDTH)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)
    found += 1  # a copy of its own: no expanded memory


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(tmp_path: Path, dtype: torch.dtype) -> None:
    path = write(tmp_path / "a.pt", STACK.to(dtype).requires_grad_())
    assert torch.equal(load_direction(path, TINY), STACK.to(dtype).float())


def test_one_of_several_by_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.npy", MANY)
    assert torch.equal(load_direction(path, TINY), MANY[0])
    assert "3 directions: the first is used" in caplog.text
    assert torch.equal(load_direction(f"{path}:2", TINY), MANY[2])
    assert torch.equal(load_direction(path, TINY, name="1"), MANY[1])
    assert direction_names(path) == ("0", "1", "2")
    assert direction_names(write(tmp_path / "b.npy", STACK)) == ()
    for name in ("3", "-1", "smile"):
        with pytest.raises(CheckpointError, match="no direction") as caught:
            load_direction(path, TINY, name=name)
        assert "0 to 2" in caught.value.remedy


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_one_of_several_by_name(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"table{suffix}", {"age": STACK, "smile": PLAIN})
    assert torch.equal(load_direction(f"{path}:age", TINY), STACK)
    assert torch.equal(load_direction(path, TINY, "smile"), PLAIN.expand(LAYERS, -1))
    assert set(direction_names(path)) == {"age", "smile"}
    with pytest.raises(CheckpointError, match=r"2 directions: (age, smile|smile, age)") as caught:
        load_direction(path, TINY)
    assert f"{path}:NAME" in caught.value.remedy
    with pytest.raises(CheckpointError, match="no direction anger") as caught:
        load_direction(f"{path}:anger", TINY)
    assert "age" in caught.value.remedy


@pytest.mark.parametrize(
    ("value", "names"),
    [(MANY, ("0", "1", "2")), (STACK, ("a",)), ({"age": STACK, "smile": PLAIN}, ("age", "smile"))],
)
def test_all_of_a_file_or_the_chosen_one(tmp_path: Path, value: Any, names: tuple[str, ...]) -> None:
    path = write(tmp_path / "a.pt", value)
    found, rows = load_directions(path, TINY)
    assert found == names
    assert rows.shape == (len(names), LAYERS, WIDTH)
    for name, row in zip(names, rows, strict=True):
        assert torch.equal(row, load_direction(path, TINY, name if len(names) > 1 else None))
    if len(names) > 1:
        chosen, row = load_directions(f"{path}:{names[1]}", TINY)
        assert chosen == names[1:2]
        assert torch.equal(row[0], rows[1])


def test_tables_in_tables_arrays_and_a_table_of_one(tmp_path: Path) -> None:
    arrays = {"pose": {"yaw": STACK.numpy(), "pitch": PLAIN.double().numpy()}, "age": PLAIN}
    path = write(tmp_path / "table.pt", arrays)
    assert direction_names(path) == ("pose.yaw", "pose.pitch", "age")
    assert torch.equal(load_direction(f"{path}:pose.yaw", TINY), STACK)
    assert torch.equal(load_direction(f"{path}:pose.pitch", TINY), PLAIN.expand(LAYERS, -1))
    assert torch.equal(load_direction(write(tmp_path / "one.pt", {"age": STACK}), TINY), STACK)


@pytest.mark.parametrize(
    "shape",
    [(512,), (WIDTH + 1,), (18, WIDTH), (LAYERS - 1, WIDTH), (2, 3, WIDTH), (1, 1, 1, WIDTH), (), (0, LAYERS, WIDTH)],
)
def test_sizes_that_are_not_the_model_s(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "a.npy", torch.zeros(shape))
    with pytest.raises(CheckpointError) as caught:
        load_direction(path, TINY)
    assert f"has shape {list(shape)}, this model needs [16], [14, 16] or [N, 14, 16]" in caught.value.what
    assert str(path) in caught.value.what


def hostile(folder: Path, name: str) -> Path:
    """A file that would create it_ran if anything in it were executed."""

    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            import os

            return os.mkdir, (str(folder / "it_ran"),)

    path = folder / name
    if name.startswith("table"):
        torch.save({"age": STACK, "smile": Hostile()}, path)
    elif name.startswith("array"):
        torch.save({"age": np.array([Hostile()], dtype=object)}, path)
    elif name.endswith(".npy"):
        np.save(path, np.array([Hostile()], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Hostile()))
    return path


@pytest.mark.parametrize(
    "name", ["table.pt", "array.pt", "objects.npy", "pickle.npy", "pickle.pt", "pickle.safetensors"]
)
def test_hostile_files(tmp_path: Path, name: str) -> None:
    path = hostile(tmp_path, name)
    with pytest.raises(CheckpointError) as caught:
        load_direction(path, TINY)
    assert str(path) in caught.value.what
    assert not (tmp_path / "it_ran").exists()


def test_other_mistakes(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.npy", b"")
    mistakes: dict[str, Any] = {
        "a.png": b"x",
        "cut.npy": b"\x93NUMPY",
        "empty.npy": b"",
        "zip.npy": zipped.getvalue(),
        "text.pt": {"age": "old"},
        "none.pt": {},
        "list.pt": [1.0, 2.0],
        "nan.pt": torch.full((WIDTH,), torch.nan),
        "complex.pt": torch.zeros(WIDTH, dtype=torch.complex64),
    }
    for name, content in mistakes.items():
        path = tmp_path / name
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(CheckpointError) as caught:
            load_direction(path, TINY)
        assert name in caught.value.what
        assert caught.value.remedy
    (tmp_path / "folder.pt").mkdir()
    for name in ("missing.pt", "folder.pt"):
        with pytest.raises(CheckpointError, match="no such file"):
            load_direction(tmp_path / name, TINY)
    broken = {"directions": MANY.clone()}
    save_file(broken, tmp_path / "names.safetensors", metadata={"names": json.dumps(["a", "b"])})
    with pytest.raises(CheckpointError):
        load_direction(tmp_path / "names.safetensors", TINY)
    save_file(broken, tmp_path / "names.safetensors", metadata={"names": "{not json"})
    with pytest.raises(CheckpointError):
        load_direction(tmp_path / "names.safetensors", TINY)


def test_where_the_name_begins() -> None:
    assert split_name("a/b.pt:age") == (Path("a/b.pt"), "age")
    assert split_name("a/b.pt") == (Path("a/b.pt"), None)
    assert split_name("C:/b.npy") == (Path("C:/b.npy"), None)
    assert split_name("C:/b.NPY:3") == (Path("C:/b.NPY"), "3")
    assert split_name("age") == (Path("age"), None)
