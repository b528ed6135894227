"""What is expensive to load and is loaded once: the network and the face detector."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import torch

from models.allocator import settle_allocator
from models.faces import FaceDetector
from models.zoo import LoadedModel, load_model
from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from stages.track import load_detector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a render needs besides its configuration; None where the task renders nothing."""

    model: LoadedModel | None
    detector: FaceDetector | None


class Loader:
    """Loads what a configuration asks for and keeps it, so that the jobs of a batch share it."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], LoadedModel] = {}
        self._detectors: dict[str, FaceDetector] = {}

    def load(self, config: RunConfig) -> Resources:
        """The network and the detector for `config`, in eval mode on its device."""
        if not config.task.recipe().renders:
            return Resources(None, None)
        settle_allocator()
        torch.set_num_threads(config.threads or os.cpu_count() or 1)
        return Resources(self._model(config), self._detector(config))

    def _model(self, config: RunConfig) -> LoadedModel:
        device = choose_device(config.device)
        key = (config.model or " ".join(config.task.models), device)
        if key not in self._models:
            self._models.clear()  # one network at a time: two full ones would not fit beside each other
            self._models[key] = load_model(config.model, config.task.models, device)
            log.info("%s", self._models[key].note)
        return self._models[key]

    def _detector(self, config: RunConfig) -> FaceDetector:
        key = config.track.model_dump_json(include={"detector", "weights_dir", "device"})
        if key not in self._detectors:
            self._detectors[key] = load_detector(config.track)
        return self._detectors[key]


def choose_device(wanted: str) -> str:
    """`auto` becomes cuda where there is one, else cpu; a device that is not there is an error."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ConfigError(f"device: {wanted}: no such kind of device", "use auto, cpu, cuda or cuda:0") from error
    missing = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if missing or (device.type == "mps" and not torch.backends.mps.is_available()):
        raise ConfigError(f"device: {wanted}: this machine has no such device", "use --device cpu or --device auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device: {wanted}: not a device that this pipeline runs on", "use auto, cpu, cuda or mps")
    return wanted


def batch_size(config: RunConfig) -> int:
    """Frames per pass of the network."""
    return config.batch_size or (1 if choose_device(config.device) == "cpu" else 8)
