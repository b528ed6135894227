"""Which formulation draws: the plain one, or for inference the fast one with the same numbers.

The plain classes (Encoder, Generator, SkipFusion) train, give gradients, and run on every kind of device.
The fast ones hold weights in other shapes; this file sees to it that they never outlive the weights they came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.fast_batch import Target
from models.fast_encoder import FastEncoder
from models.fast_generator import FastGenerator
from models.fusion import SkipFusion
from models.precision import Precision, choose_float32

if TYPE_CHECKING:
    from models.styleganex import StyleGANEX


class FastPath:
    """Both halves of a network in their fast formulation, each made when it is first asked for in a precision.

    Changes of the weights are noticed by identity, address and PyTorch's version counter; the one change that leaves
    no trace is writing through `parameter.data`, after which `net._fast = None` is due. Training mode and gradients
    always take the plain formulation.
    """

    def __init__(self, net: StyleGANEX) -> None:
        self._net = net
        self._modules = [module for module in net.modules() if module._parameters or module._buffers]
        self._tensors = self._present()
        self._state = [_stamp(tensor) for tensor in self._tensors]
        self._encoders: dict[Target, FastEncoder] = {}
        self._generators: dict[Target, FastGenerator] = {}

    @staticmethod
    def suits(net: StyleGANEX, x: Tensor) -> bool:
        """No gradients, eval mode everywhere, float32 weights on a CPU or an NVIDIA GPU."""
        kind = x.device.type
        if (
            torch.is_grad_enabled()
            or kind not in ("cpu", "cuda")
            or x.dtype != torch.float32
            or torch.is_autocast_enabled(kind)
        ):
            return False
        weight = net.generator.constant
        # A tensor made in inference mode counts no writes.
        if weight.device != x.device or weight.dtype != torch.float32 or weight.is_inference():
            return False
        return not any(module.training for module in net.modules())

    def is_current(self) -> bool:
        """False once any parameter or buffer has been replaced, moved or written to."""
        now = self._present()
        return len(now) == len(self._tensors) and all(
            old is new and state == _stamp(new) for old, new, state in zip(self._tensors, now, self._state, strict=True)
        )

    def encoder(self, precision: Precision) -> FastEncoder:
        """The encoder; only for a network that has one."""
        assert self._net.encoder is not None
        target = self._target(precision)
        if target not in self._encoders:
            self._encoders[target] = FastEncoder(self._net.encoder, target)
        return self._encoders[target]

    def generator(self, precision: Precision) -> FastGenerator:
        """The generator with its skip connections."""
        target = self._target(precision)
        if target not in self._generators:
            fusions = [fusion for fusion in self._net.fusion if isinstance(fusion, SkipFusion)]
            self._generators[target] = FastGenerator(self._net.generator, fusions, target)
        return self._generators[target]

    def _target(self, precision: Precision) -> Target:
        device = self._net.generator.constant.device
        choose_float32(precision, device)
        return Target.of(device, precision)

    def _present(self) -> list[Tensor]:
        tensors: list[Tensor | None] = []
        for module in self._modules:
            tensors += module._parameters.values()
            tensors += module._buffers.values()
        return [tensor for tensor in tensors if tensor is not None]


def _stamp(tensor: Tensor) -> tuple[int, int]:
    """(address, number of in-place writes)."""
    return tensor.data_ptr(), tensor._version
