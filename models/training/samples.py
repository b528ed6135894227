"""Training samples on disk: one .npz each, of arrays that show the same scene; or plain pictures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from models.errors import UserError


class Samples(Protocol):
    """A finite set of scenes. Each is a table of arrays, read by name.

    What the arrays hold: `image`, `toon3d`, `ink` uint8 [h, w, 3] RGB; `sketch` uint8 [h, w] or [h, w, 1 or 3], dark on
    white; `parsing` uint8 [h, w], BiSeNet's 19 labels (255: none); `landmarks` float [68, 2], iBUG order, pixel indices
    (x, y) of `image`; `attributes` float [A]; for an edit NAME, `variant_NAME` uint8 [h, w, 3] and `attributes_NAME`
    [A]: the same scene with that one thing changed.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the entries of `attributes`."""
        ...

    def __len__(self) -> int: ...

    def having(self, name: str) -> list[int]:
        """Indices of the scenes that have the array `name`."""
        ...

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The named arrays of one scene; a name that it does not have is left out."""
        ...


class SampleFolder:
    """The .npz files of a folder, in the order of their names; its heads.json names the attributes.

    Args:
        folder: where they are.
        first, last: slice of the files, so that training and held-out samples can share a folder.

    Raises:
        UserError: no such folder, or no samples in it.
    """

    def __init__(self, folder: str | Path, first: int = 0, last: int | None = None) -> None:
        self.folder = Path(folder)
        self._paths = sorted(self.folder.glob("*.npz"))[first:last]
        if not self._paths:
            what = "no .npz samples in it" if self.folder.is_dir() else "no such folder"
            raise UserError(f"training data {self.folder}: {what}", "set data.folder to where the samples were made")
        self.attributes = self._read_attributes()

    def __len__(self) -> int:
        return len(self._paths)

    def having(self, name: str) -> list[int]:
        """See `Samples.having`; only the files' tables of contents are read."""
        found = []
        for index, path in enumerate(self._paths):
            try:
                with zipfile.ZipFile(path) as file:
                    if f"{name}.npy" in file.namelist():
                        found.append(index)
            except (OSError, zipfile.BadZipFile) as error:
                raise UserError(f"training sample {path}: cannot be read ({error})", "make the set again") from error
        return found

    def _read_attributes(self) -> tuple[str, ...]:
        index = self.folder / "heads.json"
        try:
            return tuple(json.loads(index.read_text(encoding="utf-8"))["attributes"]) if index.exists() else ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{index}: cannot be read ({error!r})", "make the set again") from error

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """See `Samples.load`; only the named arrays are read from the file."""
        path = self._paths[index]
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"training sample {path}: cannot be read ({error})", "make the set again") from error


class PictureFolder:
    """The .png and .jpg files under a folder, in the order of their paths: aligned faces, FFHQ's for one.

    Each has the one array `image`, and neither landmarks nor attributes.
    """

    attributes: tuple[str, ...] = ()

    def __init__(self, folder: str | Path, last: int | None = None) -> None:
        kinds = (".png", ".jpg", ".jpeg")
        self._paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in kinds)[:last]
        if not self._paths:
            raise UserError(f"training data {folder}: no pictures in it", "set the folder to where they are")

    def __len__(self) -> int:
        return len(self._paths)

    def having(self, name: str) -> list[int]:
        """See `Samples.having`."""
        return list(range(len(self))) if name == "image" else []

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """See `Samples.load`."""
        if "image" not in names:
            return {}
        picture = cv2.imread(str(self._paths[index]), cv2.IMREAD_COLOR)
        if picture is None:
            raise UserError(f"training picture {self._paths[index]}: cannot be read", "remove or replace it")
        return {"image": np.ascontiguousarray(picture[:, :, ::-1])}


def open_samples(folder: str | Path, last: int | None = None) -> Samples:
    """What is in a folder, or the first `last` of it: .npz samples where there are any, else pictures.

    Raises:
        UserError: no such folder, or neither in it.
    """
    path = Path(folder)
    if path.is_dir() and next(path.glob("*.npz"), None) is None:
        return PictureFolder(path, last)
    return SampleFolder(path, last=last)
