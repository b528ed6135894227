"""From a training configuration to the learner that carries it out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from models.checkpoint import load_checkpoint
from models.config import ModelConfig
from models.directions_file import load_directions
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
from models.training.styles import StylePairs
from pipeline.errors import ConfigError
from pipeline.train_config import FacesSettings, FolderSettings, RealSettings, TrainConfig


class _Generators(NamedTuple):
    """What data.kind: generated makes its pairs with."""

    original: StyleGANEX
    toonified: StyleGANEX | None
    names: tuple[str, ...] = ()
    directions: Tensor | None = None
    """[N, L, style_dim], in the order of `names`; None: no edits."""


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
    return _encoder(config, model, init, world, device, samples)


def _encoder(
    config: TrainConfig,
    model: ModelConfig,
    init: StyleGANEX | None,
    world: World,
    device: torch.device,
    samples: Samples | None,
) -> EncoderLearner:
    data, generators = config.data, _open_generators(config)
    edits = tuple(data.edits) if isinstance(data, FolderSettings) else ()
    known = decoder = None
    if generators is not None:
        edits, known = generators.names, generators.directions
        decoder = None if "generator" in config.encoder.train else generators.toonified
    if model.attention and not edits:
        remedy = "set data.directions (kind: generated) or data.edits (kind: samples), or model.attention: 0"
        raise ConfigError("model.attention: 1 is for edits, and the data has none", remedy)
    return EncoderLearner(
        model,
        _pairs(config, model, generators, world, device, samples),
        config.loss,
        config.optimizer,
        config.encoder,
        seed=config.run.seed,
        init=init,
        decoder=decoder,
        palette=isinstance(config.data, FolderSettings) and config.data.palette,
        directions=edits,
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
    if config.refine.kind == "picture" and not (init.config.has_encoder and init.config.input_channels == 3):
        what = f"refine.kind: picture: the network in {config.init} cannot invert pictures"
        raise ConfigError(what, "set init to a network with an encoder for RGB pictures, or refine.kind: domain")
    data, generators = config.data, _open_generators(config)
    if generators is not None and generators.names:
        raise ConfigError("data.directions: recipe refine learns no edits", "leave data.directions out")
    if not isinstance(data, RealSettings):
        source = _pairs(config, init.config, generators, world, device, samples)
    elif config.refine.kind == "domain":
        source = StylePairs(init, open_samples(data.folder), data, config.run.seed, world.rank, world.size)
    else:
        raise ConfigError("data.kind: pictures are a style, for refine.kind: domain", "set data.kind: samples")
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
    generators: _Generators | None,
    world: World,
    device: torch.device,
    samples: Samples | None,
) -> Source:
    data, seed = config.data, config.run.seed
    if isinstance(data, FolderSettings):
        samples = samples or open_samples(data.folder, data.last)
        return PairSource(samples, data, model, seed, world.rank, world.size)
    if isinstance(data, FacesSettings):
        assert generators is not None
        original, toonified, _, directions = generators
        return GeneratedPairs(original, toonified, directions, data, model, seed, device, world.rank, world.size)
    if isinstance(data, RealSettings):
        raise ConfigError(f"data.kind: pictures are no pairs for recipe {config.recipe}", "set data.kind: samples")
    if world.size > 1:
        raise ConfigError("data.kind: photographs come in an order of their own", "train on one process")
    return ExampleBank(seed, data)


def _open_generators(config: TrainConfig) -> _Generators | None:
    """Generators and directions of data.kind: generated; None for other data."""
    data = config.data
    if not isinstance(data, FacesSettings):
        return None
    if data.toonified is not None and data.directions is not None:
        raise ConfigError("data: toonified and directions: targets are one or the other", "leave one of them out")
    original = load_checkpoint(data.original)
    if data.directions is None:
        return _Generators(original, None if data.toonified is None else load_checkpoint(data.toonified))
    names, directions = load_directions(data.directions, original.config)
    if any("," in name for name in names):
        raise ConfigError(f"{data.directions}: a direction's name has a comma in it", "rename it")
    return _Generators(original, None, names, data.direction_unit * directions)
