"""The discriminator's side of any training: its network, optimiser, R1, and (optionally) adaptive augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from models.errors import UserError
from models.precision import Precision
from models.training.augment import AdaptiveAugment, AdaSettings
from models.training.degrade import shrink_only
from models.training.discriminator import Discriminator
from models.training.distributed import World
from models.training.optimizers import Descent
from models.training.settings import Settings
from models.training.watch import require_finite


class AdversarySettings(Settings):
    """Discriminator and its training (StyleGAN2)."""

    resolution: int | None = None
    """Side of the pictures that it sees, a power of two; larger ones are shrunk. null: the generator's."""
    channels: int = Field(default=512, ge=1)
    """Most feature channels; a layer at size r has min(channels, 16384·multiplier / r)."""
    multiplier: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    r1: float = Field(default=10.0, ge=0)
    """γ of R1 = γ/2 · |∇D|²."""
    r1_every: int = Field(default=16, ge=1)
    """Lazy regularisation: R1 every so many steps, so many times as strong."""
    ada: AdaSettings | None = None
    """Adaptive discriminator augmentation (Karras et al. 2020a); null: none."""

    @field_validator("resolution")
    @classmethod
    def _is_a_size(cls, resolution: int | None) -> int | None:
        if resolution is not None and (resolution < 4 or resolution.bit_count() != 1):
            raise ValueError("a power of two, 4 or more")
        return resolution


class Adversary:
    """Trains a discriminator on (fake, real) and tells a generator how to fool it.

    Args:
        resolution: of the generator.
        precision: arithmetic of the forward pass; R1 is taken in fp32.

    Raises:
        UserError: a resolution above the generator's.
    """

    def __init__(
        self,
        settings: AdversarySettings,
        resolution: int,
        device: torch.device,
        world: World,
        precision: Precision = "fp32",
    ) -> None:
        size = settings.resolution or resolution
        if size > resolution:
            what = f"adversary.resolution: {size}, but the generator draws {resolution}"
            raise UserError(what, f"set {resolution} or less, or null")
        sizes = [size >> i for i in range(size.bit_length() - 2)]
        widths = tuple(max(1, min(settings.channels, int(16384 * settings.multiplier / s))) for s in sizes)
        self.net = Discriminator(widths).to(device)
        lazy = settings.r1_every / (settings.r1_every + 1)
        self._rate, betas = settings.learning_rate * lazy, (0.0, 0.99**lazy)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self._rate, betas=betas)
        self._descent = Descent(optimizer, world, device, precision)
        self.augment = AdaptiveAugment(settings.ada) if settings.ada is not None else None
        self._settings, self._world = settings, world

    def judge(self, image: Tensor) -> Tensor:
        """Logits of pictures, augmented as the discriminator is used to."""
        image = shrink_only(image, self.net.resolution)
        image = self.augment(image) if self.augment is not None else image
        with self._descent.arithmetic():
            return self.net(image).float()

    def fool(self, fake: Tensor) -> Tensor:
        """Non-saturating loss of the generator: mean softplus(−D(fake))."""
        self.net.requires_grad_(False)
        loss = F.softplus(-self.judge(fake)).mean()
        self.net.requires_grad_(True)
        return loss

    def step(self, index: int, seen: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """One step on everything that the generator's step saw.

        Args:
            seen: (fake, real) of each batch whose gradients the generator's step accumulated, without gradients.
        """
        self._descent.start(self._rate)
        regularise, numbers = self._settings.r1 and index % self._settings.r1_every == 0, {}
        for fake, real in seen:
            fake_logits, real_logits = self.judge(fake), self.judge(real)
            loss = F.softplus(fake_logits).mean() + F.softplus(-real_logits).mean()
            found = {"discriminator": loss.item(), "real_sign": real_logits.detach().sign().mean().item()}
            if regularise:
                penalty = self._r1(real)
                found["r1"] = penalty.item()
                loss = loss + 0.5 * self._settings.r1 * self._settings.r1_every * penalty
            require_finite(self._world.mean(loss.item()), "the discriminator's loss")
            self._descent.backward(loss / len(seen))
            numbers = {name: numbers.get(name, 0.0) + value / len(seen) for name, value in found.items()}
        self._descent.finish()
        if self.augment is not None:
            images = sum(real.shape[0] for _, real in seen) * self._world.size
            self.augment.adapt(self._world.mean(numbers["real_sign"]), images)
            numbers["ada_p"] = self.augment.p
        return numbers

    def _r1(self, real: Tensor) -> Tensor:
        """Mean over pictures of |∇D|², taken at what the discriminator sees: torch cannot differentiate `grid_sample`
        twice."""
        real = shrink_only(real, self.net.resolution)
        seen = (self.augment(real) if self.augment is not None else real).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.net(seen).sum(), seen, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        ada = None if self.augment is None else self.augment.p
        return {"net": self.net.state_dict(), "ada_p": ada} | self._descent.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.net.load_state_dict(state["net"])
        self._descent.load_state(state)
        if self.augment is not None:
            self.augment.p = state["ada_p"]
