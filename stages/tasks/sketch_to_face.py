"""Sketch to face: x1 is a line drawing; structure from it, colours and texture from a random w (spec §5)."""

from typing import Literal

from stages.content import Content
from stages.line_drawing import Sketch, SketchFromPhoto
from stages.recipe import Tools
from stages.tasks.drawn import DrawnTask


class SketchToFaceTask(DrawnTask):
    """Draw a face from lines."""

    kind: Literal["sketch_to_face"] = "sketch_to_face"
    source: Literal["drawing", "photo"] = "drawing"
    """drawing: dark lines on white, at face scale; photo: lines are first drawn from the picture."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_sketch2face", "lite_sketch"

    @property
    def finds_faces(self) -> bool:
        """Only photographs have faces that a detector finds."""
        return self.source == "photo"

    def content(self, tools: Tools) -> Content:
        """Lines, read or drawn from a photograph."""
        return SketchFromPhoto() if self.finds_faces else Sketch()
