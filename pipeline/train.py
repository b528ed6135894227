"""train: a YAML file to a trained model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from tqdm import tqdm

from models.config import SIZES, ModelConfig
from models.training.batches import ExampleBank
from models.training.loop import Schedule, Trainer
from pipeline.config import read_yaml, validation_error
from pipeline.errors import ConfigError
from stages.base import Section


class TrainConfig(Section):
    """Everything that decides a training run."""

    size: str = "lite"
    """Key of models.config.SIZES, whose numbers `model` may change."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Fields of ModelConfig."""
    output: str = "output/train"
    """Folder of checkpoints, samples and log; a checkpoint there is resumed."""
    scenes_at_hand: int = Field(default=300, ge=1)
    """Training scenes kept in memory; one is replaced at every step."""
    scene_px: int = Field(default=320, ge=64)
    """Side of a scene in pixels, at face scale."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; null: all cores."""
    schedule: dict[str, Any] = Field(default_factory=lambda: {"steps": 1000})
    """Fields of models.training.loop.Schedule."""


def train_from_yaml(path: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Train as a YAML file says; returns the path of the finished weights.

    Args:
        path: see configs/train_lite.yaml.
        overrides: dotted setting → value.
    """
    data = read_yaml(path)
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        data[section] = {**data.get(section, {}), key: value} if key else value
    try:
        config = TrainConfig.model_validate(data)
        model = ModelConfig(**{**asdict(SIZES[config.size]), **config.model})
        schedule = Schedule(**config.schedule)
    except ValidationError as error:
        raise validation_error(error, TrainConfig, str(path)) from error
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error}", "see configs/train_lite.yaml") from error
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    bank = ExampleBank(schedule.seed, config.scenes_at_hand, config.scene_px)
    trainer = Trainer(model, bank, schedule, Path(config.output))
    trainer.resume()
    with tqdm(total=schedule.steps, initial=trainer.step, unit="step", dynamic_ncols=True) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}")

        trainer.run(progress)
    return trainer.folder / "weights.safetensors"
