"""Mask to face: x1 is a map of 19 parsing classes; structure from it, colours and texture from a random w (spec §5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.layer_ranges import parse_layers
from models.parsing import load_parser
from models.zoo import weights_dir
from stages.label_map import Mask, MaskFromPhoto
from stages.recipe import Recipe, TaskSection, Tools
from stages.tasks.style_mixing import mixing, random_wplus


class MaskToFaceTask(TaskSection):
    """Draw a face from a map of its parts."""

    kind: Literal["mask_to_face"] = "mask_to_face"
    source: Literal["labels", "photo"] = "labels"
    """labels: pixel values 0–18 (255: none), at face scale; photo: parsed first by a BiSeNet."""
    parser: Path | None = None
    """Weight file of the parser for photographs; null: faceparsing.pth as `models fetch faceparsing` leaves it."""
    style: float = Field(default=0.7, ge=0, le=2)
    """How far the random w lies from the mean; `seed` chooses it."""
    layers: str = "fine"
    """Style inputs that take the random w; the others come from the map."""
    batch_stats: bool = False
    """Batch statistics in the encoder, as in the published script (train mode)."""
    defaults: ClassVar[Mapping[str, Any]] = {"composite.size": "native", "crop.margin_px": 0}

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_mask2face", "lite_mask"

    @property
    def finds_faces(self) -> bool:
        """Only photographs have faces that a detector finds."""
        return self.source == "photo"

    @property
    def uses_seed(self) -> bool:
        """The random w."""
        return True

    @property
    def files(self) -> tuple[Path, ...]:
        """The parser's weights."""
        return (self._parser,) if self.finds_faces else ()

    def recipe(self, tools: Tools) -> Recipe:
        """Labels in, w+ from them, and the random style over it."""
        layers = parse_layers(self.layers, tools.net.config.num_styles)
        content = Mask()
        if self.finds_faces:
            device = next(tools.net.parameters()).device
            content = MaskFromPhoto(load_parser(self._parser, device))
        return Recipe(
            content=content,
            style="content",
            batch_stats=self.batch_stats,
            edits=(mixing(random_wplus(tools, self.style), layers),),
        )

    @property
    def _parser(self) -> Path:
        return self.parser or weights_dir() / "faceparsing.pth"
