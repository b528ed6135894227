"""losses.csv: one line per step, exact enough to compare two runs; TensorBoard beside it where it is installed."""

from __future__ import annotations

import csv
import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_LOG = logging.getLogger(__name__)


class LossLog:
    """Writes `folder`/losses.csv: step, loss, its parts, learning rate, seconds since the process started.

    Args:
        kept_steps: lines of later steps than this, left by a run that was interrupted, are dropped.
    """

    def __init__(self, folder: Path, kept_steps: int, tensorboard: bool = False) -> None:
        self._path = folder / "losses.csv"
        rows = list(csv.reader(self._path.open(newline=""))) if self._path.exists() else []
        self._header = rows[0] if rows else None
        kept = [row for row in rows[1:] if len(row) == len(rows[0]) and int(row[0]) <= kept_steps]
        self._file = self._path.open("w", buffering=1, newline="")
        self._writer = csv.writer(self._file)
        if self._header:
            self._writer.writerows([self._header, *kept])
        self._board = _board(folder) if tensorboard else None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """One line; every step has the columns of the first, a number that is absent stays empty."""
        if self._header is None:
            self._header = ["step", *values]
            self._writer.writerow(self._header)
        self._writer.writerow([step, *(f"{values[name]:.7g}" if name in values else "" for name in self._header[1:])])
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def show(self, step: int, sheet: np.ndarray) -> None:
        """A sheet of samples, uint8 [H, W, 3] RGB."""
        if self._board is not None:
            self._board.add_image("samples", sheet, step, dataformats="HWC")

    def flush(self) -> None:
        """Everything so far onto the disk."""
        self._file.flush()

    def close(self) -> None:
        """No more lines."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path) -> Any:
    try:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))
    except ImportError:
        _LOG.warning("tensorboard is not installed: losses go to losses.csv alone")
        return None


def read_losses(path: str | Path) -> list[tuple[int, float]]:
    """(step, loss) of every line of a losses.csv."""
    with Path(path).open(newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
