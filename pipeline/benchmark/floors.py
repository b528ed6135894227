"""What the machine needs at best: operations over the rate of a large product of matrices, bytes over that of a copy.

Operations are those of the direct formulation with nothing computed that a video frame does not need: no style heads,
no second encoder pass. Bytes are the weights, the input and the output, once each: no formulation can do with fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from models.config import ModelConfig
from models.latent import Latent
from models.precision import Precision, arithmetic
from models.styleganex import StyleGANEX
from pipeline.benchmark.measure import copy_rate, matmul_rate

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Work:
    """Of one frame."""

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one device in one precision, measured on the spot."""

    matmul: float
    """Floating-point operations per second."""
    copy: float
    """Bytes per second, read and written."""

    @classmethod
    def measure(cls, device: str, precision: Precision) -> Rates:
        """A few large products and copies."""
        place = torch.device(device)
        with arithmetic(precision, place):
            return cls(matmul_rate(place, DTYPES[precision]), copy_rate(place))

    def floor(self, work: Work) -> tuple[float, str]:
        """(seconds, what sets them)."""
        arithmetic, bandwidth = work.flops / self.matmul, work.bytes / self.copy
        return (arithmetic, "arithmetic") if arithmetic >= bandwidth else (bandwidth, "bandwidth")


@lru_cache
@torch.inference_mode(False)
@torch.enable_grad()
def count(config: ModelConfig, height: int, width: int, batch: int = 1, precision: str = "fp32") -> dict[str, Work]:
    """encoder, generator → the work of one frame among `batch` frames of x1 [·, C, height, width]; nothing is computed.

    Args:
        batch: frames that share one reading of the weights.
    """
    # Tensors without memory. Gradients on, so that the plain formulation, which is the direct one, is counted.
    with FakeTensorMode():
        net = StyleGANEX(config).eval()
        x1 = torch.empty(1, config.input_channels, height, width)
        wplus = torch.empty(1, config.num_styles, config.style_dim)
        with FlopCounterMode(display=False) as counted:
            content = net.encode_content(x1)
        flops = {"encoder": counted.get_total_flops()}
        with FlopCounterMode(display=False) as counted:
            image = net.synthesize(Latent(wplus, *content))
        flops["generator"] = counted.get_total_flops()
    encoder = net.encoder
    assert encoder is not None
    size = DTYPES[precision].itemsize
    first: nn.Module = encoder.translation if config.translation else encoder.input_layer
    trunk = [first, *list(encoder.body)[: config.tap_units["c2"] + 1]]
    kept = [each for each in (content.feature, *content.skips) if each is not None]
    between = sum(each.numel() for each in kept) * size
    weights = {
        "encoder": sum(_numbers(module) for module in trunk) * size,
        "generator": (_numbers(net.generator.convs) + _numbers(net.generator.conv1) + _numbers(net.fusion)) * size,
    }
    outside = {"encoder": x1.numel() * 4 + between, "generator": between + image.numel() * 4}
    return {part: Work(flops[part], weights[part] / batch + outside[part]) for part in flops}


def _numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
