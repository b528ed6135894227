"""Pairs made on the fly, as published: of two generators that share w, or of one and an editing vector (spec §7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from models.config import ALIGNED_SIZE, ModelConfig
from models.errors import UserError
from models.styleganex import StyleGANEX
from models.training.batches import Batch
from models.training.settings import Settings
from models.training.views import Face, ViewSettings, draw_view

DEGREES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""Strengths of the published editing pairs."""


class GeneratedSettings(Settings):
    """Random faces of a generator and their counterparts."""

    batch: int = Field(default=8, ge=1)
    """Pairs in a batch of one process."""
    truncation: float = Field(default=0.7, gt=0, le=1)
    """ψ of the random w."""
    view: ViewSettings = ViewSettings(
        crop_px=(256, 320), eye_distance_px=(45, 75), rotation_deg=12, reach=0.6, mirror=0.5
    )
    """Affine and crop augmentation of x1; w+ comes from the upright picture."""


class GeneratedPairs:
    """x = G(w), y = G'(w) or G(w + degree·v), both under the same random view. A `Source`.

    Args:
        original: G.
        toonified: G'; None: G.
        directions: v [N, L, style_dim]; None: no edit, x is its own target unless there is G'.
        model: of the network that is trained; it decides the output's scale.
    """

    def __init__(
        self,
        original: StyleGANEX,
        toonified: StyleGANEX | None,
        directions: Tensor | None,
        settings: GeneratedSettings,
        model: ModelConfig,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if toonified is not None and toonified.config.style_dim != original.config.style_dim:
            raise UserError("data.toonified: a generator of another size", "make it from data.original by transfer")
        self._original = original.requires_grad_(False).eval().to(device)
        self._toonified = None if toonified is None else toonified.requires_grad_(False).eval().to(device)
        self._directions = None if directions is None else directions.to(device)
        self._settings, self._model, self._seed = settings, model, seed
        self._device, self._rank, self._world = device, rank, world

    def batch(self, step: int) -> Batch:
        """See `Source.batch`."""
        settings, total = self._settings, self._settings.batch * self._world
        low, high = settings.view.crop_px
        px = 8 * int(np.random.default_rng([self._seed, 1, step]).integers(low // 8, high // 8 + 1))
        first = step * total + self._rank * settings.batch
        return self._make(range(first, first + settings.batch), px, settings.view)

    def preview(self) -> Batch:
        """See `Source.preview`: upright pictures that training does not draw."""
        upright = ViewSettings(crop_px=(256, 256), eye_distance_px=(63, 64), rotation_deg=0, reach=0, mirror=0)
        return self._make(range(-4, 0), ALIGNED_SIZE, upright)

    @torch.no_grad()
    def _make(self, numbers: range, px: int, view: ViewSettings) -> Batch:
        rngs = [np.random.default_rng([self._seed, 4, number % (1 << 62)]) for number in numbers]
        wplus, noise = self._latents(rngs)
        x = self._original.generator(wplus, noise=noise)
        batch = Batch(x, x)
        target = wplus
        if self._directions is not None:
            which = torch.tensor([int(rng.integers(len(self._directions))) for rng in rngs], device=self._device)
            degree = torch.tensor([float(rng.choice(DEGREES)) for rng in rngs], device=self._device)
            target = wplus + degree[:, None, None] * self._directions[which]
            batch = batch._replace(direction=which, strength=degree)
        y = (self._toonified or self._original).generator(target, noise=noise)
        views = [draw_view(rng, Face.of_aligned(), 1.0, px, view) for rng in rngs]
        inner = torch.tensor(np.stack([_inverse(matrix, px) for matrix in views]), dtype=torch.float32)
        outer = torch.tensor(np.stack([_forward(matrix, px) for matrix in views]), dtype=torch.float32)
        side = self._model.output_size(px, px)[0]
        return batch._replace(
            x=_resample(x, inner, px), y=_resample(y, inner, side), aligned=_resize(x, ALIGNED_SIZE), face=outer
        )

    def _latents(self, rngs: list[np.random.Generator]) -> tuple[Tensor, list[Tensor]]:
        config = self._original.config
        z = torch.from_numpy(np.stack([rng.normal(size=config.style_dim) for rng in rngs])).float().to(self._device)
        w = self._original.mapping(z)
        mean = self._original.latent_avg
        if mean is not None:
            w = torch.lerp(mean[0].expand_as(w), w, self._settings.truncation)
        return w[:, None].expand(-1, config.num_styles, -1), list(self._original.generator.stored_noise)

    def state(self) -> dict[str, Any]:
        """See `Source.state`: nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Source.load_state`."""

    def close(self) -> None:
        """See `Source.close`: nothing runs ahead."""


def _forward(view: np.ndarray, px: int) -> np.ndarray:
    """`affine_grid` matrix that takes the upright picture out of a view."""
    to_view = np.array([[2 / px, 0, -1], [0, 2 / px, -1], [0, 0, 1]]) @ np.vstack([view, [0, 0, 1]])
    from_unit = np.array([[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1]])
    return (to_view @ from_unit)[:2]


def _inverse(view: np.ndarray, px: int) -> np.ndarray:
    """`affine_grid` matrix that takes a view out of the upright picture."""
    return np.linalg.inv(np.vstack([_forward(view, px), [0, 0, 1]]))[:2]


def _resample(image: Tensor, theta: Tensor, side: int) -> Tensor:
    """A view of [B, C, h, w], `side`² pixels; what lies outside is mirrored."""
    zoom = torch.linalg.det(theta[:, :, :2]).abs().sqrt().max().item() * image.shape[-1] / side
    image = _resize(image, max(8, round(image.shape[-1] / zoom))) if zoom > 1.25 else image  # so that nothing aliases
    grid = F.affine_grid(theta.to(image.device), [image.shape[0], image.shape[1], side, side], align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _resize(image: Tensor, side: int) -> Tensor:
    if image.shape[-1] == side:
        return image
    return F.interpolate(image, (side, side), mode="area" if image.shape[-1] > side else "bilinear")
