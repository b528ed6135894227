"""Training of tokens (RefineStyle): of a domain from a handful of pictures or pairs, or of the encoder that finds
tokens per picture.

The network itself is frozen, its batch norms on their running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from models.precision import Precision
from models.refine import Refinement, add_residuals, refined, save_refine
from models.refine_encoder import RefineEncoder, reconstruction, save_refine_encoder
from models.styleganex import StyleGANEX
from models.training.batches import Batch, Source
from models.training.distributed import World
from models.training.encoder import Drawn, render
from models.training.encoder_losses import EncoderLosses, LossSettings
from models.training.loop import sheet_of
from models.training.optimizers import Descent, make_optimizer
from models.training.settings import OptimizerSettings, Settings
from models.training.watch import require_finite


class RefineSettings(Settings):
    """Which tokens, and how many."""

    kind: Literal["domain", "picture"] = "domain"
    """domain: one set of tokens, optimised alone. picture: tokens per picture, from grouped transformer blocks."""
    rank: int = Field(default=4, ge=1)
    """Tokens per set and layer."""
    width: int = Field(default=64, ge=8)
    """picture: channels of the transformer."""
    blocks: int = Field(default=1, ge=1)
    """picture: transformer blocks per group of layers."""
    precision: Precision = "fp32"
    """Arithmetic of the forward pass (torch.amp); tokens and losses stay fp32."""


class RefineLearner:
    """Tokens, or the encoder of tokens, for a network that stays as it is: a `Learner`."""

    def __init__(
        self,
        net: StyleGANEX,
        source: Source,
        losses: LossSettings,
        optimizer: OptimizerSettings,
        settings: RefineSettings,
        *,
        seed: int = 0,
        metadata: Mapping[str, str] | None = None,
        world: World | None = None,
        device: torch.device | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.world, self.device = world or World(), device or torch.device("cpu")
        self.net = net.requires_grad_(False).eval().to(self.device)
        made = (
            Refinement(net, settings.rank)
            if settings.kind == "domain"
            else RefineEncoder(net, settings.rank, settings.width, settings.blocks)
        )
        self.tokens: Refinement | RefineEncoder = made.to(self.device)
        learned = make_optimizer(self.tokens.parameters(), optimizer)
        self.descent = Descent(learned, self.world, self.device, settings.precision, optimizer.clip)
        self.losses = EncoderLosses(losses, net.config, self.device, self.world)
        self.file = "refine.safetensors" if settings.kind == "domain" else "refine_encoder.safetensors"
        self.rate_settings = self.losses.rate_settings
        self.source, self._rates, self._metadata = source, optimizer, dict(metadata or {})

    def draw(self, batch: Batch) -> Drawn:
        """The refined network's pictures of a batch."""
        if isinstance(self.tokens, Refinement):
            with refined(self.net, self.tokens.weights(self.net)):
                return render(self.net, batch)
        return render_with_tokens(self.net, self.tokens, batch)

    def step(self, index: int, steps: int) -> dict[str, float]:
        """See `Learner.step`."""
        rate, count = self._rates.rate(index, steps), self._rates.accumulate
        self.descent.start(rate)
        total, numbers = 0.0, {}
        for micro in range(count):
            batch = self.source.batch(index * count + micro).to(self.device)
            with self.descent.arithmetic():
                drawn = self.draw(batch)
            offset = drawn.wplus if self.net.latent_avg is None else drawn.wplus - self.net.latent_avg
            loss, parts = self.losses(drawn.image.float(), offset.float(), batch, index / steps, self._redraw)
            require_finite(self.world.mean(loss.item()), "the loss")
            self.descent.backward(loss / count)
            total += loss.item() / count
            numbers = {name: numbers.get(name, 0.0) + value.item() / count for name, value in parts.items()}
        self.descent.finish()
        numbers |= self.losses.train_discriminator(index)
        return {"loss": total, **numbers, "learning_rate": rate}

    def _redraw(self, batch: Batch) -> Tensor:
        with self.descent.arithmetic():
            return self.draw(batch).image.float()

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Input, without tokens, with tokens, target."""
        batch = self.source.preview().to(self.device)
        x = F.interpolate(batch.x, batch.y.shape[2:], mode="nearest")
        return sheet_of([x, render(self.net, batch).image, self.draw(batch).image, batch.y])

    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        """See `Learner.write`: the tokens, or the encoder of tokens."""
        if isinstance(self.tokens, Refinement):
            save_refine(self.tokens.tokens(), folder / self.file, self._metadata | metadata)
        else:
            save_refine_encoder(self.net, self.tokens, folder / self.file, self._metadata | metadata)

    def state(self) -> dict[str, Any]:
        """See `Learner.state`."""
        return {
            "tokens": self.tokens.state_dict(),
            **self.descent.state(),
            "losses": self.losses.state(),
            "source": self.source.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Learner.load_state`."""
        self.tokens.load_state_dict(state["tokens"])
        self.descent.load_state(state)
        self.losses.load_state(state["losses"])
        self.source.load_state(state["source"])

    def close(self) -> None:
        """See `Learner.close`."""
        self.source.close()


def render_with_tokens(net: StyleGANEX, encoder: RefineEncoder, batch: Batch) -> Drawn:
    """As `render`, each scene of a batch under the tokens that `encoder` finds for its style crop."""
    if batch.aligned is None:
        raise ValueError("render_with_tokens: tokens per picture need aligned crops")
    with torch.no_grad():
        drawn = reconstruction(net, batch.aligned)
    crops = batch.x.shape[0] // batch.aligned.shape[0]
    results = []
    for i, table in enumerate(encoder(batch.aligned, drawn)):  # each picture has kernels of its own
        own = Batch(batch.x[i * crops : (i + 1) * crops], batch.y, batch.aligned[i : i + 1])
        with refined(net, add_residuals(net, table)):
            results.append(render(net, own))
    return Drawn(torch.cat([r.image for r in results]), torch.cat([r.wplus for r in results]), None)
