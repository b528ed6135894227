"""Sets on disk: one `.npz` per sample, resumable, the same bits for the same seed whatever the number of workers.

`heads_000123.npz` holds image, toon3d, cartoon, ink [S, S, 3], sketch, parsing [S, S] (all uint8), landmarks,
toon_landmarks [68, 2] float32 (pixel indices), attributes [A] float32 in the order of `heads.json`'s `attributes`; with
variants also `variant_<name>` [S, S, 3] and `attributes_<name>` [A]. Files are written under another name and renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.heads.errors import HeadsError
from models.training.heads.geometry import Stage
from models.training.heads.human import load_human
from models.training.heads.sample import VARIANTS, Renderer
from models.training.heads.sampling import sample_scene

VERSION = 2
"""Of what the pictures look like; a set of another version is not continued."""
ARRAYS = ("image", "toon3d", "cartoon", "ink", "sketch", "parsing", "landmarks", "toon_landmarks")
"""Of `Sample`, besides the attributes; neither is a set with other arrays."""


@dataclass(frozen=True, slots=True)
class Order:
    """A set that somebody wants."""

    out: Path
    count: int
    seed: int = 1
    size: int = 256
    variants: int = 0
    """Every how many-th sample has edits beside it; 0: none."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.count < 0:
            raise HeadsError(f"no set of {self.count} pictures of {self.size} pixels", "count ≥ 0 and size ≥ 32")

    def scene_seed(self, index: int) -> int:
        """Of one sample: sets of different seeds share no scene up to a million samples."""
        return self.seed * 1_000_000 + index

    def has_variants(self, index: int) -> bool:
        """Whether sample `index` has edits beside it."""
        return self.variants > 0 and index % self.variants == 0

    def path(self, index: int) -> Path:
        """Where sample `index` goes."""
        return self.out / f"heads_{index:06d}.npz"


def prepare(order: Order) -> None:
    """Make the folder and `heads.json`, or check that what is there is the same set.

    Raises:
        HeadsError: the folder holds another set.
    """
    order.out.mkdir(parents=True, exist_ok=True)
    index = order.out / "heads.json"
    said = {
        "version": VERSION,
        "seed": order.seed,
        "size": order.size,
        "arrays": list(ARRAYS),
        "variants": list(VARIANTS) if order.variants else [],
        "variants_every": order.variants,
        "attributes": list(sample_scene(0).attributes()),
    }
    if index.exists():
        if json.loads(index.read_text(encoding="utf-8")) != said:
            raise HeadsError(f"{order.out} holds another set", "choose another folder, or remove that one")
        return
    part = index.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    part.replace(index)


def write_samples(order: Order, worker: int = 0, workers: int = 1) -> Iterator[Path]:
    """Write what is missing of every `workers`-th sample from `worker` on; yields each file when it is there."""
    missing = [index for index in range(worker, order.count, workers) if not order.path(index).exists()]
    if not missing:
        return
    renderer = Renderer(Stage(load_human()), order.size)
    for index in missing:
        yield save(order.path(index), arrays(renderer, order.scene_seed(index), order.has_variants(index)))


def arrays(renderer: Renderer, seed: int, variants: bool) -> dict[str, NDArray[np.generic]]:
    """What the file of one sample holds."""
    scene = sample_scene(seed)
    sample = renderer.sample(scene)
    held: dict[str, NDArray[np.generic]] = {name: getattr(sample, name) for name in ARRAYS}
    held["attributes"] = _vector(sample.attributes)
    if variants:
        for name, (picture, attributes) in renderer.variants(scene).items():
            held[f"variant_{name}"] = picture
            held[f"attributes_{name}"] = _vector(attributes)
    return held


def save(path: Path, held: Mapping[str, NDArray[np.generic]]) -> Path:
    """Write under another name, then rename. Not compressed: reading costs less than unpacking."""
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **dict(held))  # type: ignore[arg-type]
    part.replace(path)
    return path


def _vector(attributes: Mapping[str, float]) -> NDArray[np.float32]:
    return np.array(list(attributes.values()), np.float32)
