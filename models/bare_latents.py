"""w+ alone, from files that other programs made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.config import ModelConfig
from models.errors import CheckpointError, LatentError
from models.latent import Latent
from models.latent_record import FaceLatent, LatentFrame, LatentInfo, check_wplus
from models.torch_file import read_torch

SUFFIXES = (".safetensors", ".pt", ".pth", ".npy")


class BareLatents(AbstractContextManager["BareLatents"]):
    """One w+ for every face of every frame, or one per frame number from 0.

    Attributes:
        wplus: [N, L, D] float32; N = 1 stands for every frame.
        every_face: True: `frame` gives one face, which stands for whatever faces there are.
    """

    every_face = True

    def __init__(self, wplus: Tensor, where: str = "w+") -> None:
        self.wplus = wplus
        self.info = LatentInfo()
        self._where = where

    def __len__(self) -> int:
        return self.wplus.shape[0]

    def __iter__(self) -> Iterator[LatentFrame]:
        return (self.frame(index) for index in range(len(self)))

    def __exit__(self, *_: object) -> None:
        return None

    def frame(self, index: int) -> LatentFrame:
        """The w+ for frame number `index`, without a pts.

        Raises:
            LatentError: several w+, and none for this frame.
        """
        count = len(self)
        if count > 1 and not 0 <= index < count:
            raise LatentError(
                f"{self._where}: no w+ for frame {index} (it holds {count}, for frames 0 to {count - 1})",
                "give one w+ for all frames or one for each, or render the range that it covers",
            )
        row = index if count > 1 else 0
        return LatentFrame(index, None, (FaceLatent(Latent(self.wplus[row : row + 1])),))

    def check(self, config: ModelConfig) -> None:
        """Raise LatentError unless the network of `config` takes these w+."""
        check_wplus(self._where, self.wplus.shape[1], self.wplus.shape[2], config)


def load_bare(path: Path) -> BareLatents:
    """Read w+ from a file of one array, or of a table with one array (or one called wplus).

    Raises:
        LatentError: missing, damaged, or something else in it.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise LatentError(f"{path}: not a latent file", f"give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise LatentError(f"{path}: no such file", "check the path of the latent file")
    try:
        match path.suffix.lower():
            case ".npy":
                content: Any = np.load(path, allow_pickle=False)
            case ".safetensors":
                content = load_file(path)
            case _:
                content = read_torch(path, arrays=True)
    except CheckpointError as error:
        raise LatentError(error.what, error.remedy) from error
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise LatentError(
            f"{path}: not a readable latent file ({type(error).__name__})", "save it as one array of numbers"
        ) from error
    return BareLatents(_shaped(path, content), str(path))


def _shaped(path: Path, content: Any) -> Tensor:
    if isinstance(content, Mapping):
        if "wplus" not in content and len(content) != 1:
            keys = ", ".join(map(str, list(content)[:5]))
            raise LatentError(f"{path}: a table of {len(content)} ({keys}), none called wplus", "name the w+ `wplus`")
        content = content.get("wplus", next(iter(content.values())))
    if isinstance(content, np.ndarray) and content.dtype.kind in "fiu":
        content = torch.from_numpy(np.ascontiguousarray(content, dtype=np.float32))
    if not isinstance(content, Tensor) or content.is_complex():
        raise LatentError(f"{path}: a {type(content).__name__}, not an array of numbers", "give w+ [L, D] or [N, L, D]")
    if content.ndim not in (2, 3) or 0 in content.shape:
        raise LatentError(f"{path}: shape {list(content.shape)} is not that of w+", "give w+ [L, D] or [N, L, D]")
    wplus = content.detach().float()
    if not torch.isfinite(wplus).all():
        raise LatentError(f"{path}: holds values that are not numbers (inf or nan)", "make the latents again")
    return wplus if wplus.ndim == 3 else wplus[None]
