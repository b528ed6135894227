"""StyleGAN2's generator against its discriminator (Karras et al. 2020), from nothing or from another domain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from models.checkpoint import save_checkpoint
from models.config import ModelConfig
from models.precision import Precision
from models.styleganex import StyleGANEX
from models.training.adversary import Adversary, AdversarySettings
from models.training.distributed import World
from models.training.loop import sheet_of
from models.training.optimizers import Descent, follow
from models.training.pictures import PictureSource
from models.training.settings import Settings
from models.training.transfer import take_fitting
from models.training.watch import require_finite


class GeneratorSettings(Settings):
    """The generator's side of the game."""

    learning_rate: float = Field(default=2e-3, gt=0)
    path_length: float = Field(default=2.0, ge=0)
    """Weight of path-length regularisation (StyleGAN2 §3.2)."""
    path_length_every: int = Field(default=4, ge=1)
    """Lazy regularisation: every so many steps, so many times as strong."""
    path_length_batch: float = Field(default=0.5, gt=0, le=1)
    """Part of the batch that it is taken over."""
    mixing: float = Field(default=0.9, ge=0, le=1)
    """Share of pictures drawn from two z (style mixing)."""
    ema_images: float = Field(default=10_000, gt=0)
    """Pictures after which the averaged weights have forgotten half."""
    freeze_mapping: bool = False
    """Transfer learning: w keeps its meaning, so that old and new generator draw the same face from the same w."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients make one step, of the generator and of the discriminator."""
    precision: Precision = "fp32"
    """Arithmetic of both forward passes (torch.amp); weights, mapping network, R1 and path length stay fp32."""


class GeneratorLearner:
    """A generator, its average and its adversary: a `Learner`."""

    file = "weights.safetensors"
    rate_settings = "generator.learning_rate or adversary.learning_rate"

    def __init__(
        self,
        config: ModelConfig,
        source: PictureSource,
        settings: GeneratorSettings,
        adversary: AdversarySettings,
        *,
        seed: int = 0,
        batch: int,
        init: StyleGANEX | None = None,
        metadata: Mapping[str, str] | None = None,
        world: World | None = None,
        device: torch.device | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.world, self.device = world or World(), device or torch.device("cpu")
        self.net, self.average = StyleGANEX(config), StyleGANEX(config)
        if init is not None:
            take_fitting(self.net, init)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False).eval()
        self.net.to(self.device)
        self.average.to(self.device)
        self.net.generator.mapping.requires_grad_(not settings.freeze_mapping)
        self.parameters = [p for p in self.net.generator.parameters() if p.requires_grad]
        lazy = settings.path_length_every / (settings.path_length_every + 1) if settings.path_length else 1.0
        self._rate, betas = settings.learning_rate * lazy, (0.0, 0.99**lazy)
        optimizer = torch.optim.Adam(self.parameters, lr=self._rate, betas=betas)
        self.descent = Descent(optimizer, self.world, self.device, settings.precision)
        self.adversary = Adversary(adversary, config.resolution, self.device, self.world, settings.precision)
        self.mean_path = 0.0
        self._source, self._settings, self._batch = source, settings, batch
        self._metadata = {"can_sample": "yes"} | dict(metadata or {})

    def step(self, index: int, steps: int) -> dict[str, float]:
        """See `Learner.step`. The discriminator learns from the same fakes as the generator."""
        settings, count = self._settings, self._settings.accumulate
        fakes, total, numbers = [], 0.0, {}
        self.descent.start(self._rate)
        for _ in range(count):
            wplus = self._latents(self._batch)
            with self.descent.arithmetic():
                fake = self._draw(wplus).float()
            loss = self.adversary.fool(fake)
            require_finite(self.world.mean(loss.item()), "the loss")
            self.descent.backward(loss / count)
            total += loss.item() / count
            fakes.append(fake.detach())
        if settings.path_length and index % settings.path_length_every == 0:
            for _ in range(count):
                penalty = self._path_length(max(1, round(self._batch * settings.path_length_batch)))
                numbers["path_length"] = numbers.get("path_length", 0.0) + penalty.item() / count
                self.descent.backward(settings.path_length * settings.path_length_every / count * penalty)
        self.descent.finish()
        reals = [self._source.batch(index * count + micro).to(self.device) for micro in range(count)]
        numbers |= self.adversary.step(index, list(zip(fakes, reals, strict=True)))
        images = self._batch * count * self.world.size
        # As in StyleGAN2-ADA, the average follows faster at the start of a run.
        horizon = min(settings.ema_images, 0.05 * (index + 1) * images)
        follow(self.average, self.net, 0.5 ** (images / max(horizon, 1e-8)))
        return {"loss": total, **numbers}

    def _latents(self, count: int) -> Tensor:
        """w+ [count, L, style_dim] of random z, some of two z with a random crossing point."""
        config = self.net.config
        z = torch.randn(2, count, config.style_dim).to(self.device)
        first, second = (self.net.mapping(part)[:, None].expand(-1, config.num_styles, -1) for part in z)
        crossing = torch.randint(1, config.num_styles, (count,))
        crossing[torch.rand(count) >= self._settings.mixing] = config.num_styles
        layer = torch.arange(config.num_styles)
        return torch.where((layer[None] < crossing[:, None])[:, :, None].to(self.device), first, second)

    def _draw(self, wplus: Tensor) -> Tensor:
        sizes = [max(32, noise.shape[-1]) for noise in self.net.generator.stored_noise]
        noise = [torch.randn(wplus.shape[0], 1, size, size).to(self.device) for size in sizes]
        return self.net.generator(wplus, noise=noise)

    def _path_length(self, count: int) -> Tensor:
        """(|Jᵀy| − a)², y ~ N(0, 1)/√pixels, a the running mean of |Jᵀy|."""
        wplus = self._latents(count)
        if not wplus.requires_grad:  # the mapping network is frozen
            wplus.requires_grad_()
        image = self._draw(wplus)
        direction = torch.randn(image.shape).to(self.device) / math.sqrt(image.shape[2] * image.shape[3])
        (gradient,) = torch.autograd.grad((image * direction).sum(), wplus, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.mean_path += 0.01 * (self.world.mean(lengths.mean().item()) - self.mean_path)
        return (lengths - self.mean_path).square().mean()

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Samples of the averaged generator over real pictures."""
        z = torch.randn(8, self.net.config.style_dim, generator=torch.Generator().manual_seed(0)).to(self.device)
        drawn = self.average.sample(z)
        real = self._source.batch(0).to(self.device)
        real = real.repeat(-(-8 // real.shape[0]), 1, 1, 1)[:8]
        return sheet_of([drawn[:4], drawn[4:], real[:4], real[4:]])

    @torch.no_grad()
    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        """See `Learner.write`: the averaged generator, with its mean w."""
        z = torch.randn(4096, self.net.config.style_dim, generator=torch.Generator().manual_seed(0)).to(self.device)
        mean = self.average.mapping(z).mean(dim=0)
        self.average.latent_avg = mean.expand(self.net.config.num_styles, -1).clone()
        save_checkpoint(self.average, folder / self.file, self._metadata | metadata)

    def state(self) -> dict[str, Any]:
        """See `Learner.state`."""
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            **self.descent.state(),
            "adversary": self.adversary.state(),
            "mean_path": self.mean_path,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Learner.load_state`."""
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.descent.load_state(state)
        self.adversary.load_state(state["adversary"])
        self.mean_path = state["mean_path"]

    def close(self) -> None:
        """See `Learner.close`: nothing runs beside."""
