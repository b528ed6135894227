"""edit: what a task does to the latents between inversion and synthesis."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import replace

import torch

from stages.recipe import Recipe
from stages.types import EncodedFrame


class Edit:
    """EncodedFrame → EncodedFrame with the recipe's edits applied to every latent, and its vector for this frame."""

    name = "edit"
    lookahead = 0

    def __init__(self, recipe: Recipe) -> None:
        self._edits = recipe.edits
        self._offset = recipe.offset

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[EncodedFrame, None, None]:
        """Apply the edits in order."""
        before = offset = None
        with contextlib.closing(items):
            for item in items:
                latents = list(item.latents)
                with torch.inference_mode():
                    for edit in self._edits:
                        latents = [edit(latent) for latent in latents]
                index = item.cropped.face_frame.frame.index
                if self._offset is None or not latents:
                    yield replace(item, latents=tuple(latents), offset=None)
                    continue
                wanted = self._offset(index)
                if offset is None or before is None or not torch.equal(wanted, before):
                    # One recipe serves the networks of several devices. What does not change stays the same tensor.
                    before, offset = wanted, wanted.to(latents[0].wplus.device, non_blocking=True)
                yield replace(item, latents=tuple(latents), offset=offset)
