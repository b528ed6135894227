"""Style mixing: some layers of w+ come from another picture, a latent file or a random z (StyleGAN §3.1, pSp §4.4)."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from models.latent import Latent
from models.layer_ranges import parse_layers
from stages.recipe import LatentEdit, Recipe, TaskSection, Tools
from stages.reference import reference_wplus


class StyleMixingTask(TaskSection):
    """Take layers of w+ from somewhere else."""

    kind: Literal["style_mixing"] = "style_mixing"
    source: Path | None = None
    """A picture with a face, or a latent file; null: a random w, by `seed`."""
    layers: str = "fine"
    """Style inputs that are replaced: 8-17, coarse, middle, fine or all."""
    alpha: float = Field(default=1.0, ge=0, le=1)
    """Blend: 1 replaces, 0 changes nothing."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_inversion", "lite_edit", "lite_toon"

    @property
    def uses_seed(self) -> bool:
        """Where w is random."""
        return self.source is None

    @property
    def files(self) -> tuple[Path, ...]:
        """The other picture."""
        return (self.source,) if self.source is not None else ()

    def recipe(self, tools: Tools) -> Recipe:
        """One edit of the latent."""
        config = tools.net.config
        if self.source is None:
            other = random_wplus(tools)
        else:
            other = reference_wplus(self.source, tools)
        return Recipe(edits=(mixing(other, parse_layers(self.layers, config.num_styles), self.alpha),))


def mixing(other: Tensor, layers: tuple[int, ...], alpha: float = 1.0) -> LatentEdit:
    """Latent → the latent with `layers` blended towards `other` [1, L, style_dim], on the latent's device."""

    @lru_cache(maxsize=4)  # by identity: the same tensor for the same w+, so that what is made of it can be kept
    def mixed(wplus: Tensor) -> Tensor:
        return Latent(wplus).mix_layers(other.to(wplus.device), layers, alpha).wplus

    return lambda latent: latent._replace(wplus=mixed(latent.wplus))


def random_wplus(tools: Tools, scale: float = 1.0) -> Tensor:
    """[1, L, style_dim]: `scale`·mapping(z), z ~ N(0, 1) by the run's seed, the same on every device."""
    config, device = tools.net.config, next(tools.net.parameters()).device
    z = torch.randn(1, config.style_dim, generator=torch.Generator().manual_seed(tools.seed))
    with torch.inference_mode():
        return (scale * tools.net.mapping(z.to(device)))[:, None].expand(-1, config.num_styles, -1)
