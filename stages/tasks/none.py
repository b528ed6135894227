"""No task: the source goes through reading and writing unchanged, e.g. to measure them or to conform a clip."""

from typing import Literal

from stages.base import Section
from stages.recipe import Recipe


class NoTask(Section):
    """Render the source unchanged."""

    kind: Literal["none"] = "none"

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return ()

    def recipe(self) -> Recipe:
        """Nothing is rendered."""
        return Recipe(renders=False)
