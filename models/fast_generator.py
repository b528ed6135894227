"""The generator and its skip connections for inference: modulated weights once per w+, then plain layers.

A snapshot of the weights; the same numbers as `Generator` with `SkipFusion` within float rounding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.fast_batch import Target, convolution, doubled
from models.fast_styled import Block, FastStyledConv, prepare_blocks
from models.fusion import SkipFusion
from models.generator import Generator
from models.latent_batch import row
from models.layers import StyledConv, ToRGB
from models.moments import Moments
from models.ops import Upsample

KEPT = 4
"""Latents whose prepared layers are kept."""
Source = tuple[Tensor | None, ...]


class FastFusion:
    """SkipFusion with fixed weights; attention, which only an edit turns on, keeps its plain formulation."""

    def __init__(self, fusion: SkipFusion, target: Target) -> None:
        self._fusion, self._target = fusion, target
        transform, activation = fusion.transform
        assert isinstance(transform, nn.Conv2d)
        assert isinstance(activation, nn.LeakyReLU)
        assert transform.bias is not None
        assert fusion.fusion_out.bias is not None
        bias, slope = transform.bias.detach(), activation.negative_slope
        self._transform = convolution(target, transform.weight, bias=bias, slope=slope)
        self._out = convolution(target, fusion.fusion_out.weight, bias=fusion.fusion_out.bias.detach())

    def __call__(
        self, x: Tensor, rgb: Tensor, skip: Tensor, direction: Tensor | None, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """As SkipFusion.forward."""
        y = self._transform(self._target.cast(skip))
        if direction is not None and self._fusion.attention:
            with self._target.autocast(x.device):
                y = self._fusion.attend(x, y, direction, moments)
        y = y.expand(x.shape[0], -1, -1, -1)
        if self._fusion.skip_to_rgb:
            rgb = self._fusion.fusion_skip(torch.cat([rgb, y.to(rgb.dtype)], dim=1))
        return self._out(x, y), rgb

    def compare(self, x: Tensor, skip: Tensor) -> Tensor:
        """What the attention looks at; SkipFusion.compare."""
        return self._fusion.compare(x, self._transform(self._target.cast(skip)))


class FastSteps:
    """See models.steps.Steps."""

    def __init__(
        self,
        generator: Generator,
        convs: Sequence[FastStyledConv],
        to_rgbs: Sequence[ToRGB],
        fusions: Sequence[FastFusion],
        blocks: Sequence[Block],
        edit: Tensor | None,
        target: Target,
    ) -> None:
        self._generator, self._convs, self._to_rgbs = generator, convs, to_rgbs
        self._fusions, self._blocks, self._edit, self._target = fusions, blocks, edit, target

    def start(self, feature: Tensor | None, feature_rgb: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """See Steps."""
        if feature is not None and feature_rgb is not None and self._generator.feature_index == 1:
            return self._target.cast(feature), feature_rgb.float()
        if feature is None:
            feature = F.adaptive_avg_pool2d(self._generator.constant, 32)
        size = (feature.shape[2], feature.shape[3])
        x, rgb = self._blocks[0](self._target.cast(feature), (self._convs[0].noise(noise, *size), None), False)
        assert x is not None
        return x, rgb

    def fuse(
        self, k: int, x: Tensor, rgb: Tensor, skip: Tensor, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """See Steps."""
        return self._fusions[k](x, rgb, skip, self._direction(k), moments)

    def compare(self, k: int, x: Tensor, skip: Tensor) -> Tensor:
        """See Steps."""
        return self._fusions[k].compare(x, skip)

    def block(self, k: int, x: Tensor, rgb: Tensor, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """See Steps; the feature after the last block is empty."""
        pair = self._convs[2 * k + 1 : 2 * k + 3]
        height, width = (int(side * (1 + pair[0].doubles)) for side in x.shape[2:])
        own = pair[0].noise(noise[0], height, width), pair[1].noise(noise[1], height, width)
        y, added = self._blocks[k + 1](x, own, k == len(self._blocks) - 2)
        resample = self._to_rgbs[k + 1].resample
        if not self._target.by_sample and isinstance(resample, Upsample):
            resample = doubled
        return x.new_empty(0) if y is None else y, added.add_(resample(rgb))

    def _direction(self, k: int) -> Tensor | None:
        return None if self._edit is None else self._edit[:, 2 * k + 1]


class FastGenerator:
    """w+, features and edit → image; for float32 on a CPU one sample at a time, so that a batch changes no bit.

    The layers prepared for the last few w+ are kept. On a CPU they are found again by the numbers in w+. On a GPU that
    would wait for all work that is under way: there by the tensors that w+ came from, which nobody writes to (Latent).
    """

    def __init__(self, generator: Generator, fusions: Sequence[SkipFusion], target: Target) -> None:
        self._generator, self._target = generator, target
        layers = [generator.conv1, *generator.convs]
        self._convs = [FastStyledConv(layer, target) for layer in layers if isinstance(layer, StyledConv)]
        to_rgbs = [generator.to_rgb1, *generator.to_rgbs]
        self._to_rgbs = [layer for layer in to_rgbs if isinstance(layer, ToRGB)]
        self._fusions = [FastFusion(fusion, target) for fusion in fusions]
        self._prepared: OrderedDict[Hashable, tuple[Source, list[Block]]] = OrderedDict()

    def __call__(
        self,
        wplus: Tensor,
        feature: Tensor | None,
        feature_rgb: Tensor | None,
        noise: Sequence[Tensor | None] | None,
        skips: Sequence[Tensor],
        edit: Tensor | None,
        source: Source = (),
    ) -> Tensor:
        """[B, 3, H, W]. Arguments as of StyleGANEX.synthesize, checked there; `edit` is already part of `wplus`.

        Args:
            source: the tensors that `wplus` was made of; () for itself.
        """
        batch = max(wplus.shape[0], 1 if feature is None else feature.shape[0])
        maps = noise if noise is not None else [None] * len(self._convs)
        if not self._target.by_sample:
            if feature is not None and wplus.stride(0) == 0:  # one, expanded
                wplus = wplus[:1]
            own = _widened(feature, batch), _widened(feature_rgb, batch)
            return self._draw(self.steps(wplus, edit, source), *own, maps, skips)

        def one(tensor: Tensor | None, i: int) -> Tensor | None:
            return None if tensor is None else row(tensor, i)

        images = []
        for i in range(batch):
            own = one(feature, i), one(feature_rgb, i), [one(each, i) for each in maps]
            steps = self.steps(row(wplus, i), one(edit, i))
            images.append(self._draw(steps, *own, [row(skip, i) for skip in skips]))
        return images[0] if batch == 1 else torch.cat(images)

    def steps(self, wplus: Tensor, edit: Tensor | None, source: Source = ()) -> FastSteps:
        """The generator for one w+ [1, L, style_dim] and edit [1, L, style_dim], step by step."""
        blocks = self._blocks(wplus, source or (wplus,))
        return FastSteps(self._generator, self._convs, self._to_rgbs, self._fusions, blocks, edit, self._target)

    def _draw(
        self,
        steps: FastSteps,
        feature: Tensor | None,
        feature_rgb: Tensor | None,
        maps: Sequence[Tensor | None],
        skips: Sequence[Tensor],
    ) -> Tensor:
        x, rgb = steps.start(feature, feature_rgb, maps[0])
        for k in range(len(self._to_rgbs) - 1):
            if k < min(len(skips), len(self._fusions)):
                x, rgb = steps.fuse(k, x, rgb, skips[k])
            x, rgb = steps.block(k, x, rgb, maps[2 * k + 1 : 2 * k + 3])
        return rgb

    def _blocks(self, wplus: Tensor, source: Source) -> list[Block]:
        key = wplus.contiguous().numpy().tobytes() if wplus.device.type == "cpu" else identities(source)
        found = self._prepared.pop(key, None)
        if found is None:
            found = source, prepare_blocks(wplus, self._convs, self._to_rgbs, self._target)
        self._prepared[key] = found
        while len(self._prepared) > KEPT:
            self._prepared.popitem(last=False)
        return found[1]


def identities(source: Source) -> Hashable:
    """The same for the same tensors with no write in between, as long as they are held; see FastGenerator."""
    return tuple((id(each), 0 if each is None or each.is_inference() else each._version) for each in source)


def _widened(tensor: Tensor | None, batch: int) -> Tensor | None:
    """One sample for all, where there is one: each may have a w+ of its own."""
    return None if tensor is None else tensor.expand(batch, -1, -1, -1)
