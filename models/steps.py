"""The generator taken apart into steps, so that parts of the image can be drawn one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from models.fusion import SkipFusion
from models.generator import Generator
from models.moments import Moments
from models.precision import Precision, arithmetic


class Steps(Protocol):
    """The generator for one w+ and one edit, batch size 1, in either formulation.

    `fuse` and `block` take any window of their maps and are right but for a rim at its edges, which have the zero
    padding that belongs to the edges of the whole map; models/tiling.py knows how wide the rim is.
    """

    def start(self, feature: Tensor | None, feature_rgb: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Feature [1, C, H/8, W/8] and RGB [1, 3, H/8, W/8] before block 0; Generator.start."""
        ...

    def fuse(
        self, k: int, x: Tensor, rgb: Tensor, skip: Tensor, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """Feature and RGB with the skip feature E_k brought in.

        Args:
            moments: of the whole map's `compare`, where x is a part and the attention is on.
        """
        ...

    def compare(self, k: int, x: Tensor, skip: Tensor) -> Tensor:
        """What the attention of skip connection k normalises, [1, 2·C, h, w]."""
        ...

    def block(self, k: int, x: Tensor, rgb: Tensor, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Feature and RGB after block k, [1, ·, 2h, 2w] from native size 64 on; Generator.block.

        Args:
            noise: one map [1, 1, ·, ·] or None for each of both convolutions, pooled to the feature's size.
        """
        ...


class PlainSteps:
    """Steps of the plain formulation, on every device and in every precision.

    Args:
        wplus: [1, L, style_dim], `edit` added.
        edit: [1, L, style_dim], shown to the attention; None: no attention.
    """

    def __init__(
        self,
        generator: Generator,
        fusions: Sequence[SkipFusion],
        wplus: Tensor,
        edit: Tensor | None,
        precision: Precision,
    ) -> None:
        self._generator, self._fusions, self._wplus, self._edit = generator, fusions, wplus, edit
        self._precision: Precision = precision

    def start(self, feature: Tensor | None, feature_rgb: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """See Steps."""
        with arithmetic(self._precision, self._wplus.device):
            return self._generator.start(self._wplus, feature, feature_rgb, noise)

    def fuse(
        self, k: int, x: Tensor, rgb: Tensor, skip: Tensor, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """See Steps."""
        direction = None if self._edit is None else self._edit[:, 2 * k + 1]
        with arithmetic(self._precision, self._wplus.device):
            return self._fusions[k](x, rgb, skip, direction, moments)

    def compare(self, k: int, x: Tensor, skip: Tensor) -> Tensor:
        """See Steps."""
        with arithmetic(self._precision, self._wplus.device):
            return self._fusions[k].compare(x, self._fusions[k].transform(skip))

    def block(self, k: int, x: Tensor, rgb: Tensor, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """See Steps."""
        with arithmetic(self._precision, self._wplus.device):
            return self._generator.block(k, x, rgb, self._wplus, noise)
