"""The shape of the YAML file, and the one way to load it. YAML path == field path == module name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ByteSize, Field, ValidationError

from models.precision import Precision
from pipeline.errors import ConfigError
from stages.base import Section
from stages.composite import CompositeConfig
from stages.crop import CropConfig
from stages.latents import LatentsConfig
from stages.read import ReadConfig
from stages.shots import ShotsConfig
from stages.steady import SteadyConfig
from stages.style import StyleConfig
from stages.tasks import KINDS, Task, ToonifyTask
from stages.track import TrackConfig
from stages.write import WriteConfig


class BuffersConfig(Section):
    """How many finished frames may wait between the three threads."""

    crop: int = Field(default=4, ge=0, le=64)
    """Behind reading, tracking and cropping; 0: no thread of their own."""
    synthesize: int = Field(default=4, ge=0, le=64)
    """Behind the network; 0: no thread of its own."""


class ReportConfig(Section):
    """What is written beside the output."""

    enabled: bool = True
    """Write OUTPUT.report.json and OUTPUT.report.md."""
    preview_frames: int = Field(default=4, ge=0, le=16)
    """Frames in the before/after picture OUTPUT.preview.png; 0: no picture."""
    verify: bool = False
    """Have ffprobe count and compare the finished file, where that program exists."""
    qc: bool = False
    """Write OUTPUT.qc.html: the finished file beside its input, with flicker measured, for any browser."""


class RunConfig(Section):
    """Everything that decides a render, besides the two paths."""

    task: Task = ToonifyTask()
    """What is done to the faces."""
    model: str | None = None
    """Name in the model zoo or path of a weight file; null: the best one at hand for the task."""
    refine: Path | None = None
    """Token file of a few hundred KB that is laid over the model's kernels (RefineStyle): another domain, or one face
    drawn closer (command `refine`)."""
    device: str = "auto"
    """auto (a GPU when there is one), cpu, cuda, cuda:0, mps; several as cuda:0,1: they take batches in turn."""
    batch_size: int | None = Field(default=None, ge=1, le=256)
    """Frames per pass of the network; null: 8 on a GPU, 1 on a CPU, where more gains nothing."""
    memory: ByteSize | None = Field(default=None, ge=1)
    """What the process may hold, e.g. 6GiB (on a GPU: allocate there), weights and all: fewer frames per pass, then
    tiles, within 1e-4 of the same picture. null: a share of what is free; ordinary sizes then need no tiles."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of the network; null: all cores."""
    workers: int | None = Field(default=None, ge=1, le=64)
    """On a CPU, frames in the network at once, each on its part of the threads; null: one per thread for a small model,
    one for a large one."""
    precision: Precision = "fp32"
    """Arithmetic of the network: fp32 (IEEE, on a GPU too), bf16 (GPU, or a CPU with bf16 units), tf32 and fp16 (GPU
    only)."""
    compile: bool = False
    """Compile the network for each input size (torch.compile; CUDA graphs on a GPU): a minute once, then kept."""
    seed: int = 0
    """For tasks that draw random latents or noise."""
    analysis: Path | None = None
    """Folder from `analyze`: faces, shots and w+ are read from it instead of being found again."""
    read: ReadConfig = ReadConfig()
    shots: ShotsConfig = ShotsConfig()
    track: TrackConfig = TrackConfig()
    style: StyleConfig = StyleConfig()
    crop: CropConfig = CropConfig()
    latents: LatentsConfig = LatentsConfig()
    steady: SteadyConfig = SteadyConfig()
    composite: CompositeConfig = CompositeConfig()
    write: WriteConfig = WriteConfig()
    buffers: BuffersConfig = BuffersConfig()
    report: ReportConfig = ReportConfig()

    @property
    def steady_strength(self) -> float:
        """`steady.strength`, settled."""
        if self.steady.strength is not None:
            return self.steady.strength
        live = self.style.latents == "smooth" and self.style.filter == "one_euro"
        return float(self.style.latents in ("shot", "smooth") and not live)


def load_config(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a YAML file and lay overrides over it.

    Args:
        path: YAML file, or None for the defaults.
        overrides: dotted setting → value, e.g. ``{"track.smooth_s": 0.4, "task": {"kind": "toonify"}}``.

    Raises:
        ConfigError: the file is missing or not YAML; a setting does not exist (names the nearest one) or cannot be.
    """
    where = str(path) if path is not None else "settings"
    data = read_yaml(Path(path)) if path is not None else {}
    return parse_config(data, overrides or {}, where)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{place}: not valid YAML", "mend the syntax; every line is `key: value`") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected `key: value` lines at the top", "see configs/toonify.yaml")
    return data


def settle(
    config: RunConfig | None, task: str | Mapping[str, Any] | None, overrides: Mapping[str, Any] | None
) -> RunConfig:
    """The configuration of one render."""
    data = (config or RunConfig()).model_dump(exclude_unset=True)
    if task is not None:
        data["task"] = {"kind": task} if isinstance(task, str) else dict(task)
    return parse_config(data, overrides or {}, "settings")


def parse_config(data: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> RunConfig:
    """Validate the YAML file's mapping with dotted `overrides` laid over it; `where` names the file in errors.

    A setting that neither names takes the task's own default (`TaskSection.defaults`) where it has one.
    """
    merged = dict(data)
    for dotted, value in overrides.items():
        if dotted == "task" and isinstance(value, Mapping) and isinstance(data.get("task"), Mapping):
            value = merge_task(data["task"], value)
        _set(merged, dotted.split("."), value, where)
    if isinstance(merged.get("task"), Mapping):
        merged["task"] = {"kind": "toonify", **merged["task"]}
    try:
        config = RunConfig.model_validate(merged)
        wishes = {dotted: value for dotted, value in config.task.defaults.items() if not _is_set(merged, dotted)}
        if wishes:
            for dotted, value in wishes.items():
                _set(merged, dotted.split("."), value, where)
            config = RunConfig.model_validate(merged)
        return config
    except ValidationError as error:
        raise validation_error(error, RunConfig, where) from error


def _set(tree: dict[str, Any], keys: list[str], value: Any, where: str) -> None:
    for key in keys[:-1]:
        child = tree.get(key) or {}
        if not isinstance(child, dict):
            raise ConfigError(f"{where}: {'.'.join(keys)}: {key} is not a section", "see `run_pipeline.py explain`")
        tree[key] = tree = dict(child)
    tree[keys[-1]] = value


def merge_task(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A task's settings laid over another's: merged where both are of one kind, else replaced whole."""
    same = over.get("kind", base.get("kind")) == base.get("kind")
    return {**base, **over} if same else dict(over)


def _is_set(tree: Mapping[str, Any], dotted: str) -> bool:
    node: Any = tree
    for key in dotted.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return True


def validation_error(
    error: ValidationError,
    model: type[BaseModel],
    where: str,
    kinds: Collection[str] = KINDS,
    remedy: str = "see `run_pipeline.py explain` for every setting and its value",
) -> ConfigError:
    """pydantic's first complaint as one line what and one line remedy.

    Args:
        kinds: what `kind` may be in `model`'s unions: no part of a setting's name.
        remedy: for a value that cannot be.
    """
    first = error.errors()[0]
    location = [str(part) for part in first["loc"] if str(part) not in kinds or first["loc"][-1] == part]
    setting = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, [str(part) for part in first["loc"][:-1]])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
        return ConfigError(f"{where}: {setting}: no such setting", remedy)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"].startswith("union_tag"):
        return ConfigError(f"{where}: {setting}: {message}", "set `kind` to one of those named there")
    return ConfigError(f"{where}: {setting}: {first['input']!r}: {message[0].lower() + message[1:]}", remedy)


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Field names of the section at `path`; task kinds in the path pick the union's member."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in path:
        node = node.get("properties", {}).get(part, node) if "properties" in node else node
        mapping = node.get("discriminator", {}).get("mapping", {})
        if part in mapping:
            node = {"$ref": mapping[part]}
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return list(node.get("properties", {}))
