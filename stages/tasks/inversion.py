"""Inversion: the picture itself through encoder and generator (step I), and on request fitted to it (step II)."""

from typing import Literal

from pydantic import Field

from stages.optimize import OptimizeConfig
from stages.recipe import Recipe, TaskSection, Tools


class InversionTask(TaskSection):
    """Reconstruct the clip; with `--save-latents` the codes are kept for other tasks."""

    kind: Literal["inversion"] = "inversion"
    optimize: OptimizeConfig = Field(default=OptimizeConfig())
    """Step II: gradient steps on w+, f and noise after the encoder."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_inversion", "lite_inversion"

    @property
    def optimization(self) -> OptimizeConfig | None:
        """Step II, where steps are asked for."""
        return self.optimize if self.optimize.steps else None

    def recipe(self, tools: Tools) -> Recipe:
        """Encoder and generator, with optimisation between them where steps are asked for."""
        return Recipe(optimize=self.optimization)
