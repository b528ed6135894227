"""Two generators into one: weights interpolated layer by layer (network interpolation, Wang et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.errors import ModelError
from models.styleganex import StyleGANEX


def blend_generator(net: StyleGANEX, original: Mapping[str, Tensor], strength: float) -> StyleGANEX:
    """Move the generator of `net` towards another one; returns `net`, changed.

    Args:
        net: its generator is the one at strength 1.
        original: state dict of the generator at strength 0, of the same architecture; usually the one that `net`'s was
            trained from, or the pictures between the two mean nothing.
        strength: 0 gives the original's numbers exactly, 1 leaves `net` as it is; continuous between.

    Raises:
        ModelError: another architecture.
    """
    state = net.generator.state_dict()
    wrong = [key for key, value in state.items() if key not in original or original[key].shape != value.shape]
    if wrong:
        raise ModelError(
            f"blend: the original generator differs in {wrong[0]} and {len(wrong) - 1} more",
            "give the generator that the toonified one was made from",
        )
    if strength == 1:
        return net
    with torch.no_grad():
        for key, value in state.items():
            start = original[key].to(value)
            value.copy_(start if strength == 0 else torch.lerp(start, value, strength))
    return net
