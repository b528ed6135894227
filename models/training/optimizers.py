"""Optimisers, what stands between a loss and its step, and the averaged copy of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from models.precision import Precision, arithmetic
from models.training.distributed import World
from models.training.settings import OptimizerSettings
from models.training.watch import require_finite


class Ranger(torch.optim.RAdam):
    """RAdam with Lookahead (Zhang et al. 2019): slow weights follow the fast ones, which then go back to them.

    The slow weights and the count are part of the state.

    Args:
        every: steps forward for one back.
        share: how far the slow weights follow.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | list[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        every: int = 6,
        share: float = 0.5,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas)
        self._every, self._share, self._count = every, share, 0
        self._slow = [[p.detach().clone() for p in group["params"]] for group in self.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See torch.optim.Optimizer; no closure."""
        super().step()
        self._count += 1
        if self._count % self._every == 0:
            for slow, group in zip(self._slow, self.param_groups, strict=True):
                for kept, fast in zip(slow, group["params"], strict=True):
                    kept.lerp_(fast, self._share)
                    fast.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs."""
        return {"inner": super().state_dict(), "slow": self._slow, "count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        super().load_state_dict(state_dict["inner"])
        self._count = state_dict["count"]
        with torch.no_grad():
            for slow, saved in zip(self._slow, state_dict["slow"], strict=True):
                for kept, value in zip(slow, saved, strict=True):
                    kept.copy_(value)


def make_optimizer(
    parameters: Iterable[Tensor] | list[dict[str, Any]], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """The optimiser that the settings name. A group may have a `factor` of the learning rate of its own."""
    kind = Ranger if settings.name == "ranger" else torch.optim.Adam
    return kind(parameters, lr=settings.learning_rate, betas=settings.betas)


class Descent:
    """Gradients and the step that they make: their scale in fp16, their mean over the processes, their clipping.

    Args:
        optimizer: over all that learns.
        precision: arithmetic of the forward pass (torch.amp); weights, losses and steps stay fp32.
        clip: largest norm of the gradient; 0: not clipped.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        world: World,
        device: torch.device,
        precision: Precision = "fp32",
        clip: float = 0.0,
    ) -> None:
        self.optimizer = optimizer
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._precision: Precision = precision
        self._world, self._device, self._limit = world, device, clip or math.inf
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Within: the forward pass."""
        return arithmetic(self._precision, self._device)

    def start(self, rate: float) -> None:
        """Begin a step at this learning rate, whatever a checkpoint had."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, a scalar."""
        self._scaler.scale(loss).backward()

    def finish(self) -> None:
        """The step; in fp16 none where a gradient overflowed.

        Raises:
            DivergedError: the gradient's norm is no number, in fp32 and bf16.
        """
        self._world.average_gradients(self._parameters)  # first, so that an overflow anywhere is one everywhere
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters, self._limit)
        if not self._scaler.is_enabled():
            require_finite(norm.item(), "the gradient's norm")
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state.get("scaler", {}))


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move averaged parameters by 1 − decay towards the net's; buffers are copied."""
    for kept, new in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(new.detach(), 1 - decay)
    for kept, new in zip(average.buffers(), net.buffers(), strict=True):
        kept.copy_(new)
