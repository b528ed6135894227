"""synthesize: the generator. Latents in, pictures out; in tiles where memory is short of a whole one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Hashable, Sequence
from typing import Literal

import torch
from torch import Tensor

from models.budget import Budget
from models.latent import Latent
from models.styleganex import Noise, StyleGANEX
from stages.batches import batched, passes
from stages.device_stream import record
from stages.types import EncodedFrame, RenderedFrame


class Synthesize:
    """EncodedFrame → RenderedFrame, `batch_size` frames at a time; zero noise (as published for video) by default.

    Args:
        memory: bytes that the process may hold; None: a share of what is free now (models/budget.py). Pictures are the
            same for any budget within 1e-4, and bit for bit where it holds a whole one.
        sharing: networks that work at the same time in that memory, this one among them.
        queued: finished pictures that wait behind this stage.
        change: the pictures are what an edit changes: drawn with it, less drawn at strength 0.
    """

    name = "synthesize"

    def __init__(
        self,
        net: StyleGANEX,
        batch_size: int,
        noise: Literal["stored"] | None = None,
        memory: int | None = None,
        sharing: int = 1,
        queued: int = 0,
        change: bool = False,
    ) -> None:
        self._budget = Budget(net, memory, batch_size, sharing, queued + change * batch_size)
        self._change = change
        self._batch_size = batch_size
        self._noise: Noise = noise
        self._device = next(net.parameters()).device

    @property
    def lookahead(self) -> int:
        """Frames held back before the first output."""
        return self._batch_size - 1

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[RenderedFrame, None, None]:
        """Synthesise every latent; frames without one pass through with no pictures."""
        with contextlib.closing(items):
            for group in batched(items, self._batch_size):
                drawings = [_Drawing(item, k) for item in group for k in range(len(item.latents))]
                images = iter(self._synthesize(drawings))
                ready = record(self._device)
                for item in group:
                    crops = item.cropped.crops
                    yield RenderedFrame(
                        face_frame=item.cropped.face_frame,
                        windows=tuple(crop.window for crop in crops),
                        images=tuple(next(images) for _ in crops),
                        ready=ready,
                    )

    def _synthesize(self, drawings: Sequence[_Drawing]) -> list[Tensor]:
        images: dict[int, Tensor] = {}
        for members in passes([drawing.shape for drawing in drawings], self._device):
            chosen = [drawings[i] for i in members]
            latent = chosen[0].latent if len(members) == 1 else _joined([drawing.latent for drawing in chosen])
            edits = [drawing.edit for drawing in chosen if drawing.edit is not None]
            noise = chosen[0].noise
            with torch.inference_mode():
                edit = _together(edits) if edits else None
                pictures = self._draw(latent, edit, noise)
                if self._change and edit is not None:
                    pictures = pictures - self._draw(latent, torch.zeros_like(edit), noise)
            images |= dict(zip(members, pictures, strict=True))
        return [images[i] for i in range(len(drawings))]

    def _draw(self, latent: Latent, edit: Tensor | None, noise: Noise) -> Tensor:
        return self._budget.synthesize(latent, edit=edit, noise=self._noise if noise is None else noise)


class _Drawing:
    """One face's part of an EncodedFrame."""

    def __init__(self, item: EncodedFrame, position: int) -> None:
        self.latent, self.edit = item.latents[position], item.offset
        self.noise = item.noises[position] if item.noises else None

    @property
    def shape(self) -> Hashable:
        """Equal for what can go through the network together; maps of its own go alone."""
        feature = None if self.latent.feature is None else tuple(self.latent.feature.shape)
        return feature, self.edit is None, None if self.noise is None else id(self)


def _joined(latents: Sequence[Latent]) -> Latent:
    """One latent of batch size N, its w+ perhaps of size 1, from N of batch size 1 with equal shapes."""

    def together(parts: Sequence[Tensor | None]) -> Tensor | None:
        present = [part for part in parts if part is not None]
        return torch.cat(present) if present else None

    return Latent(
        wplus=_together([latent.wplus for latent in latents]),
        feature=together([latent.feature for latent in latents]),
        skips=tuple(torch.cat(level) for level in zip(*(latent.skips for latent in latents), strict=True)),
        feature_rgb=together([latent.feature_rgb for latent in latents]),
    )


def _together(codes: Sequence[Tensor]) -> Tensor:
    """[N, L, style_dim], or the one [1, L, style_dim] that all samples share: its weights are there already."""
    return codes[0] if all(each is codes[0] for each in codes) else torch.cat(list(codes))
