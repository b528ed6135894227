"""StyleGAN2's layers, with receptive fields rescaled as in StyleGANEX §3.1.

"Equalised" weights are N(0, 1) and are multiplied by 1/√fan_in at run time.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ops import BINOMIAL, FIR, SQRT2, Blur, Upsample


def full_precision(x: Tensor) -> torch.autocast:
    """Within: the arithmetic is the tensors' own, also where the network runs in reduced precision."""
    return torch.autocast(x.device.type, enabled=False)


class EqualLinear(nn.Module):
    """Equalised linear layer [B, in] → [B, out]; optionally followed by leaky ReLU (0.2) · √2.

    Args:
        bias_init: value of every bias at the start.
        lr_multiplier: scale of weight and bias at run time; below 1 the layer learns more slowly.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.lr_multiplier = lr_multiplier
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)
        return F.leaky_relu(y, 0.2) * SQRT2 if self.activate else y


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style (StyleGAN2 §2.2), same size, optionally dilated.

    Written with the scaling on the input and the demodulation on the output: the same algebra as scaling the weights,
    but one convolution serves every sample of the batch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        *,
        kernel_size: int = 3,
        dilation: int = 1,
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.modulation = EqualLinear(style_dim, in_channels, bias_init=1.0)
        self.scale = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.dilation = dilation
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor, bias: Tensor, gain: float = 1.0) -> Tensor:
        """gain·conv(x, w) + bias.

        Args:
            x: [B, in, H, W].
            w: [1 or B, style_dim].
            bias: [1, out, 1, 1].
        """
        with full_precision(x):
            style = self.modulation(w)  # [B, in]
            weight = self.weight * self.scale
            energy = weight.square().sum(dim=(2, 3))  # [out, in]
            factor = gain * torch.rsqrt(style.square() @ energy.T + 1e-8)  # [B, out]
        y = self._convolve(x * style[:, :, None, None].to(x.dtype), weight)
        if not self.demodulate:
            return y * gain + bias
        return torch.addcmul(bias.to(y.dtype), y, factor[:, :, None, None].to(y.dtype))

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        padding = self.dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, padding=padding, dilation=self.dilation)


class UpConv(ModulatedConv):
    """[B, in, H, W] → [B, out, 2H, 2W]: transposed convolution, then the FIR filter (StyleGAN2)."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__(in_channels, out_channels, style_dim)
        self.blur = Blur(FIR, padding=1, gain=4.0)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))


class RescaledUpConv(ModulatedConv):
    """UpConv for native sizes 8, 16, 32: keeps H × W and reaches as far by dilation (StyleGANEX §3.1).

    Args:
        dilation: of both convolutions; 32 / native size.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, dilation: int) -> None:
        super().__init__(in_channels, out_channels, style_dim, dilation=dilation)
        # Depthwise transposed without padding: with a symmetric kernel, a convolution padded to its full extent.
        self.blur = Blur(BINOMIAL, padding=2 * dilation, dilation=dilation)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        dilation = self.dilation
        return F.conv_transpose2d(self.blur(x), weight.transpose(0, 1), padding=2 * dilation, dilation=dilation)


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU (0.2) · √2.

    Args:
        conv: its output has `out_channels`.
    """

    def __init__(self, conv: ModulatedConv, out_channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.noise_weight = nn.Parameter(torch.zeros(1))
        self.activation_bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """x [B, in, H, W], w [1 or B, style_dim], noise [1 or B, 1, h, w] (pooled to the output's size) or None."""
        # √2 is folded into what enters the leaky ReLU, which is positively homogeneous: one pass less over the output.
        y = self.conv(x, w, self.activation_bias[:, None, None] * SQRT2, gain=SQRT2)
        if noise is not None:
            noise = F.adaptive_avg_pool2d(noise, (y.shape[2], y.shape[3]))
            y = y + ((self.noise_weight * SQRT2) * noise).to(y.dtype)
        return F.leaky_relu(y, 0.2, inplace=True)


class ToRGB(nn.Module):
    """Adds a layer's RGB [B, 3, H, W] to the running image.

    Args:
        native_size: size at which this layer works in StyleGAN2; it decides how the running image is brought here.
    """

    def __init__(self, in_channels: int, style_dim: int, native_size: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, 3, style_dim, kernel_size=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        dilation = 32 // native_size
        self.resample = Upsample() if native_size > 32 else Blur(BINOMIAL, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor, w: Tensor, rgb: Tensor | None) -> Tensor:
        """x [B, in, H, W], w [1 or B, style_dim], rgb: the running image of the layer before, None for the first."""
        # The running image is a sum over all layers: it stays float32 in every precision.
        with full_precision(x):
            y = self.conv(x.to(self.bias.dtype), w, self.bias)
            return y if rgb is None else y + self.resample(rgb)
