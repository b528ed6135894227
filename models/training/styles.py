"""Pairs from style pictures alone, for the tokens of a domain (RefineStyle): nobody drew their counterparts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.config import ALIGNED_SIZE
from models.errors import UserError
from models.refine_encoder import reconstruction
from models.styleganex import StyleGANEX
from models.training.batches import Batch, as_tensor
from models.training.degrade import shrink_only
from models.training.pictures import PictureSettings, PictureSource
from models.training.samples import Samples


class StylePairs:
    """y is a style picture, x what the unrefined network makes of it by its own inversion. A `Source`.

    So x has the picture's content in the network's domain, and the tokens learn what is left: the style. A network that
    copies its input through skip connections leaves little.

    Args:
        net: the network that is refined; it must not carry tokens while a batch is made.
        samples: aligned faces in the style; a handful will do.

    Raises:
        UserError: a network that cannot invert pictures.
    """

    def __init__(
        self, net: StyleGANEX, samples: Samples, settings: PictureSettings, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        if not net.config.has_encoder or net.config.input_channels != 3:
            raise UserError(
                "data.kind: pictures: the network in init cannot invert pictures",
                "set init to a network with an encoder for RGB pictures",
            )
        side = net.config.output_size(ALIGNED_SIZE, ALIGNED_SIZE)[0]
        self._net, self._count = net, len(samples)
        self._pictures = PictureSource(samples, settings, side, seed, rank, world)

    def batch(self, step: int) -> Batch:
        """See `Source.batch`."""
        return self._pair(self._pictures.batch(step))

    def preview(self) -> Batch:
        """See `Source.preview`: the first pictures."""
        return self._pair(as_tensor([self._pictures.picture(index) for index in range(min(6, self._count))]))

    @torch.no_grad()
    def _pair(self, pictures: Tensor) -> Batch:
        y = pictures.to(next(self._net.parameters()).device)
        x = reconstruction(self._net, shrink_only(y, ALIGNED_SIZE))
        return Batch(x, y, x, face=torch.eye(2, 3).expand(len(y), 2, 3))

    def state(self) -> dict[str, Any]:
        """See `Source.state`: nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Source.load_state`."""

    def close(self) -> None:
        """See `Source.close`: nothing runs ahead."""
