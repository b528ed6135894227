"""The tasks: one file, one class, one entry in the union. `kind` is the word on the command line."""

from typing import Annotated

from pydantic import Field

from stages.tasks.none import NoTask
from stages.tasks.toonify import ToonifyTask

Task = Annotated[ToonifyTask | NoTask, Field(discriminator="kind")]

__all__ = ["NoTask", "Task", "ToonifyTask"]
