"""Write latents frame by frame in bounded memory: temporary files per tensor become one safetensors file at the end."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import torch
from torch import Tensor

from models.errors import LatentError
from models.latent import Latent
from models.latent_batch import select
from models.latent_record import FORMAT, OPTIONAL_PARTS, VERSION, FaceLatent, LatentFrame, LatentInfo

_DTYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""As safetensors calls them, widest first: in this order every tensor lies at a multiple of its item's size."""


class LatentWriter:
    """Context manager that takes frames in order; the file appears under its name when the block ends without error.

    Memory does not grow with the clip, apart from 100 bytes of header per large tensor. Until the end everything lies
    in a hidden folder beside the file, so for a moment the largest tensors need their size on disk twice.

    Layout: `frame.index`, `frame.pts`, `frame.shot`, `frame.faces` (how many) int64 [F]; then for all faces of all
    frames in order `wplus` [E, L, D], `face.track_id` [E], `geometry.NAME` [E, …]; and for face e, since sizes may
    differ, `feature.e`, `feature_rgb.e`, `skips.e.k`, `noise.e.k`.

    Args:
        path: a .safetensors file.
        keep: which of `OPTIONAL_PARTS` to write beside w+. f takes 8 MB per 512×512 window of a published model, the
            skip features 150 MB.

    Raises:
        LatentError: a path that cannot be written.
    """

    def __init__(self, path: str | Path, info: LatentInfo, keep: Collection[str] = ()) -> None:
        self._path = Path(path)
        self._info = info
        self._keep = frozenset(keep)
        if unknown := sorted(self._keep - set(OPTIONAL_PARTS)):
            raise LatentError(
                f"latent file: no such part: {', '.join(unknown)}", f"choose from {', '.join(OPTIONAL_PARTS)}"
            )
        if self._path.suffix != ".safetensors" or not self._path.parent.is_dir():
            raise LatentError(f"{path}: cannot be written there", "name a .safetensors file in a folder that exists")
        self._columns: dict[str, _Column] = {}
        self._loose: dict[torch.dtype, _Loose] = {}
        self._stack = ExitStack()
        self._folder = Path()
        self._last = -1
        self._faces = 0

    def __enter__(self) -> Self:
        try:
            name = tempfile.mkdtemp(prefix=f".{self._path.name}.", suffix=".part", dir=self._path.parent)
        except OSError as error:
            raise LatentError(
                f"{self._path}: {error.strerror or error}", "choose a folder that can be written"
            ) from error
        self._folder = Path(name)
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                try:
                    self._assemble()
                except OSError as fault:
                    raise self._failed(fault) from fault

    def write(self, frame: LatentFrame) -> None:
        """Append a frame.

        Raises:
            ValueError: not after the one before, or a face unlike the others.
            LatentError: the disk is full, or the like.
        """
        if frame.index <= self._last:
            raise ValueError(f"frame {frame.index} after frame {self._last}")
        if frame.pts is None:
            raise ValueError(f"frame {frame.index} has no pts")
        self._last = frame.index
        numbers = {"index": frame.index, "pts": frame.pts, "shot": frame.shot, "faces": len(frame.faces)}
        try:
            for name, number in numbers.items():
                self._append(f"frame.{name}", torch.tensor(number))
            for face in frame.faces:
                self._write_face(face)
        except OSError as error:
            raise self._failed(error) from error

    def _write_face(self, face: FaceLatent) -> None:
        latent = face.latent
        self._append("wplus", latent.wplus[0].float())
        self._append("face.track_id", torch.tensor(face.track_id))
        for name, value in face.geometry.items():
            self._append(f"geometry.{name}", torch.from_numpy(np.array(value)))
        parts: dict[str, Tensor] = {}
        if "feature" in self._keep and latent.feature is not None:
            parts["feature.{}"] = latent.feature
            if latent.feature_rgb is not None:
                parts["feature_rgb.{}"] = latent.feature_rgb
        if "skips" in self._keep:
            parts |= {f"skips.{{}}.{k}": skip for k, skip in enumerate(latent.skips)}
        if "noise" in self._keep and face.noise is not None:
            parts |= {f"noise.{{}}.{k}": maps for k, maps in enumerate(face.noise)}
        for name, tensor in parts.items():
            if tensor.dtype not in self._loose:
                self._loose[tensor.dtype] = _Loose(self._open(f"loose.{_DTYPES[tensor.dtype]}"))
            self._loose[tensor.dtype].append(name.format(self._faces), tensor)
        self._faces += 1

    def _append(self, name: str, value: Tensor) -> None:
        if name not in self._columns:
            if self._faces and not name.startswith("frame."):
                raise ValueError(f"{name}: the faces before had none")
            self._columns[name] = _Column(self._open(name), value.dtype, tuple(value.shape))
        self._columns[name].append(name, value)

    def _open(self, name: str) -> BinaryIO:
        return self._stack.enter_context((self._folder / name).open("w+b"))

    def _assemble(self) -> None:
        """Header, then the temporary files behind each other."""
        for name, column in self._columns.items():
            if not name.startswith("frame.") and column.rows != self._faces:
                raise ValueError(f"{name}: {column.rows} of {self._faces} faces have it")
        header: dict[str, object] = {"__metadata__": _metadata(self._info)}
        files: list[BinaryIO] = []
        offset = 0
        for dtype, code in _DTYPES.items():
            for name in sorted(self._columns):
                column = self._columns[name]
                if column.dtype == dtype:
                    size = column.file.tell()
                    header[name] = _entry(code, (column.rows, *column.shape), offset, size)
                    files.append(column.file)
                    offset += size
            if loose := self._loose.get(dtype):
                for name, (shape, size) in loose.entries.items():
                    header[name] = _entry(code, shape, offset, size)
                    offset += size
                files.append(loose.file)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        part = self._folder / "whole"
        with part.open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for file in files:
                file.seek(0)
                shutil.copyfileobj(file, out, 1 << 20)
                file.truncate(0)
        os.replace(part, self._path)

    def _failed(self, error: OSError) -> LatentError:
        return LatentError(
            f"{self._path}: {error.strerror or error}", "make room on the disk, or write the latents elsewhere"
        )


def save_latents(
    path: str | Path,
    latents: Iterable[LatentFrame] | Latent | Tensor,
    info: LatentInfo | None = None,
    keep: Collection[str] = (),
) -> None:
    """Write a latent file in one go.

    >>> save_latents("face.safetensors", net.invert(x1, aligned))  # doctest: +SKIP

    Args:
        latents: frames; or one Latent or w+ [B, L, style_dim], whose B samples become frames 0, 1, … with pts 0, 1, …
        info, keep: as `LatentWriter`.
    """
    if isinstance(latents, Tensor):
        latents = Latent(latents)
    if isinstance(latents, Latent):
        batch = latents
        frames = (LatentFrame(i, i, (FaceLatent(select(batch, i)),)) for i in range(batch.wplus.shape[0]))
    else:
        frames = latents
    with LatentWriter(path, info or LatentInfo(), keep) as writer:
        for frame in frames:
            writer.write(frame)


class _Column:
    """Rows of one shape, appended to a file."""

    def __init__(self, file: BinaryIO, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        self.file, self.dtype, self.shape, self.rows = file, dtype, shape, 0

    def append(self, name: str, row: Tensor) -> None:
        if (row.dtype, tuple(row.shape)) != (self.dtype, self.shape):
            raise ValueError(f"{name}: {row.dtype} {list(row.shape)} after {self.dtype} {list(self.shape)}")
        self.file.write(_bytes(row))
        self.rows += 1


class _Loose:
    """Tensors of any shape, appended to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.entries: dict[str, tuple[tuple[int, ...], int]] = {}

    def append(self, name: str, tensor: Tensor) -> None:
        self.entries[name] = tuple(tensor.shape), self.file.write(_bytes(tensor))


def _bytes(tensor: Tensor) -> memoryview:
    """Little-endian samples in order, as every machine that torch runs on holds them."""
    return tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().data


def _entry(code: str, shape: tuple[int, ...], offset: int, size: int) -> dict[str, object]:
    return {"dtype": code, "shape": list(shape), "data_offsets": [offset, offset + size]}


def _metadata(info: LatentInfo) -> dict[str, str]:
    facts = {
        "model": info.model,
        "model_sha256": info.model_sha256,
        "time_base": str(info.time_base),
        "source": dict(info.source),
    }
    return {"format": FORMAT, "info": json.dumps(facts, sort_keys=True), "version": str(VERSION)}
