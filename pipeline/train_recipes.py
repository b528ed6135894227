"""From a training configuration to the learner that carries it out."""

from __future__ import annotations

import torch

from models.checkpoint import load_checkpoint
from models.config import ModelConfig
from models.training.batches import Source
from models.training.distributed import World
from models.training.encoder import EncoderLearner
from models.training.loop import Learner
from models.training.pairs import PairSource
from models.training.photographs import ExampleBank
from models.training.samples import SampleFolder
from pipeline.errors import ConfigError
from pipeline.train_config import FolderSettings, TrainConfig


def make_learner(config: TrainConfig, model: ModelConfig, world: World, device: torch.device) -> Learner:
    """The learner of `config.recipe`.

    Raises:
        UserError: a file that is missing or does not fit.
    """
    init = load_checkpoint(config.init) if config.init is not None else None
    source = _source(config, model, world)
    edits = tuple(config.data.edits) if isinstance(config.data, FolderSettings) else ()
    return EncoderLearner(
        model,
        source,
        config.loss,
        config.optimizer,
        config.encoder,
        seed=config.run.seed,
        init=init,
        directions=edits,
        metadata=config.metadata,
        world=world,
        device=device,
    )


def _source(config: TrainConfig, model: ModelConfig, world: World) -> Source:
    data, seed = config.data, config.run.seed
    if isinstance(data, FolderSettings):
        return PairSource(SampleFolder(data.folder), data, model, seed, world.rank, world.size)
    if world.size > 1:
        raise ConfigError("data.kind: photographs come in an order of their own", "train on one process")
    return ExampleBank(seed, data)
