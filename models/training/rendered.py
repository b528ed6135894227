"""A set of synthetic heads of which only what is asked for is rendered.

A training run draws its scenes by number from the whole set. Its first steps need a few of them, whatever the set's
size: with this they are made on the spot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.training.heads.dataset import Order, arrays, prepare, save
from models.training.heads.sampling import sample_scene

if TYPE_CHECKING:
    from models.training.heads.sample import Renderer


class RenderedHeads:
    """`Samples` of an order; a head is rendered when it is first loaded, and kept in the order's folder.

    Raises:
        HeadsError: the folder holds another set.
    """

    def __init__(self, order: Order) -> None:
        prepare(order)
        self._order, self._renderer = order, None
        self.attributes = tuple(sample_scene(0).attributes())
        self.rendered = 0
        """How many were not there."""

    def __len__(self) -> int:
        return self._order.count

    def having(self, name: str) -> list[int]:
        """See `Samples.having`."""
        everywhere = not name.startswith(("variant_", "attributes_"))
        return [number for number in range(len(self)) if everywhere or self._order.has_variants(number)]

    def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """See `Samples.load`."""
        path = self._order.path(index)
        if not path.exists():
            order = self._order
            save(path, arrays(self._renderer_of(), order.scene_seed(index), order.has_variants(index)))
            self.rendered += 1
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file.files}

    def _renderer_of(self) -> Renderer:
        if self._renderer is None:
            from models.training.heads.geometry import Stage
            from models.training.heads.human import load_human
            from models.training.heads.sample import Renderer

            self._renderer = Renderer(Stage(load_human()), self._order.size)
        return self._renderer
