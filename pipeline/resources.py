"""What is expensive to load and is loaded once: the network and the face detector."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace

import cv2
import torch

from models.errors import ModelError
from models.faces import FaceDetector
from models.precision import has_units
from models.refine import load_refine
from models.replicas import parse_devices, replicate
from models.styleganex import StyleGANEX
from models.zoo import LoadedModel, check_task, find_model, load_model, model_sha256
from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.workers import plan_workers
from stages.analysis import Analysis
from stages.recipe import Recipe, Tools
from stages.tasks import Task
from stages.track import load_detector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a task that renders needs besides its configuration."""

    model: LoadedModel
    detector: FaceDetector
    recipe: Recipe
    analysis: Analysis | None = None
    """Pass 1, where it was made before."""
    encode: bool = False
    """The w+ in the analysis are another encoder's: they are computed anew."""
    replicas: tuple[StyleGANEX, ...] = ()
    """The model's network on further devices, or for further workers."""

    @property
    def sharing(self) -> int:
        """Networks that work at the same time in one memory: on a CPU all of them."""
        return 1 + len(self.replicas) if self.model.net.generator.constant.device.type == "cpu" else 1


class Loader:
    """Loads what a configuration asks for and keeps it, so that the jobs of a batch share it."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, ...], LoadedModel] = {}
        self._detectors: dict[str, FaceDetector] = {}
        self._replicas: tuple[StyleGANEX, tuple[str, ...], tuple[StyleGANEX, ...]] | None = None

    def load(self, config: RunConfig) -> Rendering | None:
        """The network in eval mode on its device, the detector, and the task's recipe; None where nothing is rendered.

        Raises:
            UserError: something is not there, or the model cannot do the task.
        """
        task = config.task
        if not task.renders:
            return None
        model, detector = self._model(config), self._detector(config)
        recipe = task.recipe(Tools(model.net, model.name, detector, config.seed))
        check_fits(task, recipe, model)
        return Rendering(model, detector, recipe, replicas=self._copies(model.net, places(config, recipe, model)))

    def _model(self, config: RunConfig) -> LoadedModel:
        task, device = config.task, choose_device(config.device)
        path = find_model(config.model, task.models, task.kind)
        settings = (config.precision, str(config.compile), str(config.refine))
        key = (str(path), device, *settings, task.weight_settings)
        if key not in self._models:
            self._models.clear()  # one network at a time: two full ones would not fit beside each other
            model = load_model(config.model, task.models, device, task.kind)
            net = task.adapt(model.net)
            if config.refine is not None:
                load_refine(net, config.refine)
            net.set_precision(config.precision)
            if not has_units(config.precision, torch.device(device)):
                log.warning("%s has no %s units: correct, but slower than fp32", device, config.precision)
            self._models[key] = replace(model, net=compiled(net) if config.compile else net)
            log.info("%s", model.note)
        elif path.stem not in task.models:  # loaded for another task: the file's own options may rule this one out
            check_task(path.stem, self._models[key].net.metadata.get("task", ""), task.kind)
        return self._models[key]

    def _copies(self, net: StyleGANEX, devices: tuple[str, ...]) -> tuple[StyleGANEX, ...]:
        if self._replicas is None or self._replicas[0] is not net or self._replicas[1] != devices:
            self._replicas = None  # before others take the memory
            self._replicas = net, devices, replicate(net, devices)[1:]
        return self._replicas[2]

    def _detector(self, config: RunConfig) -> FaceDetector:
        key = config.track.model_dump_json(include={"detector", "weights_dir", "device"})
        if key not in self._detectors:
            self._detectors[key] = load_detector(config.track)
        return self._detectors[key]


def compiled(net: StyleGANEX) -> StyleGANEX:
    """The same network through torch.compile, which is imported only here: it takes a second."""
    from models.compiled import CompiledNet

    if net.generator.constant.device.type == "cpu":
        log.warning("compile: on a CPU it takes minutes for every input size and gains little over the default")
    return CompiledNet(net)


def weights_sha256(config: RunConfig) -> str:
    """Digest of the weight file that `Loader.load` would read, without reading the network; "" where none is needed."""
    task = config.task
    return model_sha256(config.model, task.models, task.kind) if task.renders else ""


def check_fits(task: Task, recipe: Recipe, model: LoadedModel) -> None:
    """Raise ModelError when the model cannot take what the task would give it."""
    net = model.net.config
    if not net.has_encoder:
        raise ModelError(
            f"task {task.kind}: model {model.name} is a generator alone",
            "use `run_pipeline.py sample`, or give it to toonify as --generator beside a model with an encoder",
        )
    if net.input_channels != recipe.content.channels:
        raise ModelError(
            f"task {task.kind}: model {model.name} takes {net.input_channels} channels, "
            f"this task gives {recipe.content.channels}",
            f"use a model for {task.kind}: {', '.join(task.models)}",
        )


def fit_config(config: RunConfig, rendering: Rendering | None) -> RunConfig:
    """The configuration as this model can follow it, with queues that hold a batch of a GPU's.

    A plain pSp model draws from w+ alone: it sees aligned faces, and every frame has its own w+, or nothing would move.

    Raises:
        ModelError: the configuration asks for what the model cannot do.
    """
    if rendering is None:
        return config
    if rendering.model.net.generator.constant.device.type == "cuda":
        config = with_room(config, batch_size(config))
    if config.composite.mode == "add" and rendering.recipe.offset is None:
        raise ModelError(
            f"composite.mode: add: task {config.task.kind} has no editing vector, so there is no change to add",
            "leave composite.mode out",
        )
    if rendering.model.net.config.has_feature or rendering.model.net.config.num_skips:
        return config
    if config.crop.frame in ("full", "window"):
        raise ModelError(
            f"crop.frame: {config.crop.frame}: model {rendering.model.name} draws aligned faces only",
            "leave --frame out, or use a StyleGANEX model",
        )
    crop = config.crop.model_copy(update={"frame": "aligned"})
    style = config.style
    if style.latents in ("clip", "shot"):
        style = style.model_copy(update={"latents": "frame"})
    return config.model_copy(update={"crop": crop, "style": style})


def with_room(config: RunConfig, batch: int) -> RunConfig:
    """Queues that a whole batch goes into, so that the network's thread can launch the next; 0 stays no queue."""
    buffers = {name: max(depth, batch) for name, depth in config.buffers.model_dump().items() if depth}
    return config.model_copy(update={"buffers": config.buffers.model_copy(update=buffers)})


def choose_device(wanted: str) -> str:
    """The first of `choose_devices`."""
    return choose_devices(wanted)[0]


def choose_devices(wanted: str) -> tuple[str, ...]:
    """The devices that `cuda:0,1` names; one that is not there is an error. See `_choose`."""
    return tuple(_choose(device) for device in parse_devices(wanted))


def _choose(wanted: str) -> str:
    """`auto` becomes cuda where there is one, else cpu."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ConfigError(f"device: {wanted}: no such kind of device", "use auto, cpu, cuda or cuda:0") from error
    missing = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if missing or (device.type == "mps" and not torch.backends.mps.is_available()):
        raise ConfigError(f"device: {wanted}: this machine has no such device", "use cpu or auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device: {wanted}: not a device that this pipeline runs on", "use auto, cpu, cuda or mps")
    return wanted


def places(config: RunConfig, recipe: Recipe, model: LoadedModel) -> tuple[str, ...]:
    """The device of each network that takes part; PyTorch gets as many threads as each of them should have.

    So does OpenCV, where reading and tracking would take the cores from the network.
    """
    devices, reason = choose_devices(config.device), alone_for(config, recipe)
    if reason and len(devices) > 1:
        log.warning("device: %s goes frame by frame through one device: the first of %s", reason, config.device)
        devices = devices[:1]
    threads = config.threads or os.cpu_count() or 1
    if devices == ("cpu",):
        workers, threads = plan_workers(config, model.net.config, bool(reason))
        devices *= workers
        cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    return devices


def alone_for(config: RunConfig, recipe: Recipe) -> str:
    """Why every frame of a clip must go through one network in turn; "" where several may share it."""
    if recipe.optimize is not None:
        return "inversion's optimisation"
    if config.latents.source is not None or config.latents.save is not None:
        return "a latent file"
    if config.steady.feature:
        return "the filter of the first-layer feature"
    if recipe.style == "content" and config.analysis is None:
        return "w+ from the network's own input"
    return ""


def batch_size(config: RunConfig) -> int:
    """Frames per pass of the network."""
    return config.batch_size or (1 if choose_device(config.device) == "cpu" else 8)
