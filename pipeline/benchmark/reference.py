"""The network as the published script computes it, to measure against: slow on purpose, the same numbers.

Per frame: both encoder passes in full with every style head, weights modulated per sample and applied by grouped
convolutions, every FIR filter by inserting zeros and convolving channel by channel, zero noise added as a map. Written
from the StyleGAN2 paper (§2.2, appendix B) and the StyleGANEX paper (§3), on the weights of a StyleGANEX.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import ALIGNED_SIZE
from models.encoder import Content
from models.fusion import SkipFusion
from models.latent import Latent
from models.layers import ModulatedConv, RescaledUpConv, StyledConv, ToRGB, UpConv
from models.ops import Blur, Upsample
from models.styleganex import Noise, StyleGANEX


def frame(net: StyleGANEX, x1: Tensor, aligned: Tensor) -> Tensor:
    """One video frame from its input [1, 3, H, W] and its aligned crop [1, 3, 256, 256]."""
    return synthesize(net, invert(net, x1, aligned))


def invert(net: StyleGANEX, x1: Tensor, aligned: Tensor) -> Latent:
    """Content from x1, w+ from the aligned crop; each pass computes everything."""
    assert net.encoder is not None
    content, _ = net.encoder(x1)
    _, offsets = net.encoder(aligned)
    if net.config.start_from_latent_avg and net.latent_avg is not None:
        offsets = offsets + net.latent_avg
    return Latent(offsets, content.feature, content.skips, content.feature_rgb)


def content(net: StyleGANEX, x1: Tensor) -> Tensor | None:
    """The first-layer feature, from a whole encoder pass with every style head."""
    assert net.encoder is not None
    return net.encoder(x1)[0].feature


def synthesize(net: StyleGANEX, latent: Latent) -> Tensor:
    """The picture of a latent with a first-layer feature that enters at the first layer."""
    assert latent.feature is not None
    generator, ws = net.generator, latent.wplus.unbind(dim=1)
    x = styled(generator.conv1, latent.feature, ws[0])
    rgb = to_rgb(generator.to_rgb1, x, ws[1], None)
    convs, to_rgbs = list(generator.convs), list(generator.to_rgbs)
    for k, layer in enumerate(to_rgbs):
        if k < len(latent.skips):
            fusion = net.fusion[k]
            assert isinstance(fusion, SkipFusion)
            x, rgb = fusion(x, rgb, latent.skips[k], None)
        x = styled(convs[2 * k], x, ws[2 * k + 1])
        x = styled(convs[2 * k + 1], x, ws[2 * k + 2])
        rgb = to_rgb(layer, x, ws[2 * k + 3], rgb)
    return rgb


def modulated(conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """Modulated convolution with one weight per sample, all of them in one grouped convolution."""
    batch, channels, height, width = x.shape
    weight = conv.scale * conv.weight[None] * conv.modulation(w)[:, None, :, None, None]  # [B, O, C, k, k]
    if conv.demodulate:
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    out_channels, dilation = weight.shape[1], conv.dilation
    if isinstance(conv, RescaledUpConv):
        kernel = conv.blur.kernel.expand(channels, -1, -1, -1)
        x = F.conv_transpose2d(x, kernel, dilation=dilation, groups=channels)
        height, width = x.shape[2:]
    x = x.reshape(1, batch * channels, height, width)
    if isinstance(conv, (UpConv, RescaledUpConv)):
        weight = weight.transpose(1, 2).reshape(batch * channels, out_channels, *weight.shape[3:])
        if isinstance(conv, RescaledUpConv):
            y = F.conv_transpose2d(x, weight, padding=2 * dilation, dilation=dilation, groups=batch)
        else:
            y = F.conv_transpose2d(x, weight, stride=2, groups=batch)
    else:
        weight = weight.reshape(batch * out_channels, channels, *weight.shape[3:])
        y = F.conv2d(x, weight, padding=dilation * (weight.shape[-1] // 2), dilation=dilation, groups=batch)
    y = y.view(batch, out_channels, *y.shape[2:])
    return filtered(y, conv.blur.kernel, 1, 1, 1) if isinstance(conv, UpConv) else y


def styled(layer: nn.Module, x: Tensor, w: Tensor) -> Tensor:
    """Modulated convolution, (zero) noise, bias, leaky ReLU · √2."""
    assert isinstance(layer, StyledConv)
    y = modulated(layer.conv, x, w)
    y = y + layer.noise_weight * y.new_zeros(y.shape[0], 1, *y.shape[2:])
    return F.leaky_relu(y + layer.activation_bias[:, None, None], 0.2) * 2**0.5


def to_rgb(layer: nn.Module, x: Tensor, w: Tensor, rgb: Tensor | None) -> Tensor:
    """ToRGB with the running image brought to its size."""
    assert isinstance(layer, ToRGB)
    y = modulated(layer.conv, x, w) + layer.bias
    if rgb is None:
        return y
    if isinstance(layer.resample, Upsample):
        return y + filtered(rgb, layer.resample.kernel, 2, 2, 1)
    assert isinstance(layer.resample, Blur)
    return y + layer.resample(rgb)


def filtered(x: Tensor, kernel: Tensor, up: int, before: int, after: int) -> Tensor:
    """Zero insertion, padding and a FIR filter [1, 1, k, k], each channel a sample of its own (the generic form)."""
    batch, channels, height, width = x.shape
    raised = x.new_zeros(batch * channels, 1, height, up, width, up)
    raised[:, :, :, 0, :, 0] = x.reshape(batch * channels, 1, height, width)
    padded = F.pad(raised.view(batch * channels, 1, height * up, width * up), (before, after, before, after))
    y = F.conv2d(padded, kernel.flip(2, 3))
    return y.view(batch, channels, *y.shape[2:])


class ReferenceNet(StyleGANEX):
    """A network's weights behind the calls that the stages make, each answered by the reference formulation.

    Attributes:
        seen: (height, width) of every x1 so far.
    """

    def __init__(self, net: StyleGANEX) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(net.__getstate__())
        self._precision = "fp32"
        self.seen: list[tuple[int, int]] = []

    def encode_content(self, x1: Tensor) -> Content:
        """One sample at a time, each with its second pass over an aligned crop, as the published script does."""
        assert self.encoder is not None
        contents = []
        for x in x1.split(1):
            self.seen.append((x.shape[2], x.shape[3]))
            contents.append(self.encoder(x)[0])
            if self.config.input_channels == 3:
                self.encoder(x.new_zeros(1, 3, ALIGNED_SIZE, ALIGNED_SIZE))
        if len(contents) == 1:
            return contents[0]
        features = [each.feature for each in contents if each.feature is not None]
        rgbs = [each.feature_rgb for each in contents if each.feature_rgb is not None]
        skips = tuple(torch.cat(level) for level in zip(*(each.skips for each in contents), strict=True))
        return Content(torch.cat(features), skips, torch.cat(rgbs))

    def synthesize(self, latent: Latent, edit: Tensor | None = None, noise: Noise = None) -> Tensor:
        """One sample at a time, without edits and noise."""
        assert edit is None
        assert noise is None
        assert latent.feature is not None
        pictures = []
        for i in range(latent.feature.shape[0]):
            one = slice(i, i + 1)
            wplus = latent.wplus[one] if len(latent.wplus) > 1 else latent.wplus
            pictures.append(
                synthesize(self, Latent(wplus, latent.feature[one], tuple(skip[one] for skip in latent.skips)))
            )
        return torch.cat(pictures)
