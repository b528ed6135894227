"""invert: the encoder. f and the skip features of every window, with the w+ that style chose."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from models.budget import Budget
from models.encoder import Content
from models.latent import Latent
from models.styleganex import StyleGANEX
from stages.batches import batched, passes, x1_of
from stages.style import CLIP_KEY
from stages.types import CroppedFace, CroppedFrame, EncodedFrame


class Invert:
    """CroppedFrame → EncodedFrame, `batch_size` frames at a time.

    Args:
        net: in eval mode; its device is where the work happens.
        batch_size: frames per pass. The result does not depend on it beyond float rounding.
        batch_stats: batch norms use each window's own statistics (`StyleGANEX.invert`).
        memory: bytes that the process may hold; None: a share of what is free now (models/budget.py). Where they do not
            last, fewer windows go through at once, then one in tiles.
        sharing: networks that work at the same time in that memory, this one among them.
    """

    name = "invert"

    def __init__(
        self,
        net: StyleGANEX,
        batch_size: int,
        *,
        batch_stats: bool = False,
        memory: int | None = None,
        sharing: int = 1,
    ) -> None:
        self._net = net
        self._batch_size = 1 if batch_stats else batch_size
        self._batch_stats = batch_stats
        self._budget = Budget(net, memory, self._batch_size, sharing)
        self._device = next(net.parameters()).device

    @property
    def lookahead(self) -> int:
        """Frames held back before the first output."""
        return self._batch_size - 1

    def stream(self, items: Generator[CroppedFrame, None, None]) -> Generator[EncodedFrame, None, None]:
        """Invert every window; frames without a face pass through with no latents."""
        known: dict[tuple[int, int], Tensor] = {}
        shot = 0
        with contextlib.closing(items):
            for group in batched(items, self._batch_size):
                wplus: list[Tensor] = []
                for item in group:
                    if item.face_frame.shot != shot:
                        shot = item.face_frame.shot
                        known = {key: w for key, w in known.items() if key == CLIP_KEY}
                    wplus += [self._wplus(crop, known) for crop in item.crops]
                latents = iter(self._invert([crop for item in group for crop in item.crops], wplus))
                for item in group:
                    yield EncodedFrame(item, tuple(next(latents) for _ in item.crops))

    def _wplus(self, crop: CroppedFace, known: dict[tuple[int, int], Tensor]) -> Tensor:
        """On the device; the same tensor for the same key, so that what depends on it alone can be kept."""
        key = crop.style.key
        if key in known:
            return known[key]
        if crop.style.wplus is not None:
            wplus = crop.style.wplus.to(self._device)
        else:
            with torch.inference_mode():
                wplus = self._encode(x1_of(crop, self._device)[None]).wplus
        if crop.style.reused:
            known[key] = wplus
        return wplus

    def _encode(self, x1: Tensor) -> Latent:
        return self._net.invert(x1, batch_stats=self._batch_stats)

    def _invert(self, crops: Sequence[CroppedFace], wplus: Sequence[Tensor]) -> list[Latent]:
        latents: dict[int, Latent] = {}
        for members in passes([crop.image.shape for crop in crops], self._device):

            def encode(part: slice, members: list[int] = members) -> Content | Latent:
                x1 = torch.stack([x1_of(crops[i], self._device) for i in members[part]])
                with torch.inference_mode():
                    return self._encode(x1) if self._batch_stats else self._budget.encode_content(x1)

            for part, content in self._budget.in_parts(len(members), encode):
                for row, i in enumerate(members[part]):
                    latents[i] = Latent(
                        wplus=wplus[i],
                        feature=None if content.feature is None else content.feature[row : row + 1],
                        skips=tuple(skip[row : row + 1] for skip in content.skips),
                        feature_rgb=None if content.feature_rgb is None else content.feature_rgb[row : row + 1],
                    )
        return [latents[i] for i in range(len(crops))]
