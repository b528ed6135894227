"""Which models there are, where their files lie, which one answers a task, and how to get one onto a device."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import load_checkpoint
from models.errors import CheckpointError
from models.lockfile import Lockfile
from models.registry import PUBLISHED, can_answer, published
from models.safetensors_file import read_metadata
from models.styleganex import StyleGANEX

_LOG = logging.getLogger(__name__)
WEIGHTS = Path(__file__).parent / "weights"
"""The embedded models."""
_SUFFIXES = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network ready to use."""

    net: StyleGANEX
    name: str
    path: Path
    sha256: str
    embedded: bool
    """True for a demonstration model that ships with the project."""

    @property
    def note(self) -> str:
        """One line for the log and the report."""
        if not self.embedded:
            return f"model {self.name} ({self.path})"
        return (
            f"model {self.name}: the small demonstration model that ships with this project; for the published ones "
            f"run `python run_pipeline.py models fetch NAME` (names: `models list`) or pass --model FILE"
        )


def weights_dir() -> Path:
    """Where fetched files lie: $STYLEGANEX_WEIGHTS, or styleganex/ in the user's cache folder."""
    named = os.environ.get("STYLEGANEX_WEIGHTS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "styleganex"


def find_model(wanted: str | None, fitting: Sequence[str] = (), task: str | None = None) -> Path:
    """The weight file for a name or a path; with nothing wanted, the first of `fitting` that is at hand, then any file
    whose metadata says that it was trained for `task`.

    Args:
        task: refuse a model that is known to be unable to do it; None: no check.

    Raises:
        CheckpointError: no such file or name, the published file has not been fetched, or a model of another task.
    """
    if wanted is None:
        return _default_model(fitting, task)
    path = _named(wanted)
    if path is None and Path(wanted).is_file():
        path = Path(wanted)
    if path is None:
        if entry := published(wanted):
            raise CheckpointError(
                f"model {wanted}: not fetched yet", f"run `python run_pipeline.py models fetch {entry.name}`"
            )
        raise CheckpointError(
            f"model {wanted}: no such file and no such model", "see `python run_pipeline.py models list`"
        )
    if task is not None and path.stem not in fitting:
        check_task(path.stem, trained_for(path), task)
    return path


def load_model(wanted: str | None, fitting: Sequence[str], device: str, task: str | None = None) -> LoadedModel:
    """Find, check, read and place a network, in eval mode, its parameters frozen. Arguments as for `find_model`.

    Raises:
        CheckpointError: as `find_model`; a file that is not what was recorded when it was fetched; whatever makes
            `load_checkpoint` refuse it; or a file whose own options say that it is for another task.
    """
    path = find_model(wanted, fitting, task)
    digest = Lockfile(weights_dir()).check(path)
    net = load_checkpoint(path, device=device)
    if task is not None and path.stem not in fitting:
        check_task(path.stem, net.metadata.get("task", ""), task)
    net.requires_grad_(False)
    return LoadedModel(net, path.stem, path, digest, embedded=path.parent == WEIGHTS)


def load_generator_into(net: StyleGANEX, wanted: str | Path) -> StyleGANEX:
    """Replace the generator's weights, in place, by those of another file: mapping, synthesis and stored noise maps.

    The encoder, the skip connections, `latent_avg` and `editing_w` stay. Meant for generators that were made from the
    one in `net`, e.g. a toonified one: others do not understand its w+ and f.

    Args:
        net: a network on any device, in float32.
        wanted: name or path of a StyleGAN2 `g_ema` file or of any checkpoint with a decoder.

    Returns:
        `net`.

    Raises:
        CheckpointError: no such file, one that cannot be read, or a generator of another architecture. `net` is then
            as it was.
    """
    path = find_model(str(wanted))
    Lockfile(weights_dir()).check(path)
    other = load_checkpoint(path)
    faults = [
        f"{name} {getattr(other.config, name)} instead of {getattr(net.config, name)}"
        for name in ("resolution", "style_dim", "mapping_layers", "generator_channels")
        if getattr(other.config, name) != getattr(net.config, name)
    ]
    if faults:
        raise CheckpointError(
            f"{path}: this generator does not fit the model: {'; '.join(faults)}",
            "give one of the model's own size, made from its generator",
        )
    net.generator.load_state_dict(other.generator.state_dict())
    return net


def model_sha256(wanted: str | None, fitting: Sequence[str] = (), task: str | None = None) -> str:
    """The digest that `load_model` would report, without loading the network. Arguments as for `find_model`.

    Cheap: taken from the lock file where the file's size and time are as recorded, else read once per process.

    Raises:
        CheckpointError: as `find_model`, and for a file that is not what was recorded.
    """
    return Lockfile(weights_dir()).check(find_model(wanted, fitting, task))


def trained_for(path: Path) -> str:
    """The task (or tasks, with commas) that a file is known to be for, without reading its weights; "" if unknown."""
    if path.suffix == ".safetensors":
        with suppress(CheckpointError):  # a broken file among others is not what the user asked about
            if task := read_metadata(path).get("task"):
                return task
    if entry := published(path.stem):
        return entry.task
    return "toonify" if path.parent == WEIGHTS and "toon" in path.stem else ""


def check_task(name: str, known: str, task: str) -> None:
    """Raise a CheckpointError if a model trained for `known` cannot do `task`."""
    if can_answer(known, task):
        return
    names = [path.stem for path in local_files() if can_answer(trained_for(path) or "?", task)]
    names += [entry.name for entry in PUBLISHED if can_answer(entry.task, task) and entry.name not in names]
    remedy = f"leave --model out, or choose one of {', '.join(names)}" if names else "leave --model out"
    raise CheckpointError(f"model {name} cannot do {task}: it was made for {known}", remedy)


def local_files() -> Iterator[Path]:
    """Every weight file in the weights folder and among the embedded ones, by name; one per name."""
    seen: set[str] = set()
    for folder in (weights_dir(), WEIGHTS):
        for suffix in _SUFFIXES:
            for path in sorted(folder.glob(f"*{suffix}")):
                if path.stem not in seen and not path.name.startswith("."):
                    seen.add(path.stem)
                    yield path


def _named(name: str) -> Path | None:
    """A file of the weights folder or an embedded one, by its name without suffix."""
    if "/" in name or os.sep in name:
        return None
    places = [(folder, suffix) for folder in (weights_dir(), WEIGHTS) for suffix in _SUFFIXES]
    return next((path for folder, suffix in places if (path := folder / f"{name}{suffix}").is_file()), None)


def _default_model(fitting: Sequence[str], task: str | None) -> Path:
    found = [path for name in fitting if (path := _named(name))]
    if not found and task is not None:
        found = [path for path in local_files() if task in trained_for(path).replace(" ", "").split(",")]
    if found:
        return found[0]
    names = [name for name in fitting if published(name)]
    remedy = f"run `python run_pipeline.py models fetch {names[0]}`" if names else "name a file with --model"
    raise CheckpointError(f"no model for {task or ' or '.join(fitting)} is here", f"{remedy}; see `models list`")
