"""The encoder for inference: batch norms folded, Winograd's convolutions where they pay, no copies between.

A snapshot of an Encoder's weights; the same numbers as `Encoder` within float rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone import Bottleneck, SqueezeExcite
from models.encoder import Content, Encoder
from models.fast_batch import BatchConv, Target, convolution
from models.fast_layers import Conv, batch_norm_affine
from models.latent_batch import join_contents


class FastBottleneck:
    """An IR-SE bottleneck, [B, in, H, W] → [B, out, H/stride, W/stride]."""

    def __init__(self, block: Bottleneck, target: Target) -> None:
        norm_in, conv1, prelu, conv2, norm_out, excite = block.res_layer
        assert isinstance(conv1, nn.Conv2d)
        assert isinstance(prelu, nn.PReLU)
        assert isinstance(conv2, nn.Conv2d)
        assert isinstance(excite, SqueezeExcite)
        self._target, slope = target, prelu.weight.detach()
        self._conv1: Callable[[Tensor], Tensor]
        if target.by_sample:
            scale, shift = batch_norm_affine(norm_in)
            self._conv1 = Conv(conv1.weight, scale=scale, shift=shift, slope=slope)
        else:  # it stands before zero padding, so that no weight can hold it; its own kernel keeps float32 inside
            self._conv1 = _after(norm_in, convolution(target, conv1.weight, slope=slope))
        gain, bias = batch_norm_affine(norm_out)
        self._stride = conv2.stride[0]
        self._conv2: Callable[[Tensor], Tensor]
        if self._stride == 1:
            self._conv2 = convolution(target, conv2.weight, gain=gain, bias=bias)
        else:
            folded = target.cast(conv2.weight.detach() * gain[:, None, None, None])
            bias = bias.to(target.dtype)
            self._conv2 = partial(F.conv2d, weight=folded, bias=bias, stride=self._stride, padding=1)
        self._fc1, self._fc2 = (fc.weight.detach()[:, :, 0, 0] for fc in (excite.fc1, excite.fc2))
        self._shortcut: tuple[Tensor, Tensor] | None = None
        if isinstance(block.shortcut_layer, nn.Sequential):
            conv, norm = block.shortcut_layer
            assert isinstance(conv, nn.Conv2d)
            gain, bias = batch_norm_affine(norm)
            weight = conv.weight.detach() * gain[:, None, None, None]
            self._shortcut = target.cast(weight), bias.to(target.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        y = self._conv2(self._conv1(x))
        mean = y.mean(dim=(2, 3), dtype=torch.float32)
        gate = torch.sigmoid(F.linear(torch.relu(F.linear(mean, self._fc1)), self._fc2)).to(y.dtype)
        # The same subsampling as the max pooling of one pixel.
        shortcut = x[:, :, :: self._stride, :: self._stride]
        if self._shortcut is not None:
            shortcut = F.conv2d(self._target.cast(shortcut), *self._shortcut)
        return torch.addcmul(shortcut, y, gate[:, :, None, None], out=y)


class FastEncoder:
    """Content and style of inputs [B, C, H, W]; for float32 on a CPU one sample at a time, so that a batch changes no
    bit."""

    def __init__(self, encoder: Encoder, target: Target) -> None:
        config = encoder.config
        self._encoder, self._target = encoder, target
        self._units = config.tap_units
        self._first: Conv | BatchConv | None = None
        if not config.translation:
            conv, norm, prelu = encoder.input_layer
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(prelu, nn.PReLU)
            gain, bias = batch_norm_affine(norm)
            self._first = convolution(target, conv.weight, gain=gain, bias=bias, slope=prelu.weight.detach())
        blocks = list(encoder.body)[: self._units["c2"] + 1]
        self._body = [FastBottleneck(block, target) for block in blocks if isinstance(block, Bottleneck)]

    def content(self, x1: Tensor) -> Content:
        """As Encoder.content."""
        config = self._encoder.config
        if not config.has_feature and not config.num_skips:
            return Content(None, (), None)
        return join_contents([self._content(self._trunk(x)) for x in self._parts(x1)])

    def style(self, x: Tensor) -> Tensor:
        """As Encoder.style."""
        return torch.cat([self._encoder.style_of_taps(self._trunk(each)) for each in self._parts(x)])

    def content_and_style(self, x1: Tensor) -> tuple[Content, Tensor]:
        """As Encoder.forward: both from one pass."""
        taps = [self._trunk(x) for x in self._parts(x1)]
        contents = [self._content(each) for each in taps]
        return join_contents(contents), torch.cat([self._encoder.style_of_taps(each) for each in taps])

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        return x.split(1) if self._target.by_sample else (x,)

    def _content(self, taps: dict[str, Tensor]) -> Content:
        with self._target.autocast(taps["c256"].device):
            return self._encoder.content_of_taps(taps)

    def _trunk(self, x: Tensor) -> dict[str, Tensor]:
        if self._first is None:
            with self._target.autocast(x.device):
                x = self._encoder.translation(x)
        else:
            x = self._first(x if self._target.by_sample else self._target.cast(x))
        taps = {"c256": (x := self._target.cast(x))}
        for unit, block in enumerate(self._body):
            x = block(x)
            taps |= {name: x for name, tap in self._units.items() if tap == unit}
        return taps


def _after(norm: nn.Module, conv: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: conv(norm(x))
