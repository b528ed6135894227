"""Layers for inference on a GPU and in reduced precision: [B, C, H, W], whole batches, no gradients.

What a w+ decides is multiplied into the weights where the batch shares it, once, in float32, and only then rounded to
the numbers that the convolution takes; where every sample has its own, it goes onto input and output instead, so that
one convolution still serves the batch (StyleGAN2 §2.2 gives the algebra). No grouped convolutions of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fast_layers import Conv, activate
from models.layers import ToRGB
from models.ops import Blur
from models.precision import Precision


@dataclass(frozen=True, slots=True)
class Target:
    """The kind of arithmetic that the fast formulation is made for."""

    dtype: torch.dtype = torch.float32
    """Of the convolutions; styles, demodulation, gates and the running RGB image are float32 in any case."""
    memory_format: torch.memory_format = torch.channels_last
    """Tensor cores take and give channels_last; float32 on a GPU does not use them and is quicker without."""
    by_sample: bool = True
    """Samples one by one, with Winograd's convolutions and in strips that a CPU's cache holds (models/fast_layers.py):
    for float32 on a CPU. False: this file's layers."""
    fused: bool = False
    """Transposed convolution and FIR filter as one convolution: four times the multiplications in a quarter of the
    passes over the largest maps, which is a gain where the multiplications cost next to nothing."""

    @classmethod
    def of(cls, device: torch.device, precision: Precision) -> Target:
        """What suits a device."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
        if device.type == "cpu":
            return cls(dtype, by_sample=dtype == torch.float32)
        tensor_cores = precision != "fp32"
        memory_format = torch.channels_last if tensor_cores else torch.contiguous_format
        return cls(dtype, memory_format, by_sample=False, fused=tensor_cores)

    def cast(self, x: Tensor) -> Tensor:
        """A map or a weight as the convolutions want it; no copy of what is so already."""
        return x.to(self.dtype).contiguous(memory_format=self.memory_format)

    def autocast(self, device: torch.device) -> torch.autocast | nullcontext[None]:
        """Within: plain modules compute as these layers do."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(device.type, self.dtype)


class BatchConv:
    """activation(gain · convolve(scale · x) + bias + noise).

    Args:
        convolve: (x, bias=…) → [B, O, H', W'].
        bias: [O] in the target's dtype, or None.
        slope: of the leaky ReLU, one or [O] (PReLU); None: no activation.
        scale, gain: [B, C] and [B, O], both or none; they go with a bias.
    """

    def __init__(
        self,
        convolve: Callable[..., Tensor],
        bias: Tensor | None,
        slope: float | Tensor | None,
        scale: Tensor | None = None,
        gain: Tensor | None = None,
    ) -> None:
        self._convolve, self._bias, self._slope = convolve, bias, slope
        self._scale, self._gain = (None if each is None else each[:, :, None, None] for each in (scale, gain))

    def __call__(self, *parts: Tensor, noise: Tensor | None = None) -> Tensor:
        """x in pieces along the channels; noise [1 or B, 1, H', W'], float32."""
        x = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
        if self._scale is None or self._gain is None or self._bias is None:
            y = self._convolve(x, bias=self._bias)
        else:
            y = torch.addcmul(self._bias[:, None, None], self._convolve(x * self._scale, bias=None), self._gain)
        if noise is not None:
            y = y + noise.to(y.dtype)
        return activate(y, self._slope)


def convolution(
    target: Target,
    weight: Tensor,
    *,
    gain: Tensor | None = None,
    bias: Tensor | None = None,
    slope: float | Tensor | None = None,
) -> Conv | BatchConv:
    """3 × 3 with one fixed weight, for any target: activation(gain · conv(x) + bias); gain and bias [O], float32."""
    if target.by_sample:
        return Conv(weight, gain=gain, bias=bias, slope=slope)
    weight = weight.detach() if gain is None else weight.detach() * gain[:, None, None, None]
    if isinstance(slope, Tensor):
        slope = slope.to(target.dtype)
    own = None if bias is None else bias.to(target.dtype)
    return BatchConv(partial(F.conv2d, weight=target.cast(weight), padding=1), own, slope)


def doubling(target: Target, weight: Tensor, blur: Blur) -> Callable[..., Tensor]:
    """Transposed convolution of stride 2, then the FIR filter: (x [B, C, H, W], bias=…) → [B, O, 2H, 2W].

    Args:
        weight: [O, C, 3, 3].
    """
    if target.fused:
        return partial(_phases, weight=target.cast(fused_phases(weight, blur.kernel)))
    kernel = target.cast(blur.kernel.expand(weight.shape[0], -1, -1, -1))
    return partial(_then_filtered, weight=target.cast(weight.transpose(0, 1)), kernel=kernel)


def fused_phases(weight: Tensor, kernel: Tensor) -> Tensor:
    """[4·O, C, 3, 3]: the ordinary convolutions that give the four parities (row, column) of a doubled map.

    Convolved with the FIR filter [1, 1, 4, 4], a transposed convolution's [O, C, 3, 3] has 6 × 6 taps; tap i meets
    input j at output 2j + i − 2, so each parity sees every other tap, last one first.
    """
    units = torch.eye(9, dtype=kernel.dtype, device=kernel.device).view(9, 1, 3, 3)
    taps = F.conv2d(units, kernel, padding=3)[:, 0]  # [9, 6, 6]: what each number of the weight adds to
    phases = [taps[:, row::2, column::2].flip(1, 2).reshape(9, 9) for row in (0, 1) for column in (0, 1)]
    return (weight.reshape(-1, 9) @ torch.stack(phases)).view(-1, *weight.shape[1:])


def _phases(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = F.conv2d(x, weight, None if bias is None else bias.repeat(4), padding=1)
    batch, _, height, width = y.shape
    # In channels_last memory (row parity, column parity, channel) lie last: one copy puts the rows in their places.
    y = y.permute(0, 2, 3, 1).reshape(batch, height, width, 2, -1).transpose(2, 3)
    return y.reshape(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _then_filtered(x: Tensor, weight: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(F.conv_transpose2d(x, weight, stride=2), kernel, bias, padding=1, groups=kernel.shape[0])


def batch_to_rgb(layer: ToRGB, w: Tensor) -> Callable[[Tensor], Tensor]:
    """ToRGB for w [1 or B, style_dim], without the running image: [B, C, H, W] → [B, 3, H, W], planar float32."""
    style = layer.conv.modulation(w) * layer.conv.scale
    weight = layer.conv.weight.detach()[None, :, :, 0, 0] * style[:, None]  # [1 or B, 3, C]
    bias = layer.bias.detach().view(1, 3, 1)

    def to_rgb(x: Tensor) -> Tensor:
        pixels = x.float().flatten(2)
        return torch.baddbmm(bias, weight.expand(x.shape[0], -1, -1), pixels).view(-1, 3, *x.shape[2:])

    return to_rgb


def doubled(rgb: Tensor) -> Tensor:
    """models.ops.Upsample: the filter of zeros inserted is the bilinear one, but for the zeros beyond the edge."""
    height, width = rgb.shape[2:]
    wide = F.interpolate(F.pad(rgb, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return wide[:, :, 2 : 2 * height + 2, 2 : 2 * width + 2]
