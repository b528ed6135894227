"""The base of everything that a training YAML may set, and the settings that all recipes share."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A part of a training configuration: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def ascending(least: float) -> AfterValidator:
    """For a pair (smallest, largest): in this order, and none below `least`."""

    def check(pair: tuple[float, float]) -> tuple[float, float]:
        if not least <= pair[0] <= pair[1]:
            raise ValueError(f"the smallest first, then the largest, none below {least:g}")
        return pair

    return AfterValidator(check)


def _rising(steps: tuple[int, ...]) -> tuple[int, ...]:
    if any(b <= a for a, b in pairwise((0, *steps))):
        raise ValueError("steps above 0, in rising order")
    return steps


class OptimizerSettings(Settings):
    """Which optimiser, and the learning rate over the run."""

    name: Literal["adam", "ranger"] = "adam"
    """ranger: RAdam with Lookahead, as published for the encoder."""
    learning_rate: float = Field(default=2e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = Field(default=100, ge=0)
    """Steps until the learning rate is reached."""
    decay: Literal["cosine", "none"] = "cosine"
    """After the warm-up: to zero as a half cosine, or constant as published."""
    restarts: Annotated[tuple[int, ...], AfterValidator(_rising)] = ()
    """Steps at which the cosine has come to zero and begins anew, each time half as high (warm restarts, Loshchilov &
    Hutter, ICLR 2017): a run that was too short goes on, and the steps before stay what they were."""
    clip: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient; 0: not clipped."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients make one step."""

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.decay == "none":
            return self.learning_rate
        bounds = (self.warmup, *self.restarts, steps)
        cycle = sum(restart <= step for restart in self.restarts)
        first, end = bounds[cycle : cycle + 2]
        share = min(1.0, (step - first) / max(end - first, 1))
        return self.learning_rate * 0.5**cycle * (0.5 * (1 + math.cos(math.pi * share)))


class RunSettings(Settings):
    """How long, how often something is written, and when to give up."""

    steps: int = Field(default=1000, ge=1)
    save_every: int = Field(default=500, ge=1)
    """Steps between checkpoints, each with a sheet of samples."""
    seed: int = 0
    explode_factor: float = Field(default=20.0, gt=1)
    """A loss above this many times the usual one (the lower third of the last 100) is taken for an explosion …"""
    explode_steps: int = Field(default=8, ge=1)
    """… when so many steps in a row are."""
    tensorboard: bool = False
    """Also write TensorBoard events, where that package is installed."""
