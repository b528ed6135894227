"""Pictures from seeds alone: seed → z → w+ → picture, one at a time, so that a seed looks the same in any company."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from models.errors import ModelError
from models.latent import Latent
from models.layers import EqualLinear
from models.styleganex import StyleGANEX

log = logging.getLogger(__name__)

MAX_SEED = 2**32 - 1


class Sampler:
    """A generator asked for pictures by seed.

    Args:
        net: in eval mode; of an encoder-decoder the decoder alone is used, from its constant input.
        truncation: ψ of w̄ + ψ·(w − w̄), w̄ being latent_avg; 1 leaves w as it is.

    Raises:
        ModelError: the model says that it cannot sample; truncation without a centre, or not a number.
    """

    def __init__(self, net: StyleGANEX, truncation: float = 1.0) -> None:
        if not math.isfinite(truncation):
            raise ModelError(f"truncation {truncation} cannot be", "give a number; 0.5 to 1 is usual")
        if truncation != 1.0 and net.latent_avg is None:
            raise ModelError(
                "truncation: this model has no centre (latent_avg) to bring w towards",
                "leave --truncation out, or take a file that holds latent_avg",
            )
        check_mapping(net)
        self._net = net
        self._truncation = truncation
        self._device = next(net.parameters()).device

    @property
    def size(self) -> int:
        """Height and width of a picture."""
        return self._net.config.resolution

    def wplus(self, seed: int) -> Tensor:
        """[1, L, style_dim], truncated, on the network's device."""
        config = self._net.config
        with torch.inference_mode():
            w = self._net.mapping(seed_z(seed, config.style_dim).to(self._device))
            wplus = w[:, None].expand(-1, config.num_styles, -1)
            if self._truncation == 1.0 or self._net.latent_avg is None:
                return wplus
            return Latent(wplus).truncate(self._net.latent_avg, self._truncation).wplus

    def image(self, wplus: Tensor, edit: Tensor | None = None) -> Tensor:
        """[3, size, size], nominally in [−1, 1], with the file's noise maps; w+ and edit are [1, L, style_dim]."""
        with torch.inference_mode():
            return self._net.synthesize(Latent(wplus.to(self._device)), edit=edit, noise="stored")[0]


def seed_z(seed: int, style_dim: int) -> Tensor:
    """[1, style_dim] float32, N(0, 1): the z that StyleGAN users know by this seed (NumPy's legacy generator).

    Raises:
        ModelError: a seed that is not in 0 … 2³² − 1.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ModelError(f"seed {seed} cannot be", f"give a whole number from 0 to {MAX_SEED}")
    return torch.from_numpy(np.random.RandomState(seed).randn(1, style_dim)).float()


def looped(points: Sequence[Tensor], frames: int) -> Iterator[Tensor]:
    """A closed way through w+: a periodic cubic spline, which has no corner anywhere, and is exact at the points.

    Args:
        points: w+ [1, L, style_dim], at least two.
        frames: from one point to the next.

    Yields:
        len(points)·frames times w+ [1, L, style_dim] float32 on the CPU, the first point first; the frame after the
        last would be the first again.
    """
    knots = torch.cat([*points, points[0]]).double().cpu().numpy()
    spline = CubicSpline(np.arange(len(knots)), knots, bc_type="periodic")
    for frame in range(len(points) * frames):
        yield torch.from_numpy(spline(frame / frames)).float()[None]


def check_mapping(net: StyleGANEX) -> None:
    """A network that was trained as a translator only has a mapping that no loss ever saw."""
    says = net.metadata.get("can_sample")
    if says == "no":
        raise ModelError(
            "this model was trained without its mapping network: what it draws from seeds would mean nothing",
            "give it an image instead, or take a StyleGAN2, pSp or StyleGANEX file",
        )
    biases = [layer.bias for layer in net.generator.mapping if isinstance(layer, EqualLinear)]
    if says is None and not any(bool(bias.any()) for bias in biases):  # still as they were initialised
        log.warning("the mapping network of this model looks untrained: what it draws from seeds may mean nothing")
