"""Optimisers and the averaged copy of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from models.training.settings import OptimizerSettings


class Lookahead:
    """k steps forward, one step back (Zhang et al. 2019): slow weights follow the fast ones every `every` steps.

    Ranger is this around RAdam. The slow weights and the count are part of the state.
    """

    def __init__(self, inner: torch.optim.Optimizer, every: int = 6, share: float = 0.5) -> None:
        self._inner, self._every, self._share, self._count = inner, every, share, 0
        self._slow = [[p.detach().clone() for p in group["params"]] for group in inner.param_groups]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of the inner optimiser."""
        return self._inner.param_groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """See torch.optim.Optimizer."""
        self._inner.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self) -> None:
        """See torch.optim.Optimizer."""
        self._inner.step()
        self._count += 1
        if self._count % self._every == 0:
            for slow, group in zip(self._slow, self.param_groups, strict=True):
                for kept, fast in zip(slow, group["params"], strict=True):
                    kept.lerp_(fast, self._share)
                    fast.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs."""
        return {"inner": self._inner.state_dict(), "slow": self._slow, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._inner.load_state_dict(state["inner"])
        self._count = state["count"]
        with torch.no_grad():
            for slow, saved in zip(self._slow, state["slow"], strict=True):
                for kept, value in zip(slow, saved, strict=True):
                    kept.copy_(value)


Optimizer = torch.optim.Optimizer | Lookahead


def make_optimizer(parameters: Iterable[Tensor], settings: OptimizerSettings) -> Optimizer:
    """The optimiser that the settings name."""
    if settings.name == "ranger":
        return Lookahead(torch.optim.RAdam(parameters, lr=settings.learning_rate, betas=settings.betas))
    return torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move averaged parameters by 1 − decay towards the net's; buffers are copied."""
    for kept, new in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(new.detach(), 1 - decay)
    for kept, new in zip(average.buffers(), net.buffers(), strict=True):
        kept.copy_(new)
