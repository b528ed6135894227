"""From a training configuration to the learner that carries it out."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from models.checkpoint import load_checkpoint
from models.config import ModelConfig
from models.styleganex import StyleGANEX
from models.training.batches import Source
from models.training.distributed import World
from models.training.encoder import EncoderLearner
from models.training.gan import GeneratorLearner
from models.training.generated import GeneratedPairs
from models.training.loop import Learner
from models.training.pairs import PairSource
from models.training.photographs import ExampleBank
from models.training.pictures import PictureSource
from models.training.refine import RefineLearner
from models.training.samples import Samples, open_samples
from pipeline.errors import ConfigError
from pipeline.train_config import FacesSettings, FolderSettings, RealSettings, TrainConfig


def make_learner(
    config: TrainConfig, model: ModelConfig, world: World, device: torch.device, samples: Samples | None = None
) -> Learner:
    """The learner of `config.recipe`.

    Args:
        samples: instead of what is in data.folder, for the recipes encoder and refine.

    Raises:
        UserError: a file that is missing or does not fit, or settings that do not go together.
    """
    init = load_checkpoint(config.init) if config.init is not None else None
    if config.recipe == "generator":
        return _generator(config, model, init, world, device)
    if config.recipe == "refine":
        return _refine(config, init, world, device, samples)
    directions, known = _directions(config)
    return EncoderLearner(
        model,
        _pairs(config, model, known, world, device, samples),
        config.loss,
        config.optimizer,
        config.encoder,
        seed=config.run.seed,
        init=init,
        palette=isinstance(config.data, FolderSettings) and config.data.palette,
        directions=directions,
        known_directions=known,
        metadata=config.metadata,
        world=world,
        device=device,
    )


def _generator(
    config: TrainConfig, model: ModelConfig, init: StyleGANEX | None, world: World, device: torch.device
) -> GeneratorLearner:
    data, seed = config.data, config.run.seed
    if not isinstance(data, RealSettings):
        raise ConfigError(f"data.kind: {data.kind}: recipe generator learns from pictures", "set data.kind: pictures")
    model = replace(model, has_encoder=False, num_skips=0, attention=0)
    source = PictureSource(open_samples(data.folder), data, model.resolution, seed, world.rank, world.size)
    return GeneratorLearner(
        model,
        source,
        config.generator,
        config.adversary,
        seed=seed,
        batch=data.batch,
        init=init,
        metadata=config.metadata,
        world=world,
        device=device,
    )


def _refine(
    config: TrainConfig, init: StyleGANEX | None, world: World, device: torch.device, samples: Samples | None
) -> RefineLearner:
    if init is None:
        raise ConfigError("init: recipe refine needs the network that is refined", "set init to its weight file")
    source = _pairs(config, init.config, None, world, device, samples)
    return RefineLearner(
        init,
        source,
        config.loss,
        config.optimizer,
        config.refine,
        seed=config.run.seed,
        metadata=config.metadata,
        world=world,
        device=device,
    )


def _pairs(
    config: TrainConfig,
    model: ModelConfig,
    directions: Tensor | None,
    world: World,
    device: torch.device,
    samples: Samples | None,
) -> Source:
    data, seed = config.data, config.run.seed
    if isinstance(data, FolderSettings):
        samples = samples or open_samples(data.folder, data.last)
        return PairSource(samples, data, model, seed, world.rank, world.size)
    if isinstance(data, FacesSettings):
        original = load_checkpoint(data.original)
        toonified = load_checkpoint(data.toonified) if data.toonified is not None else None
        return GeneratedPairs(original, toonified, directions, data, model, seed, device, world.rank, world.size)
    if isinstance(data, RealSettings):
        raise ConfigError(f"data.kind: pictures are no pairs for recipe {config.recipe}", "set data.kind: samples")
    if world.size > 1:
        raise ConfigError("data.kind: photographs come in an order of their own", "train on one process")
    return ExampleBank(seed, data)


def _directions(config: TrainConfig) -> tuple[tuple[str, ...], Tensor | None]:
    """Names of the directions that are trained with, and the directions themselves where they are given."""
    if isinstance(config.data, FolderSettings):
        return tuple(config.data.edits), None
    if isinstance(config.data, FacesSettings):
        found = load_checkpoint(config.data.original)
        if found.editing_w is not None and config.data.toonified is None:
            names = found.metadata.get("directions", "")
            return tuple(names.split(",")) if names else (), found.editing_w
    return (), None
