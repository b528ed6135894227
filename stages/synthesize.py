"""synthesize: the generator. Latents in, pictures out, on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from models.latent import Latent
from models.styleganex import StyleGANEX
from stages.batches import batched, passes
from stages.types import EncodedFrame, RenderedFrame


class Synthesize:
    """EncodedFrame → RenderedFrame, `batch_size` frames at a time, with zero noise (as published for video)."""

    name = "synthesize"

    def __init__(self, net: StyleGANEX, batch_size: int) -> None:
        self._net = net
        self._batch_size = batch_size

    @property
    def lookahead(self) -> int:
        """Frames held back before the first output."""
        return self._batch_size - 1

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[RenderedFrame, None, None]:
        """Synthesise every latent; frames without one pass through with no pictures."""
        with contextlib.closing(items):
            for group in batched(items, self._batch_size):
                images = iter(self._synthesize([latent for item in group for latent in item.latents]))
                for item in group:
                    crops = item.cropped.crops
                    yield RenderedFrame(
                        face_frame=item.cropped.face_frame,
                        windows=tuple(crop.window for crop in crops),
                        images=tuple(next(images) for _ in crops),
                    )

    def _synthesize(self, latents: Sequence[Latent]) -> list[Tensor]:
        images: dict[int, Tensor] = {}
        shapes = [None if latent.feature is None else tuple(latent.feature.shape) for latent in latents]
        for members in passes(shapes, next(self._net.parameters()).device):
            batch = latents[members[0]] if len(members) == 1 else _joined([latents[i] for i in members])
            with torch.inference_mode():
                pictures = self._net.synthesize(batch).to("cpu", torch.float32)
            images |= dict(zip(members, pictures, strict=True))
        return [images[i] for i in range(len(latents))]


def _joined(latents: Sequence[Latent]) -> Latent:
    """One latent of batch size N from N of batch size 1 with equal shapes."""

    def together(parts: Sequence[Tensor | None]) -> Tensor | None:
        present = [part for part in parts if part is not None]
        return torch.cat(present) if present else None

    return Latent(
        wplus=torch.cat([latent.wplus for latent in latents]),
        feature=together([latent.feature for latent in latents]),
        skips=tuple(torch.cat(level) for level in zip(*(latent.skips for latent in latents), strict=True)),
        feature_rgb=together([latent.feature_rgb for latent in latents]),
    )
