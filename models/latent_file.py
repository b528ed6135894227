"""Latents as files: w+ (f, skip features and noise on request) of every face in every frame, with pts and geometry.

    >>> from models.latent_file import load_latents
    >>> with load_latents("shot.safetensors", net.config) as latents:      # doctest: +SKIP
    ...     for frame in latents:                                          # one at a time, however long the clip
    ...         for face in frame.faces:
    ...             older = face.latent.add_direction(direction, 1.5)
    ...             image = net.synthesize(older, noise=face.noise)

`latent_writer` says how a file is laid out, `bare_latents` what is read besides: [L, D] or [1, L, D] for every face of
every frame, [N, L, D] for frames 0 … N − 1, as .pt, .npy or .safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.bare_latents import BareLatents, load_bare
from models.config import ModelConfig
from models.errors import LatentError
from models.latent import Latent
from models.latent_record import FORMAT, VERSION, FaceLatent, LatentFrame, LatentInfo, check_wplus
from models.latent_writer import LatentWriter, save_latents

__all__ = [
    "BareLatents",
    "FaceLatent",
    "LatentFile",
    "LatentFrame",
    "LatentInfo",
    "LatentWriter",
    "Latents",
    "load_latents",
    "load_wplus",
    "save_latents",
]

_AGAIN = "make the file again (--save-latents)"


def load_latents(path: str | Path, config: ModelConfig | None = None) -> Latents:
    """Open a latent file, ours or a bare one; a context manager that gives frames by number and in order.

    Args:
        config: of the network that is to draw them; None: not checked.

    Raises:
        LatentError: missing, damaged, of a later version, or of a model with another number or width of styles.
    """
    path = Path(path)
    latents: Latents = LatentFile(path) if _is_ours(path) else load_bare(path)
    if config is not None:
        latents.check(config)
    return latents


def load_wplus(path: str | Path, config: ModelConfig) -> Tensor:
    """All w+ of a latent file, [N, L, D] float32 on the CPU: one per face, in the order of the frames.

    Raises:
        LatentError: as `load_latents`; or no face in it.
    """
    with load_latents(path, config) as latents:
        rows = [face.latent.wplus for frame in latents for face in frame.faces]
    if not rows:
        raise LatentError(f"{path}: no face in any of its frames", "record a clip in which a face was found")
    return torch.cat(rows)


class LatentFile(AbstractContextManager["LatentFile"]):
    """Our own format, read lazily: only the frame that is asked for comes into memory.

    Attributes:
        info: what the file says of all of its frames.
        indices, pts, shots: int64 [F], frame numbers (rising), times and shots.
        every_face: False: faces are told apart.

    Raises:
        LatentError: damaged, or of a later version.
    """

    every_face = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: Any = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise LatentError(f"{path}: not a readable latent file ({error})", _AGAIN) from error
        self._keys = frozenset(self._file.keys())
        self.info = self._read_info(self._file.metadata() or {})
        self.indices, self.pts, self.shots, counts = (
            self._column(f"frame.{name}") for name in ("index", "pts", "shot", "faces")
        )
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self._tracks = self._column("face.track_id")
        self._geometry = sorted(key for key in self._keys if key.startswith("geometry."))
        self._check_counts()

    def __exit__(self, *_: object) -> None:
        self._file.__exit__(None, None, None)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[LatentFrame]:
        return (self._frame(row) for row in range(len(self)))

    def frame(self, index: int) -> LatentFrame:
        """The frame with number `index` in the source.

        Raises:
            LatentError: it is not in the file.
        """
        row = int(np.searchsorted(self.indices, index))
        if row == len(self) or self.indices[row] != index:
            held = f"frames {self.indices[0]} to {self.indices[-1]}" if len(self) else "no frame"
            raise LatentError(
                f"{self._path}: no latents for frame {index} (it holds {held})",
                "render the range that it covers (--start, --end), or record the whole one",
            )
        return self._frame(row)

    def tracks(self) -> list[int]:
        """Numbers of the faces in the file, rising."""
        return np.unique(self._tracks).tolist()

    def frames_of(self, track_id: int) -> NDArray[np.int64]:
        """int64 [K]: numbers of the frames that a face is in, rising."""
        rows = np.searchsorted(self._ends, np.flatnonzero(self._tracks == track_id), side="right")
        return self.indices[rows]

    def check(self, config: ModelConfig) -> None:
        """Raise LatentError unless the network of `config` takes what is in the file."""
        if (shape := self._shape("wplus")) is not None:
            check_wplus(str(self._path), shape[1], shape[2], config, self.info.model)
        parts = {
            "first-layer feature": (self._channels("feature", 1), (config.generator_channels[0],)),
            "skip features": (self._channels("skips.0", 64), config.skip_channels),
            "noise maps": (self._channels("noise.0", 64), (1,) * config.num_noises),
        }
        wrong = [name for name, (held, wanted) in parts.items() if held and held != wanted]
        if wrong:
            raise LatentError(
                f"{self._path}: the {' and '.join(wrong)} in it (model {self.info.model or 'not noted'}) are not those "
                "of this model",
                "use the model that the latents were made with, or record w+ alone",
            )

    def _frame(self, row: int) -> LatentFrame:
        faces = tuple(self._face(entry) for entry in range(self._starts[row], self._ends[row]))
        return LatentFrame(int(self.indices[row]), int(self.pts[row]), faces, int(self.shots[row]))

    def _face(self, entry: int) -> FaceLatent:
        latent = Latent(
            wplus=self._row("wplus", entry)[None],
            feature=self._optional(f"feature.{entry}"),
            skips=self._several(f"skips.{entry}"),
            feature_rgb=self._optional(f"feature_rgb.{entry}"),
        )
        geometry: dict[str, NDArray[np.generic]] = {
            key.removeprefix("geometry."): self._row(key, entry).numpy() for key in self._geometry
        }
        return FaceLatent(
            latent, self._several(f"noise.{entry}") or None, int(self._row("face.track_id", entry)), geometry
        )

    # Copied out of the mapped file: aligned, and safe should the file change.

    def _row(self, key: str, entry: int) -> Tensor:
        return self._file.get_slice(key)[entry : entry + 1][0].clone()

    def _optional(self, key: str) -> Tensor | None:
        return self._file.get_tensor(key).clone() if key in self._keys else None

    def _several(self, prefix: str) -> tuple[Tensor, ...]:
        tensors: list[Tensor] = []
        while (tensor := self._optional(f"{prefix}.{len(tensors)}")) is not None:
            tensors.append(tensor)
        return tuple(tensors)

    def _column(self, key: str) -> NDArray[np.int64]:
        if key not in self._keys:
            return np.zeros(0, np.int64)
        return self._file.get_tensor(key).clone().numpy()

    def _shape(self, key: str) -> list[int] | None:
        return self._file.get_slice(key).get_shape() if key in self._keys else None

    def _channels(self, prefix: str, most: int) -> tuple[int, ...]:
        """Channels of the tensors PREFIX.0, PREFIX.1, …, as far as there are any."""
        shapes = takewhile(bool, (self._shape(f"{prefix}.{k}") for k in range(most)))
        return tuple(shape[1] for shape in shapes if shape)

    def _read_info(self, metadata: dict[str, str]) -> LatentInfo:
        version = metadata.get("version", "")
        if not version.isdecimal() or int(version) > VERSION:
            raise LatentError(
                f"{self._path}: latent file of version {version or '?'}, this program knows up to {VERSION}",
                "update the program, or make the file again with this one",
            )
        try:
            facts = json.loads(metadata["info"])
            return LatentInfo(
                model=str(facts["model"]),
                model_sha256=str(facts["model_sha256"]),
                time_base=Fraction(facts["time_base"]),
                source={str(key): str(value) for key, value in facts["source"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise LatentError(f"{self._path}: its description is damaged ({error!r})", _AGAIN) from error

    def _check_counts(self) -> None:
        faces = int(self._ends[-1]) if len(self._ends) else 0
        per_face = ["wplus", "face.track_id", *self._geometry] if faces else []
        rows = {key: (self._shape(key) or [0])[0] for key in per_face}
        wrong = [f"{key}: {count} of {faces} faces" for key, count in rows.items() if count != faces]
        frames = {len(column) for column in (self.indices, self.pts, self.shots, self._ends)}
        if len(frames) != 1 or bool((np.diff(self.indices) <= 0).any()) or bool((self._ends < self._starts).any()):
            wrong.append("its table of frames")
        if faces and len(self._shape("wplus") or ()) != 3:
            wrong.append("wplus is not [E, L, D]")
        if wrong:
            raise LatentError(f"{self._path}: damaged latent file ({'; '.join(wrong)})", _AGAIN)


Latents = LatentFile | BareLatents
"""Both give `frame(index)`, iterate, tell `info`, `every_face` and `check(config)`, and close as context managers."""


def _is_ours(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (OSError, SafetensorError) as error:
        raise LatentError(f"{path}: not a readable latent file ({error})", _AGAIN) from error
