"""Grouping for the network: frames into batches, windows of equal size together.

On a CPU every window goes through the network alone: oneDNN blocks by batch size, so that a batch changes last bits
(4e-7 measured), and it gains no speed there. A frame's result then does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from stages.device_pixels import to_device
from stages.types import CroppedFace

T = TypeVar("T")


def x1_of(crop: CroppedFace, device: torch.device) -> Tensor:
    """What the encoder sees of a window, [C, h, w] on the network's device."""
    return to_device(crop.image if isinstance(crop.image, Tensor) else torch.from_numpy(crop.image), device)


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items in order; the last may be shorter."""
    while group := list(islice(items, size)):
        yield group


def passes(shapes: Sequence[Hashable], device: torch.device) -> list[list[int]]:
    """Positions that go through the network together: equal shapes, or each alone on a CPU."""
    if device.type == "cpu":
        return [[position] for position in range(len(shapes))]
    groups: dict[Hashable, list[int]] = {}
    for position, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(position)
    return list(groups.values())
