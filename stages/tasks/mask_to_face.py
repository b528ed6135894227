"""Mask to face: x1 is a map of 19 parsing classes; structure from it, colours and texture from a random w (spec §5)."""

from pathlib import Path
from typing import Literal

from models.parsing import load_parser
from models.zoo import weights_dir
from stages.content import Content
from stages.label_map import Mask, MaskFromPhoto
from stages.recipe import Tools
from stages.tasks.drawn import DrawnTask


class MaskToFaceTask(DrawnTask):
    """Draw a face from a map of its parts."""

    kind: Literal["mask_to_face"] = "mask_to_face"
    source: Literal["labels", "photo"] = "labels"
    """labels: pixel values 0–18 (255: none), at face scale; photo: parsed first by a BiSeNet."""
    parser: Path | None = None
    """Weight file of the parser for photographs; null: faceparsing.pth as `models fetch faceparsing` leaves it."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return "styleganex_mask2face", "lite_mask"

    @property
    def finds_faces(self) -> bool:
        """Only photographs have faces that a detector finds."""
        return self.source == "photo"

    @property
    def files(self) -> tuple[Path, ...]:
        """The parser's weights."""
        return (self._parser,) if self.finds_faces else ()

    def content(self, tools: Tools) -> Content:
        """Labels, read or parsed."""
        if not self.finds_faces:
            return Mask()
        return MaskFromPhoto(load_parser(self._parser, next(tools.net.parameters()).device))

    @property
    def _parser(self) -> Path:
        return self.parser or weights_dir() / "faceparsing.pth"
