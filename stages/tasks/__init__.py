"""The tasks: one file, one class, one entry in the union. `kind` is the word on the command line."""

from typing import Annotated, get_args

from pydantic import Field

from stages.tasks.edit import EditTask
from stages.tasks.inversion import InversionTask
from stages.tasks.mask_to_face import MaskToFaceTask
from stages.tasks.none import NoTask
from stages.tasks.sketch_to_face import SketchToFaceTask
from stages.tasks.style_mixing import StyleMixingTask
from stages.tasks.super_resolution import SuperResolutionTask
from stages.tasks.toonify import ToonifyTask

Task = Annotated[
    ToonifyTask
    | EditTask
    | SuperResolutionTask
    | SketchToFaceTask
    | MaskToFaceTask
    | InversionTask
    | StyleMixingTask
    | NoTask,
    Field(discriminator="kind"),
]

KINDS: tuple[str, ...] = tuple(kind.model_fields["kind"].default for kind in get_args(get_args(Task)[0]))
"""Every task's name."""

__all__ = ["KINDS", "Task", "ToonifyTask"]
