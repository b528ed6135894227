"""Edit: an editing vector is added to w+ and shown to the attention of the skip connections (StyleGANEX §4.4)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator, model_validator

from models.direction_edit import DirectionEdit, Easing, Keyframes, WeightedDirection
from models.directions_file import SUFFIXES, load_direction, split_name
from models.errors import ModelError
from models.layer_ranges import parse_layers
from models.styleganex import StyleGANEX
from stages.base import Section
from stages.recipe import Offset, Recipe, TaskSection, Tools


class DirectionTerm(Section):
    """One direction with its own strength."""

    direction: str = "age"
    """Name of a direction in the model (age, smile, …), or a file: [D], [L, D] or [N, L, D] as .pt, .npy or
    .safetensors; FILE:NAME picks one of several."""
    strength: float | dict[int, float] = 1.0
    """A number, or keyframes: frame number → strength, e.g. {0: 0, 48: 1.5}, constant before the first and after the
    last. Negative goes the other way."""
    easing: Easing = "linear"
    """Between keyframes: linear, or smooth, which rests at each."""
    layers: str = "all"
    """Style inputs that it moves: 0-8, 4,6,10-13, coarse, middle, fine or all."""

    @field_validator("strength")
    @classmethod
    def _some_keyframe(cls, value: float | dict[int, float]) -> float | dict[int, float]:
        if isinstance(value, Mapping) and (not value or min(value) < 0):
            raise ValueError("keyframes are frame numbers from 0 up, at least one")
        return value

    @property
    def file(self) -> Path | None:
        """The direction's file, where it is one."""
        path, _ = split_name(self.direction)
        return path if path.suffix.lower() in SUFFIXES else None


class EditTask(TaskSection):
    """Change an attribute: age, hair, a smile, or any direction of w+; of the head, and of nothing around it."""

    defaults: ClassVar[Mapping[str, Any]] = {"composite.matte": "head", "composite.mode": "add"}
    kind: Literal["edit"] = "edit"
    direction: str = "age"
    """See `directions`; the first, or only, one."""
    strength: float | dict[int, float] = 1.0
    """Of `direction`: a number, or keyframes such as {0: 0, 48: 1.5}."""
    easing: Easing = "linear"
    """Between keyframes: linear or smooth."""
    layers: str = "all"
    """Style inputs that `direction` moves: 0-8, coarse, middle, fine or all."""
    also: tuple[DirectionTerm, ...] = Field(default=())
    """Further directions, each with `direction`, `strength`, `easing` and `layers`; their sum is applied."""

    @model_validator(mode="before")
    @classmethod
    def _list(cls, data: Any) -> Any:
        """`directions: [a, b]` is another way to write `direction: …` and `also: […]`."""
        if isinstance(data, Mapping) and "directions" in data:
            terms = list(data["directions"] or [])
            if not terms or not all(isinstance(term, Mapping) for term in terms):
                raise ValueError("directions is a list of sections with `direction` and `strength`")
            rest = {key: value for key, value in data.items() if key != "directions"}
            return {**rest, **terms[0], "also": terms[1:]}
        return data

    @property
    def terms(self) -> tuple[DirectionTerm, ...]:
        """Every direction."""
        first = DirectionTerm(direction=self.direction, strength=self.strength, easing=self.easing, layers=self.layers)
        return (first, *self.also)

    @property
    def models(self) -> tuple[str, ...]:
        """Names in the model zoo that fit, best first."""
        if self.terms[0].file is not None:  # a file's direction belongs to w of FFHQ, which all of these share
            return "styleganex_inversion", "styleganex_edit_age", "styleganex_edit_hair", "lite_edit"
        return f"styleganex_edit_{self.direction}", "lite_edit"

    @property
    def files(self) -> tuple[Path, ...]:
        """Of directions."""
        return tuple(term.file for term in self.terms if term.file is not None)

    def recipe(self, tools: Tools) -> Recipe:
        """One vector per frame."""
        return Recipe(offset=offset_over_time(self.terms, tools.net, tools.model_name))


def offset_over_time(terms: tuple[DirectionTerm, ...], net: StyleGANEX, model_name: str) -> Offset:
    """Frame index → the editing vector [1, L, style_dim], on the CPU.

    Raises:
        ModelError: a direction that the model does not have, or a file or layers that do not fit it.
    """
    config = net.config
    weighted: list[WeightedDirection] = []
    for term in terms:
        value = term.strength
        keyframes = Keyframes(value if isinstance(value, dict) else {0: value}, term.easing)
        weighted.append(
            WeightedDirection(_vector(term, net, model_name), keyframes, parse_layers(term.layers, config.num_styles))
        )
    return DirectionEdit(weighted, config.num_styles, config.style_dim).offset


def _vector(term: DirectionTerm, net: StyleGANEX, model_name: str) -> torch.Tensor:
    if term.file is not None:
        return load_direction(term.direction, net.config)
    names = direction_names(net, model_name)
    if net.editing_w is not None and term.direction in names:
        return net.editing_w[names.index(term.direction)]
    if net.editing_w is not None and term.direction.isdecimal() and int(term.direction) < len(names):
        return net.editing_w[int(term.direction)]
    raise ModelError(
        f"direction {term.direction}: model {model_name} has no such direction (it has: {', '.join(names) or 'none'})",
        "name one of those, its number, a direction file, or a model that has it (see `models list`)",
    )


def direction_names(net: StyleGANEX, model_name: str) -> tuple[str, ...]:
    """Names of the rows of `editing_w`: from the metadata; a published file has one row, named by its file."""
    if net.editing_w is None:
        return ()
    named = tuple(filter(None, net.metadata.get("directions", "").split(",")))
    count = net.editing_w.shape[0]
    if len(named) == count:
        return named
    return (model_name.rpartition("_")[2],) if count == 1 else tuple(map(str, range(count)))
