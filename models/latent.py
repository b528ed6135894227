"""Latent: what the encoder gives and the generator takes. Edits are pure functions from Latent to Latent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from models.errors import ModelError


class Latent(NamedTuple):
    """Everything that determines an image, apart from noise. Reusable across frames; never written to."""

    wplus: Tensor
    """[1 or B, L, style_dim]: one w per style input, `latent_avg` included."""
    feature: Tensor | None = None
    """[B, C, H/8, W/8]: first-layer feature f (StyleGANEX §3.2); None: the constant input is used (pSp, StyleGAN2)."""
    skips: tuple[Tensor, ...] = ()
    """Encoder features E_k of the skip connections, finest last; () turns the connections off."""
    feature_rgb: Tensor | None = None
    """[B, 3, H/8, W/8]: f1, the RGB that belongs to f where it enters at the second layer."""

    def mix_layers(self, other_wplus: Tensor, layers: Iterable[int], alpha: float = 1.0) -> Latent:
        """Blend another w+ into some layers: α·other + (1 − α)·w (spec §5, style mixing).

        Args:
            other_wplus: [1 or B, L, style_dim] on the same device.
            layers: indices of style inputs, 0 … L − 1.
            alpha: 1 replaces, 0 changes nothing.

        Raises:
            ModelError: a layer that does not exist, or another number of layers or channels.
        """
        chosen = sorted(set(layers))
        count = self.wplus.shape[1]
        if other_wplus.ndim != 3 or other_wplus.shape[1:] != self.wplus.shape[1:]:
            raise ModelError(
                f"mix_layers: other w+ has shape {list(other_wplus.shape)}, this one {list(self.wplus.shape)}",
                "take both from networks with the same number of styles",
            )
        if chosen and not 0 <= chosen[0] <= chosen[-1] < count:
            raise ModelError(f"mix_layers: layers {chosen} reach outside this model", f"choose from 0 to {count - 1}")
        batch = max(self.wplus.shape[0], other_wplus.shape[0])
        mixed = self.wplus.expand(batch, -1, -1).clone()
        mixed[:, chosen] = alpha * other_wplus[:, chosen] + (1 - alpha) * mixed[:, chosen]
        return self._replace(wplus=mixed)

    def add_direction(self, direction: Tensor, strength: float = 1.0) -> Latent:
        """w+ + strength·direction, with direction [1 or B, L, style_dim].

        For models whose skip connections attend to the edit, give it to `StyleGANEX.synthesize(edit=…)` instead.
        """
        return self._replace(wplus=self.wplus + strength * direction)

    def truncate(self, center: Tensor, psi: float) -> Latent:
        """w̄ + ψ·(w − w̄), with center [L, style_dim] or [1, style_dim]."""
        return self._replace(wplus=torch.lerp(center.expand_as(self.wplus), self.wplus, psi))
