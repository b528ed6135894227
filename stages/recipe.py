"""What a task plugs into the common path: image = G(edits(w+(style)), f(content), skips), for every task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.latent import Latent

LatentEdit = Callable[[Latent], Latent]
"""A pure function of a latent of batch size 1; it sees every frame with the same result for the same latent."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A task, said in terms of the stages."""

    renders: bool = True
    """False: no face is looked for, no model is loaded, and every frame passes untouched."""
    edits: tuple[LatentEdit, ...] = ()
    """Applied in order between inversion and synthesis."""
