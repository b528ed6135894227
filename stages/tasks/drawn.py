"""What the sketch and mask tasks share: structure from a drawn x1, colours and texture from a random w (spec §5)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from models.layer_ranges import parse_layers
from stages.content import Content
from stages.recipe import Recipe, TaskSection, Tools
from stages.tasks.style_mixing import mixing, random_wplus


class DrawnTask(TaskSection):
    """Draw a face from something that is no photograph, or is made from one."""

    style: float = Field(default=0.7, ge=0, le=2)
    """How far the random w lies from the mean; `seed` chooses it."""
    layers: str = "fine"
    """Style inputs that take the random w; the others come from what is drawn."""
    batch_stats: bool = False
    """Batch statistics in the encoder, as in the published script (train mode)."""
    defaults: ClassVar[Mapping[str, Any]] = {"composite.size": "native", "crop.margin_px": 0}

    @property
    def uses_seed(self) -> bool:
        """The random w."""
        return True

    def content(self, tools: Tools) -> Content:
        """How the network's input is made from a window."""
        raise NotImplementedError

    def recipe(self, tools: Tools) -> Recipe:
        """What is drawn in, w+ from it, and the random style over it."""
        layers = parse_layers(self.layers, tools.net.config.num_styles)
        return Recipe(
            content=self.content(tools),
            style="content",
            batch_stats=self.batch_stats,
            edits=(mixing(random_wplus(tools, self.style), layers),),
        )
