"""What a training step gets, and what it gets it from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor


class Batch(NamedTuple):
    """Crops of scenes. RGB in [−1, 1], sketches in [0, 1], masks one-hot. N scenes, N·crops crops."""

    x: Tensor
    """[N·crops, C, s, s], the network's input."""
    y: Tensor
    """[N·crops, 3, k·s, k·s], what it should draw; k is the model's output scale."""
    aligned: Tensor | None = None
    """[N, 3, 256, 256], the style crops; None: w+ comes from x."""
    direction: Tensor | None = None
    """[N·crops] int64: which editing direction, where the pairs are edits."""
    strength: Tensor | None = None
    """[N·crops]: how far along it."""
    face: Tensor | None = None
    """[N·crops, 2, 3]: `affine_grid` matrices that take the aligned face out of y; for the identity loss."""
    code: Tensor | None = None
    """[N·crops, style_dim]: z whose w replaces the fine layers of w+ (sketch and mask models)."""

    def to(self, device: torch.device) -> Batch:
        """Every tensor on `device`."""
        moved = {name: part.to(device, non_blocking=True) for name, part in self._asdict().items() if part is not None}
        return Batch(**moved)


class Source(Protocol):
    """Where batches come from. What it gives depends on the step alone, apart from `state`."""

    def batch(self, step: int) -> Batch: ...

    def preview(self) -> Batch:
        """The same few scenes every time, to look at; one crop each. Changes nothing that follows."""
        ...

    def state(self) -> dict[str, Any]:
        """What `load_state` needs so that a resumed run sees the same batches; mostly nothing."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None:
        """Stop what prepares batches ahead."""
        ...


def as_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """uint8 [H, W, 3] each → [N, 3, H, W] float32 in [−1, 1]."""
    # Planar on purpose: torch 2.13's CPU backward of narrow channels-last convolutions corrupts memory.
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))).float() / 127.5 - 1


def sketch_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """uint8 [H, W] or [H, W, C] each → [N, 1, H, W] float32 in [0, 1]."""
    grey = [image if image.ndim == 2 else image.mean(axis=2) for image in images]
    return torch.from_numpy(np.stack(grey)[:, None]).float() / 255


def mask_tensor(labels: Sequence[np.ndarray], classes: int = 19) -> Tensor:
    """uint8 [H, W] each → one-hot [N, classes, H, W] float32; 255 (none) is zero everywhere."""
    stacked = torch.from_numpy(np.stack(labels)).long()
    return (stacked[:, None] == torch.arange(classes)[None, :, None, None]).float()
