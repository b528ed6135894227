"""The shape of a training YAML."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field

from models.config import ModelConfig
from models.training.adversary import AdversarySettings
from models.training.encoder import EncoderSettings
from models.training.encoder_losses import LossSettings
from models.training.gan import GeneratorSettings
from models.training.generated import GeneratedSettings
from models.training.pairs import PairSettings
from models.training.photographs import PhotographSettings
from models.training.pictures import PictureSettings
from models.training.refine import RefineSettings
from models.training.settings import OptimizerSettings, RunSettings
from stages.base import Section


class FolderSettings(PairSettings):
    """Pairs from a folder of .npz samples (models/training/samples.py says what is in one), or of aligned pictures."""

    kind: Literal["samples"]
    folder: str
    """Where they are."""
    last: int | None = Field(default=None, ge=1)
    """Only so many of them, the first by name; null: all."""


class FacesSettings(GeneratedSettings):
    """Pairs made on the fly by generators."""

    kind: Literal["generated"]
    original: str
    """Weight file of G, which draws the inputs."""
    toonified: str | None = None
    """Weight file of G', which draws the targets from the same w. Its generator is the network's, unless that is
    trained."""
    directions: str | None = None
    """Editing: the targets are G's, moved along the directions of this file (FILE or FILE:NAME, see `run_pipeline.py
    directions`)."""
    direction_unit: float = Field(default=1.0, gt=0)
    """Steps of the file that are strength 1 of an edit."""


class RealSettings(PictureSettings):
    """Real pictures for recipe generator; style pictures for recipe refine, which need no counterparts."""

    kind: Literal["pictures"]


KINDS = ("photographs", "samples", "generated", "pictures")
"""What `data.kind` may be."""
Data = Annotated[PhotographSettings | FolderSettings | FacesSettings | RealSettings, Field(discriminator="kind")]


class TrainConfig(Section):
    """Everything that decides a training run."""

    recipe: Literal["encoder", "generator", "refine"] = "encoder"
    """encoder: the network, or parts of it, on pairs. generator: StyleGAN2 against a discriminator. refine: tokens
    (RefineStyle) for the network in `init`, which stays as it is."""
    model: dict[str, Any] = Field(default_factory=dict)
    """`size`, a key of models.config.SIZES (default lite), and fields of ModelConfig that differ from it. Recipe refine
    takes that of `init`."""
    init: str | None = None
    """Weight file to start from; every tensor that fits is taken. null: from nothing."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Free text that the weight file carries, e.g. task and licence."""
    output: str = "output/train"
    """Folder of checkpoints, samples and log; a checkpoint there is resumed."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0; under torchrun auto and cuda give each process its own GPU."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; null: all cores."""
    run: RunSettings = RunSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    """Of the recipes encoder and refine."""
    data: Data
    encoder: EncoderSettings = EncoderSettings()
    loss: LossSettings = LossSettings()
    """Of the recipes encoder and refine."""
    generator: GeneratorSettings = GeneratorSettings()
    adversary: AdversarySettings = AdversarySettings()
    """Discriminator of the recipe generator; the encoder's is loss.adversary."""
    refine: RefineSettings = RefineSettings()


SECTIONS = {
    "encoder": ("model", "optimizer", "encoder", "loss"),
    "generator": ("model", "generator", "adversary"),
    "refine": ("optimizer", "refine", "loss"),
}
"""Recipe → the sections that it reads, besides those that all read."""
_FREE = {
    *("run.steps", "run.save_every", "run.explode_factor", "run.explode_steps", "run.tensorboard"),
    *("output", "device", "threads", "metadata", "data.folder", "data.workers"),
    *("loss.lpips_folder", "loss.arcface_weights"),
}


def unread_section(config: TrainConfig) -> str | None:
    """A section that was set and that the recipe does not read."""
    known = {section for sections in SECTIONS.values() for section in sections}
    return next(iter(sorted((config.model_fields_set & known) - {*SECTIONS[config.recipe]})), None)


def decisions(config: TrainConfig, model: ModelConfig) -> dict[str, str]:
    """Dotted setting → value of all that decides what a run does, where it is not the default.

    Left out is what may change from one resume to the next: how long, how fast (learning rates), how often, and places.
    """
    usual = asdict(ModelConfig())
    chosen = config.model_dump(mode="json", exclude_defaults=True)
    chosen["model"] = {name: value for name, value in asdict(model).items() if value != usual[name]}
    return {name: json.dumps(value) for name, value in _flat(chosen, "").items()}


def _flat(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
    found = {}
    for key, value in tree.items():
        name = prefix + key
        if name in _FREE or key in ("learning_rate", "restarts"):
            continue
        found |= _flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found
