"""No task: the source goes through reading and writing unchanged, e.g. to measure them or to conform a clip."""

from typing import ClassVar, Literal

from stages.recipe import TaskSection


class NoTask(TaskSection):
    """Render the source unchanged."""

    kind: Literal["none"] = "none"
    renders: ClassVar[bool] = False
