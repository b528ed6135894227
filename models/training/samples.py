"""Training samples on disk: one .npz each, of arrays that show the same scene."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from models.errors import UserError


class Samples(Protocol):
    """A finite set of scenes. Each is a table of arrays, read by name.

    What the arrays hold: `image`, `toon3d`, `ink` uint8 [h, w, 3] RGB; `sketch` uint8 [h, w] or [h, w, 1 or 3], dark on
    white; `parsing` uint8 [h, w], BiSeNet's 19 labels (255: none); `landmarks` float [68, 2], iBUG order, pixel indices
    (x, y) of `image`; for an attribute NAME, `edit_NAME` uint8 [K, h, w, 3] or [h, w, 3]: the same scene with that
    attribute changed, and `edit_NAME_strength` float [K] or []: by how much (absent: 1).
    """

    def __len__(self) -> int: ...

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The named arrays of one scene; a name that it does not have is left out."""
        ...


class SampleFolder:
    """The .npz files of a folder, in the order of their names.

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

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """See `Samples.load`; only the named arrays are read from the file."""
        path = self._paths[index]
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"training sample {path}: cannot be read ({error})", "make the set again") from error
