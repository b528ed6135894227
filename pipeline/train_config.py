"""The shape of a training YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from models.training.encoder import EncoderSettings
from models.training.encoder_losses import LossSettings
from models.training.pairs import PairSettings
from models.training.photographs import PhotographSettings
from models.training.settings import OptimizerSettings, RunSettings
from stages.base import Section


class FolderSettings(PairSettings):
    """Pairs from a folder of .npz samples (models/training/samples.py says what is in one)."""

    kind: Literal["samples"]
    folder: str
    """Where they are."""


class TrainConfig(Section):
    """Everything that decides a training run."""

    recipe: Literal["encoder"] = "encoder"
    """encoder: the network, or parts of it, on pairs."""
    model: dict[str, Any] = Field(default_factory=dict)
    """`size`, a key of models.config.SIZES (default lite), and fields of ModelConfig that differ from it."""
    init: str | None = None
    """Weight file to start from; every tensor that fits is taken. null: from nothing."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Free text that the weight file carries, e.g. task and licence."""
    output: str = "output/train"
    """Folder of checkpoints, samples and log; a checkpoint there is resumed."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0; under torchrun auto gives each process its own GPU."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; null: all cores."""
    run: RunSettings = RunSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    data: Annotated[PhotographSettings | FolderSettings, Field(discriminator="kind")]
    encoder: EncoderSettings = EncoderSettings()
    loss: LossSettings = LossSettings()
