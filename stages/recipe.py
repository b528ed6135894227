"""What a task plugs into the common path: image = G(w+(style) → edits, f(content), skips; offset, noise).

    Task (a section of the YAML file)  → recipe(tools) →  Recipe (what the stages do)

No stage and nothing in the pipeline asks for a task's name: a task is what it answers here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor

from models.faces import FaceDetector
from models.latent import Latent
from models.styleganex import StyleGANEX
from stages.base import Section
from stages.content import Content, Rgb
from stages.optimize import OptimizeConfig

LatentEdit = Callable[[Latent], Latent]
"""A pure function of a latent of batch size 1; it sees every frame with the same result for the same latent."""
Offset = Callable[[int], Tensor]
"""Frame index → [1, L, style_dim] on any device, added to w+ and shown to the attention of the skip connections."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a task may look at and use when it settles its recipe, once per run."""

    net: StyleGANEX
    """On its device, in eval mode."""
    model_name: str
    """Of the weight file, for messages."""
    detector: FaceDetector
    """For pictures that the task names besides the clip."""
    seed: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A task, said in terms of the stages."""

    content: Content = field(default_factory=Rgb)
    """What the encoder sees of the window."""
    style: Literal["aligned", "content"] = "aligned"
    """Where w+ comes from: the FFHQ-aligned crop x2, or x1 itself (models that take no RGB)."""
    batch_stats: bool = False
    """The encoder's batch norms use each input's own statistics, as the published sketch and mask scripts do."""
    edits: tuple[LatentEdit, ...] = ()
    """Applied in order between inversion and synthesis."""
    offset: Offset | None = None
    """An editing vector over time; None: no edit, and no attention."""
    optimize: OptimizeConfig | None = None
    """Step II of inversion after the encoder."""


class TaskSection(Section):
    """Base of the tasks: what a task says about itself before anything is loaded, and its recipe after."""

    renders: ClassVar[bool] = True
    """False: no model is loaded and every frame passes untouched."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Dotted setting → value, where the user says nothing."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return ()

    @property
    def finds_faces(self) -> bool:
        """False: the picture is taken to be at face scale as it is (drawings and label maps)."""
        return True

    @property
    def uses_seed(self) -> bool:
        """True: another `seed` gives another picture by intention, so that variants can be drawn."""
        return False

    @property
    def optimization(self) -> OptimizeConfig | None:
        """Step II of inversion, where the task asks for it."""
        return None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files besides the clip and the model that decide the result."""
        return ()

    @property
    def weight_settings(self) -> str:
        """What `adapt` depends on, as text; "" where it changes nothing. Networks are kept per model and this."""
        return ""

    def adapt(self, net: StyleGANEX) -> StyleGANEX:
        """Change the weights of a freshly loaded network where the task asks for it."""
        return net

    def recipe(self, tools: Tools) -> Recipe:
        """What the stages do.

        Raises:
            UserError: the model cannot do the task, or a file that the task names does not fit.
        """
        raise NotImplementedError
