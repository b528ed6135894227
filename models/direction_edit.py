"""Strengths over time, and several directions with strengths and layers summed into one edit of w+."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from models.errors import ModelError

Easing = Literal["linear", "smooth"]


class Keyframes:
    """A number over frames: exact at its keyframes, interpolated between them, constant outside.

    Args:
        points: frame number → value, at least one.
        easing: "linear", or "smooth": 3t² − 2t³, which rests at each keyframe.

    Raises:
        ModelError: no point, a frame below 0, or a value that is not a finite number.
    """

    def __init__(self, points: Mapping[int, float], easing: Easing = "linear") -> None:
        if not points:
            raise ModelError("keyframes: there are none", "give at least one, e.g. {0: 1.0}")
        for frame, value in points.items():
            if frame < 0 or frame != int(frame) or not math.isfinite(value):
                raise ModelError(
                    f"keyframes: {frame}: {value}", "give frame numbers from 0 up, and finite numbers as values"
                )
        self._frames = sorted(int(frame) for frame in points)
        self._values = [float(points[frame]) for frame in self._frames]
        self._smooth = easing == "smooth"

    @classmethod
    def constant(cls, value: float) -> Keyframes:
        """The same value at every frame."""
        return cls({0: value})

    def value(self, frame_index: int) -> float:
        """At this frame of the clip."""
        after = bisect.bisect_right(self._frames, frame_index)
        if after in (0, len(self._frames)):
            return self._values[max(after - 1, 0)]
        first, last = self._frames[after - 1 : after + 1]
        start, end = self._values[after - 1 : after + 1]
        t = (frame_index - first) / (last - first)
        if self._smooth:
            t = t * t * (3 - 2 * t)
        return start + (end - start) * t


class WeightedDirection(NamedTuple):
    """One term of an edit."""

    direction: Tensor
    """[style_dim] or [1, style_dim], the same for all layers, or [L, style_dim]."""
    strength: Keyframes
    layers: Sequence[int] | None = None
    """Style inputs that it moves; None: all."""


class DirectionEdit:
    """Σ strength(frame) · direction, as one offset of w+.

    Summed in float64 in the order given and rounded once; terms of strength 0 are left out, so that an edit whose
    strengths are all 0 is exactly 0.

    Args:
        num_styles, style_dim: L and the width of w of the model.

    Raises:
        ModelError: a direction of another size, a value that is not finite, or a layer that the model does not have.
    """

    def __init__(self, terms: Iterable[WeightedDirection], num_styles: int, style_dim: int) -> None:
        self._terms = [
            (_placed(number, term, num_styles, style_dim), term.strength) for number, term in enumerate(terms)
        ]
        self._zero = torch.zeros(1, num_styles, style_dim, dtype=torch.float64)

    def offset(self, frame_index: int) -> Tensor:
        """[1, L, style_dim] float32 on the CPU, for this frame of the clip."""
        total = self._zero.clone()
        for vectors, strength in self._terms:
            value = strength.value(frame_index)
            if value != 0:
                total += value * vectors
        return total.float()


def _placed(number: int, term: WeightedDirection, num_styles: int, style_dim: int) -> Tensor:
    """[1, L, style_dim] float64, zero outside the term's layers."""
    rows = term.direction.detach().cpu().double()
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[0] not in (1, num_styles) or rows.shape[1] != style_dim:
        raise ModelError(
            f"direction {number} has shape {list(term.direction.shape)}",
            f"this model takes [{style_dim}] or [{num_styles}, {style_dim}]",
        )
    if not rows.isfinite().all():
        raise ModelError(f"direction {number} holds values that are not finite", "make or fetch the file again")
    if term.layers is None:
        return rows.expand(num_styles, -1)[None].clone()
    chosen = sorted(set(term.layers))
    if chosen and not 0 <= chosen[0] <= chosen[-1] < num_styles:
        raise ModelError(
            f"direction {number}: layers {chosen} reach outside this model", f"choose from 0 to {num_styles - 1}"
        )
    placed = torch.zeros(1, num_styles, style_dim, dtype=torch.float64)
    placed[0, chosen] = rows.expand(num_styles, -1)[chosen]
    return placed
