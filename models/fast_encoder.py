"""The encoder for inference on the CPU: batch norms folded, Winograd's convolutions where they pay, no copies between.

A snapshot of an Encoder's weights; the same numbers as `Encoder` within float rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone import Bottleneck, SqueezeExcite
from models.encoder import Content, Encoder
from models.fast_layers import Conv, batch_norm_affine, channels_last
from models.latent_batch import join_contents


class FastBottleneck:
    """An IR-SE bottleneck, [1, in, H, W] → [1, out, H/stride, W/stride]."""

    def __init__(self, block: Bottleneck) -> None:
        norm_in, conv1, prelu, conv2, norm_out, excite = block.res_layer
        assert isinstance(conv1, nn.Conv2d)
        assert isinstance(prelu, nn.PReLU)
        assert isinstance(conv2, nn.Conv2d)
        assert isinstance(excite, SqueezeExcite)
        scale, shift = batch_norm_affine(norm_in)
        self._conv1 = Conv(conv1.weight, scale=scale, shift=shift, slope=prelu.weight.detach())
        gain, bias = batch_norm_affine(norm_out)
        self._stride = conv2.stride[0]
        self._conv2: Callable[[Tensor], Tensor]
        if self._stride == 1:
            self._conv2 = Conv(conv2.weight, gain=gain, bias=bias)
        else:
            folded = channels_last(conv2.weight.detach() * gain[:, None, None, None])
            self._conv2 = partial(F.conv2d, weight=folded, bias=bias, stride=self._stride, padding=1)
        self._fc1, self._fc2 = (fc.weight.detach()[:, :, 0, 0] for fc in (excite.fc1, excite.fc2))
        self._shortcut: tuple[Tensor, Tensor] | None = None
        if isinstance(block.shortcut_layer, nn.Sequential):
            conv, norm = block.shortcut_layer
            assert isinstance(conv, nn.Conv2d)
            gain, bias = batch_norm_affine(norm)
            self._shortcut = channels_last(conv.weight.detach() * gain[:, None, None, None]), bias

    def __call__(self, x: Tensor) -> Tensor:
        y = self._conv2(self._conv1(x))
        gate = torch.sigmoid(F.linear(torch.relu(F.linear(y.mean(dim=(2, 3)), self._fc1)), self._fc2))
        # The same subsampling as the max pooling of one pixel.
        shortcut = x[:, :, :: self._stride, :: self._stride]
        if self._shortcut is not None:
            shortcut = F.conv2d(channels_last(shortcut), *self._shortcut)
        return torch.addcmul(shortcut, y, gate[:, :, None, None], out=y)


class FastEncoder:
    """Content and style of inputs [B, C, H, W], one sample at a time, so that a batch changes no bit."""

    def __init__(self, encoder: Encoder) -> None:
        config = encoder.config
        self._encoder = encoder
        self._units = config.tap_units
        self._first: Conv | None = None
        if not config.translation:
            conv, norm, prelu = encoder.input_layer
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(prelu, nn.PReLU)
            gain, bias = batch_norm_affine(norm)
            self._first = Conv(conv.weight, gain=gain, bias=bias, slope=prelu.weight.detach())
        blocks = list(encoder.body)[: self._units["c2"] + 1]
        self._body = [FastBottleneck(block) for block in blocks if isinstance(block, Bottleneck)]

    def content(self, x1: Tensor) -> Content:
        """As Encoder.content."""
        config = self._encoder.config
        if not config.has_feature and not config.num_skips:
            return Content(None, (), None)
        return join_contents([self._encoder.content_of_taps(self._trunk(x)) for x in x1.split(1)])

    def style(self, x: Tensor) -> Tensor:
        """As Encoder.style."""
        return torch.cat([self._encoder.style_of_taps(self._trunk(each)) for each in x.split(1)])

    def content_and_style(self, x1: Tensor) -> tuple[Content, Tensor]:
        """As Encoder.forward: both from one pass."""
        taps = [self._trunk(x) for x in x1.split(1)]
        contents = [self._encoder.content_of_taps(each) for each in taps]
        return join_contents(contents), torch.cat([self._encoder.style_of_taps(each) for each in taps])

    def _trunk(self, x: Tensor) -> dict[str, Tensor]:
        x = self._encoder.translation(x) if self._first is None else self._first(x)
        taps = {"c256": (x := channels_last(x))}
        for unit, block in enumerate(self._body):
            x = block(x)
            taps |= {name: x for name, tap in self._units.items() if tap == unit}
        return taps
