"""Toonify: the decoder's weights are those of a toonified generator, so the latent needs no edit (StyleGANEX §4.3)."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from models.blend import blend_generator
from models.errors import CheckpointError, ModelError
from models.styleganex import StyleGANEX
from models.zoo import find_model, load_generator_into
from stages.recipe import Recipe, TaskSection, Tools

PUBLISHED_ORIGINAL = "styleganex_inversion"


class ToonifyTask(TaskSection):
    """Turn faces, and what surrounds them in the window, into a cartoon."""

    kind: Literal["toonify"] = "toonify"
    style: str = "cartoon"
    """cartoon, arcane, pixar (published), or the style of an embedded model: see `models list`."""
    generator: Path | None = None
    """Weight file whose generator replaces the model's: any toonified StyleGAN2 of the same size."""
    original: Path | None = None
    """Weight file of the generator that the toonified one was made from; null: the published one, which the
    published styles were made from."""
    strength: float = Field(default=1.0, ge=0, le=1)
    """1: the toonified generator; 0: the original one; between them the weights of every layer are interpolated."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        return f"styleganex_toonify_{self.style}", f"lite_{self.style}", "lite_toon"

    @property
    def files(self) -> tuple[Path, ...]:
        """The other generators; each may be a model's name."""
        named = [self.generator, self.original]
        if self.strength != 1 and self.original is None:
            named.append(Path(PUBLISHED_ORIGINAL))
        return tuple(find_model(str(name)) for name in named if name is not None)

    @property
    def weight_settings(self) -> str:
        """Generator, original and strength."""
        plain = self.generator is None and self.strength == 1
        return "" if plain else f"{self.generator}|{self.original}|{self.strength}"

    def adapt(self, net: StyleGANEX) -> StyleGANEX:
        """Exchange the generator, and blend it with the original one."""
        if self.generator is not None:
            load_generator_into(net, self.generator)
        if self.strength == 1:
            return net
        toon = {key: value.clone() for key, value in net.generator.state_dict().items()}
        load_generator_into(net, self.original or self._published_original())
        start = {key: value.clone() for key, value in net.generator.state_dict().items()}
        net.generator.load_state_dict(toon)
        return blend_generator(net, start, self.strength)

    def _published_original(self) -> Path:
        try:
            return find_model(PUBLISHED_ORIGINAL)
        except CheckpointError as error:
            raise ModelError(
                f"toonify: strength {self.strength:g} leads to the original generator, and {PUBLISHED_ORIGINAL}, which "
                "holds it, is not here",
                f"name a file with --original, or {error.remedy}",
            ) from error

    def recipe(self, tools: Tools) -> Recipe:
        """The plain path."""
        made_for = tools.net.metadata.get("task", "")
        if self.generator is None and made_for and self.kind not in made_for.replace(" ", "").split(","):
            raise ModelError(
                f"toonify: model {tools.model_name} was made for {made_for}: its generator draws photographs",
                "give a toonified generator with --generator, or leave --model out",
            )
        return Recipe()
