"""What a latent file holds, frame by frame. Models know no video: time and geometry are numbers that a caller names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.config import ModelConfig
from models.errors import LatentError
from models.latent import Latent

FORMAT = "styleganex-latents"
VERSION = 1
OPTIONAL_PARTS = ("feature", "skips", "noise")
"""What a file holds beside w+ on request. `feature` includes f1 where the latent has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentInfo:
    """What a file says of all of its frames."""

    model: str = ""
    """Name of the model that the latents belong to."""
    model_sha256: str = ""
    """Of its weight file."""
    time_base: Fraction = Fraction(1)
    """Seconds per pts unit."""
    source: Mapping[str, str] = field(default_factory=dict)
    """Free text on where the frames came from, e.g. path and fingerprint."""


class FaceLatent(NamedTuple):
    """One face in one frame."""

    latent: Latent
    """Batch size 1. From a file: float tensors on the CPU; parts that it does not hold are None or ()."""
    noise: tuple[Tensor, ...] | None = None
    """Optimised maps [1, 1, h, w], one per styled convolution."""
    track_id: int = 0
    geometry: Mapping[str, NDArray[np.generic]] = {}
    """Numbers that a render needs to put the picture back, by name: the same names, shapes and types in every face."""


class LatentFrame(NamedTuple):
    """One frame; no face is an empty tuple."""

    index: int
    """Frame number in the source."""
    pts: int | None
    """In units of `LatentInfo.time_base`; None where the file holds bare w+."""
    faces: tuple[FaceLatent, ...]
    shot: int = 0


def check_wplus(where: str, num_styles: int, style_dim: int, config: ModelConfig, made_with: str = "") -> None:
    """Raise LatentError unless [num_styles, style_dim] is what the network of `config` takes."""
    if (num_styles, style_dim) != (config.num_styles, config.style_dim):
        named = f" (model {made_with})" if made_with else ""
        raise LatentError(
            f"{where}: w+ of [{num_styles}, {style_dim}]{named}, this model needs "
            f"[{config.num_styles}, {config.style_dim}]",
            "use the model that the latents were made with, or make them again with this one",
        )
