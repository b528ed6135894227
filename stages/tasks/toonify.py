"""Toonify: the decoder's weights are those of a toonified generator, so the latent needs no edit (StyleGANEX §4.3)."""

from typing import Literal

from stages.base import Section
from stages.recipe import Recipe


class ToonifyTask(Section):
    """Turn faces, and what surrounds them in the window, into a cartoon."""

    kind: Literal["toonify"] = "toonify"
    style: Literal["cartoon", "arcane", "pixar"] = "cartoon"
    """Which published model to use where its file is at hand; the embedded demonstration model has one style."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return f"styleganex_toonify_{self.style}", "lite_toon"

    def recipe(self) -> Recipe:
        """The plain path."""
        return Recipe()
