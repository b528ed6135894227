"""Several processes (torchrun), one model: gradients and statistics are averaged, everything else stays the same.

Gradients are averaged by hand, in one flat message per data type, and not by the DistributedDataParallel wrapper: the
networks are called through several entry points, R1 and path-length regularisation differentiate twice, and parts of
them go unused in some steps. Every process ends each step with the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from models.errors import UserError


class World(NamedTuple):
    """This process among all of them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Mean over the processes of every gradient; one that is missing anywhere counts as zero there."""
        if self.size == 1:
            return
        wanted = [p for p in parameters if p.requires_grad]
        for p in wanted:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        self._average([p.grad for p in wanted if p.grad is not None])

    def average_buffers(self, net: nn.Module) -> None:
        """Mean over the processes of the floating-point buffers (batch-norm statistics)."""
        if self.size > 1:
            self._average([buffer for buffer in net.buffers() if buffer.is_floating_point()])

    def mean(self, value: float) -> float:
        """Mean of a number over the processes."""
        if self.size == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64, device=_device())
        dist.all_reduce(held)
        return held.item() / self.size

    def any(self, flag: bool) -> bool:
        """True everywhere when it is anywhere."""
        return self.mean(float(flag)) > 0

    def _average(self, tensors: list[Tensor]) -> None:
        for dtype in sorted({t.dtype for t in tensors}, key=str):
            same = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat([t.flatten() for t in same])
            dist.all_reduce(flat)
            flat /= self.size
            with torch.no_grad():
                for t, mean in zip(same, flat.split([t.numel() for t in same]), strict=True):
                    t.copy_(mean.view_as(t))


def join_world() -> World:
    """Join the processes that torchrun started; alone where it did not."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return World(dist.get_rank(), dist.get_world_size())


def leave_world() -> None:
    """Undo `join_world`."""
    if dist.is_initialized():
        dist.destroy_process_group()


def local_device(name: str) -> torch.device:
    """The device of this process; cuda is its own GPU.

    Raises:
        UserError: more processes than GPUs.
    """
    device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" else name)
    if device.type == "cuda":
        if device.index >= torch.cuda.device_count():
            what = f"device: {name}: process {device.index} of {torch.cuda.device_count()} GPUs"
            raise UserError(what, "start no more processes than there are GPUs")
        torch.cuda.set_device(device)
    return device


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
