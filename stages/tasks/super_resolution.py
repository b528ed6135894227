"""Super-resolution: the encoder sees a small picture enlarged to face scale, and the generator draws it sharp."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from stages.content import Degraded, Enlarged
from stages.recipe import Recipe, TaskSection, Tools


class SuperResolutionTask(TaskSection):
    """Enlarge and restore faces, 4 to 48 times."""

    kind: Literal["super_resolution"] = "super_resolution"
    factor: float | None = None
    """null: the input is small already, and is enlarged to face scale; a number: it is first made that many times
    smaller than the result, on purpose, to see what the model can do."""
    defaults: ClassVar[Mapping[str, Any]] = {"composite.size": "native", "track.min_face_px": 8.0}

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        published = ("styleganex_sr", "styleganex_sr32")
        return (*(reversed(published) if self.factor == 32 else published), "lite_sr")

    def recipe(self, tools: Tools) -> Recipe:
        """The plain path behind a degradation, or without one."""
        return Recipe(content=Enlarged() if self.factor is None else Degraded(self.factor))
