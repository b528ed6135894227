"""train: a YAML file to a trained model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from tqdm import tqdm

from models.config import SIZES, ModelConfig
from models.errors import UserError
from models.training.distributed import join_world, leave_world, local_device
from models.training.loop import Run
from pipeline.config import read_yaml, validation_error
from pipeline.errors import ConfigError
from pipeline.resources import choose_devices
from pipeline.train_config import KINDS, SECTIONS, TrainConfig, decisions, unread_section
from pipeline.train_recipes import make_learner

_REMEDY = "pipeline/train_config.py has every setting and its values, configs/train_*.yaml examples"


def load_train_config(path: Path, overrides: Mapping[str, Any] | None = None) -> tuple[TrainConfig, ModelConfig]:
    """A training YAML with dotted overrides laid over it, and the network that it describes.

    Raises:
        ConfigError: a setting that does not exist, cannot be, or is not read by the recipe.
    """
    data = read_yaml(path)
    for dotted, value in (overrides or {}).items():
        _set(data, dotted.split("."), value, str(path))
    try:
        config = TrainConfig.model_validate(data)
    except ValidationError as error:
        raise validation_error(error, TrainConfig, str(path), KINDS, _REMEDY) from error
    if (section := unread_section(config)) is not None:
        what = f"{path}: {section}: recipe {config.recipe} does not read this section"
        raise ConfigError(what, f"remove it; what it reads: {', '.join(SECTIONS[config.recipe])}")
    if "adversary" in config.loss.model_fields_set and not config.loss.adversarial:
        what = f"{path}: loss.adversary: set, but loss.adversarial is 0: nothing is trained against a discriminator"
        raise ConfigError(what, "set loss.adversarial to its weight (published: 0.1), or remove loss.adversary")
    changes = dict(config.model)
    size = changes.pop("size", "lite")
    try:
        return config, ModelConfig(**{**asdict(SIZES[size]), **changes})
    except KeyError as error:
        raise ConfigError(f"{path}: model.size: {size!r}", f"known: {', '.join(SIZES)}") from error
    except TypeError as error:
        raise ConfigError(f"{path}: model: {error}", "its keys are `size` and the fields of ModelConfig") from error


def train_from_yaml(path: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Train as a YAML file says; returns the path of the finished weights and prints it.

    Args:
        path: see configs/train_tiny.yaml.
        overrides: dotted setting → value.

    Raises:
        UserError: a setting, the data, or the course of the training is at fault.
        KeyboardInterrupt: SIGINT; the state was saved.
    """
    config, model = load_train_config(path, overrides)
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    world = join_world()
    try:
        learner = make_learner(config, model, world, _device(config.device))
        with closing(learner):
            run = Run(learner, config.run, Path(config.output), world, decisions(config, model))
            run.resume()
            _show(run, config.run.steps, world.first)
            if world.first:
                print(f"finished at step {run.step}: {run.weights}")
            return run.weights
    except UserError as error:
        raise type(error)(f"{path}: {error.what}", error.remedy) from error
    finally:
        leave_world()


def _device(wanted: str) -> torch.device:
    first, *others = choose_devices(wanted)
    if others:
        what = f"device: {wanted}: a process trains on one device"
        raise ConfigError(what, "several GPUs: torchrun --nproc_per_node COUNT run_pipeline.py train …")
    return local_device(first)


def _show(run: Run, steps: int, visible: bool) -> None:
    with tqdm(total=steps, initial=run.step, unit="step", dynamic_ncols=True, disable=not visible) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}")

        run.run(progress)


def _set(tree: dict[str, Any], keys: list[str], value: Any, where: str) -> None:
    for key in keys[:-1]:
        child = tree.get(key) or {}
        if not isinstance(child, dict):
            raise ConfigError(f"{where}: {'.'.join(keys)}: {key} is not a section", "see the file's own sections")
        tree[key] = tree = dict(child)
    tree[keys[-1]] = value
