"""One frame of inversion step II on its way: what is optimised, by what, along which schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.errors import ModelError
from models.inversion_loss import (
    DESCENT,
    NOISE_WEIGHT,
    PEAK_RATE,
    descent,
    inversion_loss,
    jitter_scale,
    psnr,
    rise,
)
from models.latent import Latent
from models.latent_batch import map_tensors, row, select
from models.noise_maps import initial_noise, noise_shapes, normalize_noise_
from models.perceptual import Distance
from models.styleganex import StyleGANEX


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Numbers of step II. The defaults are the published ones, with no early stop."""

    steps: int = 500
    """Steps from a cold start."""
    warm_steps: int = 100
    """Steps from a warm start: the last `warm_steps` of `steps`, with the same rise of the learning rate before them.
    Above a quarter of `steps`, w+ is jittered as at that point of a cold start."""
    rate: float = PEAK_RATE
    """Peak learning rate of both optimisers."""
    noise: bool = True
    """Optimise noise maps too. False: zero noise, as the video path draws."""
    noise_weight: float = NOISE_WEIGHT
    """Weight of the noise regulariser."""
    patience: int | None = None
    """Steps without a better running mean of the loss after which a frame goes on to the final descent of the learning
    rate, or stops where it is there already. None: never."""
    window: int = 25
    """Steps in the running mean."""

    def __post_init__(self) -> None:
        for name in ("steps", "warm_steps", "window", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ModelError(f"optimize: {name} = {value}", "give 1 or more")
        if self.warm_steps > self.steps:
            raise ModelError(
                f"optimize: warm_steps = {self.warm_steps} of steps = {self.steps}", "give no more than steps"
            )


class Optimized(NamedTuple):
    """What step II gives for B frames."""

    latent: Latent
    """Detached; the skip features are those of the start."""
    noise: tuple[Tensor, ...] | None
    """One [B, 1, h, w] per styled convolution, for `synthesize(noise=…)`; None where `Schedule.noise` is off."""
    start: Latent
    """What step I gave."""
    losses: tuple[tuple[float, ...], ...]
    """Per frame, the loss at every step that was taken, at the jittered w+."""
    psnr: tuple[float, ...]
    """Per frame, dB between result and target, averaged to one size."""

    def frame(self, index: int) -> Optimized:
        """One frame, batch size 1; negative indices count from the end."""
        index = range(len(self.psnr))[index]
        noise = None if self.noise is None else tuple(row(maps, index) for maps in self.noise)
        latent, start = select(self.latent, index), select(self.start, index)
        return Optimized(latent, noise, start, (self.losses[index],), (self.psnr[index],))


class FrameOptimizer:
    """One frame on its way: what is optimised, by what, and how far it is."""

    def __init__(
        self,
        net: StyleGANEX,
        target: Tensor,
        initial: Latent,
        schedule: Schedule,
        spread: float,
        seed: int,
        warm: Optimized | None,
    ) -> None:
        self.target, self.schedule, self.spread = target, schedule, spread
        self.start = map_tensors(initial, lambda tensor: tensor.detach().clone())
        self.losses: list[float] = []
        self._generator = torch.Generator().manual_seed(seed)
        self._position = 0 if warm is None else schedule.steps - schedule.warm_steps
        """Of 0 … steps on the schedule; `steps`: done."""
        self._best, self._best_at = math.inf, 0
        begin = self.start if warm is None else _carry(self.start, warm)
        wplus, spatial = _leaf(begin.wplus), {}
        if begin.feature is not None:
            spatial["feature"] = _leaf(begin.feature)
        if begin.feature_rgb is not None and net.config.feature_index == 1:
            spatial["feature_rgb"] = _leaf(begin.feature_rgb)
        self.latent = begin._replace(wplus=wplus, **spatial)
        self.noise = [_leaf(maps) for maps in self._first_noise(net, begin, warm)] if schedule.noise else None
        self._begin = begin, None if self.noise is None else [maps.detach().clone() for maps in self.noise]
        groups = [[wplus], [*spatial.values(), *(self.noise or ())]]
        self.parameters = [parameter for group in groups for parameter in group]
        self._optimizers = [torch.optim.Adam(group, lr=schedule.rate) for group in groups if group]

    @property
    def left(self) -> int:
        """Steps to go at most."""
        return self.schedule.steps - self._position

    def jittered(self) -> Latent:
        """Where the loss of this step is taken."""
        scale = self.spread * jitter_scale(self._position / self.schedule.steps)
        if not scale:
            return self.latent
        drawn = torch.randn(self.latent.wplus.shape, generator=self._generator).to(self.target.device)
        return self.latent._replace(wplus=self.latent.wplus + scale * drawn)

    def advance(self, loss: float) -> None:
        """One step of both optimisers along the gradients that are there, then on along the schedule."""
        steps = self.schedule.steps
        for optimizer in self._optimizers:
            # A cold start's rise is that of t itself; a warm start has its own.
            optimizer.param_groups[0]["lr"] = (
                self.schedule.rate * rise(len(self.losses) / steps) * descent(self._position / steps)
            )
            optimizer.step()
            optimizer.zero_grad()
        normalize_noise_(self.noise or ())
        self.losses.append(loss)
        self._position += 1
        if self.schedule.patience is not None and len(self.losses) >= self.schedule.window:
            self._watch(self.schedule.patience)

    def _watch(self, patience: int) -> None:
        mean = sum(self.losses[-self.schedule.window :]) / self.schedule.window
        if mean < self._best:
            self._best, self._best_at = mean, len(self.losses)
        elif len(self.losses) - self._best_at >= patience:
            last_part = math.ceil(DESCENT * self.schedule.steps)
            self._position = last_part if self._position < last_part else self.schedule.steps
            self._best_at = len(self.losses)

    def result(self, net: StyleGANEX, distance: Distance) -> Optimized:
        """The end, without jitter; the beginning, should the loss be lower there (too short a schedule)."""
        end = map_tensors(self.latent, lambda tensor: tensor.detach())
        choices = [(end, None if self.noise is None else [maps.detach() for maps in self.noise]), self._begin]
        with torch.no_grad():
            weight = self.schedule.noise_weight
            losses = [inversion_loss(net, *choice, self.target, distance, weight).item() for choice in choices]
            latent, noise = choices[losses[1] < losses[0]]
            quality = psnr(net.synthesize(latent, noise=noise), self.target).item()
        return Optimized(latent, None if noise is None else tuple(noise), self.start, (tuple(self.losses),), (quality,))

    def _first_noise(self, net: StyleGANEX, begin: Latent, warm: Optimized | None) -> Sequence[Tensor]:
        size = (256, 256)
        if begin.feature is not None:
            size = (begin.feature.shape[2] * 8, begin.feature.shape[3] * 8)
        shapes = noise_shapes(net.config, *size)
        if warm is not None and warm.noise is not None and tuple(tuple(n.shape[2:]) for n in warm.noise) == shapes:
            return warm.noise
        return [maps.to(self.target.device) for maps in initial_noise(shapes, self._generator)]


def _carry(start: Latent, warm: Optimized) -> Latent:
    """`start` with the corrections that `warm` made to its own start."""
    moved = {"wplus": start.wplus + (warm.latent.wplus - warm.start.wplus)}
    for name in ("feature", "feature_rgb"):
        now, new, old = getattr(start, name), getattr(warm.latent, name), getattr(warm.start, name)
        if now is not None and new is not None and new.shape == now.shape:
            moved[name] = now + (new - old)
    return start._replace(**moved)


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_()
