"""Sketch to face: x1 is a line drawing; structure from it, colours and texture from a random w (spec §5)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.layer_ranges import parse_layers
from stages.line_drawing import Sketch, SketchFromPhoto
from stages.recipe import Recipe, TaskSection, Tools
from stages.tasks.style_mixing import mixing, random_wplus


class SketchToFaceTask(TaskSection):
    """Draw a face from lines."""

    kind: Literal["sketch_to_face"] = "sketch_to_face"
    source: Literal["drawing", "photo"] = "drawing"
    """drawing: dark lines on white, at face scale; photo: lines are first drawn from the picture."""
    style: float = Field(default=0.7, ge=0, le=2)
    """How far the random w lies from the mean; `seed` chooses it."""
    layers: str = "fine"
    """Style inputs that take the random w; the others come from the drawing."""
    batch_stats: bool = False
    """Batch statistics in the encoder, as in the published script (train mode)."""
    defaults: ClassVar[Mapping[str, Any]] = {"composite.size": "native", "crop.margin_px": 0}

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_sketch2face", "lite_sketch"

    @property
    def finds_faces(self) -> bool:
        """Only photographs have faces that a detector finds."""
        return self.source == "photo"

    @property
    def uses_seed(self) -> bool:
        """The random w."""
        return True

    def recipe(self, tools: Tools) -> Recipe:
        """Lines in, w+ from them, and the random style over it."""
        layers = parse_layers(self.layers, tools.net.config.num_styles)
        return Recipe(
            content=SketchFromPhoto() if self.finds_faces else Sketch(),
            style="content",
            batch_stats=self.batch_stats,
            edits=(mixing(random_wplus(tools, self.style), layers),),
        )
