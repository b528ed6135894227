"""The training loop: batches in, checkpoints out, resumable to the bit."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import save_checkpoint
from models.config import ModelConfig
from models.errors import UserError
from models.latent import Latent
from models.styleganex import StyleGANEX
from models.training.batches import Batch, ExampleBank
from models.training.losses import reconstruction_loss

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The numbers of a run."""

    steps: int
    scenes: int = 2
    """Scenes, hence style crops, in a batch."""
    crops: int = 2
    """Crops of each scene."""
    crop_px: int = 128
    learning_rate: float = 2e-3
    warmup: int = 100
    """Steps until the learning rate is reached; then it falls to zero as a cosine."""
    ema: float = 0.998
    """Decay of the averaged weights, which are what is saved."""
    fix_norms_at: float = 0.3
    """Share of the steps after which batch norms use their running statistics, as they will in use."""
    save_every: int = 500
    seed: int = 0


class Trainer:
    """A network, its average, its optimiser and its data."""

    def __init__(self, config: ModelConfig, bank: ExampleBank, schedule: Schedule, folder: Path) -> None:
        torch.manual_seed(schedule.seed)
        self.net, self.average = StyleGANEX(config), StyleGANEX(config)
        for net in (self.net, self.average):
            net.latent_avg = torch.zeros(config.num_styles, config.style_dim)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False).eval()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
        self.bank, self.schedule, self.folder = bank, schedule, folder
        self.rng = np.random.default_rng([schedule.seed, 1 << 31])
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, progress: Progress | None = None, until: int | None = None) -> None:
        """Train from the current step to the end (or `until`), saving as it goes.

        Raises:
            UserError: the loss is no longer a number; the last checkpoint is named.
        """
        with (self.folder / "log.csv").open("a", newline="") as file:
            log = csv.writer(file)
            if not file.tell():
                log.writerow(["step", "loss", "learning_rate", "seconds"])
            started = time.perf_counter()
            while self.step < min(until or self.schedule.steps, self.schedule.steps):
                loss = self._advance()
                rate = self.optimizer.param_groups[0]["lr"]
                log.writerow([self.step, f"{loss:.6f}", f"{rate:.3e}", f"{time.perf_counter() - started:.2f}"])
                if progress is not None:
                    progress(self.step, loss)
                if self.step % self.schedule.save_every == 0 or self.step == self.schedule.steps:
                    file.flush()
                    self.save()

    def _advance(self) -> float:
        schedule = self.schedule
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.learning_rate * self._rate()
        self.net.train()
        if self.step >= schedule.fix_norms_at * schedule.steps:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        batch = self.bank.batch(self.rng, schedule.scenes, schedule.crops, schedule.crop_px)
        loss, _ = reconstruction_loss(render(self.net, batch), batch.y)
        if not math.isfinite(loss.item()):
            last = self.folder / "checkpoint.pt"
            kept = f"the last good checkpoint is {last}" if last.exists() else "nothing was saved yet"
            raise UserError(
                f"training: the loss is {loss.item()} at step {self.step}; {kept}",
                "lower learning_rate and resume from it",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        return loss.item()

    def _rate(self) -> float:
        warmup, steps = self.schedule.warmup, self.schedule.steps
        if self.step < warmup:
            return (self.step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (self.step - warmup) / max(steps - warmup, 1)))

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        for kept, new in zip(self.average.buffers(), self.net.buffers(), strict=True):
            kept.copy_(new)

    def save(self) -> None:
        """checkpoint.pt (to resume), weights.safetensors (the averaged network), samples.png."""
        part = self.folder / "checkpoint.part"
        torch.save(self._state(), part)
        part.replace(self.folder / "checkpoint.pt")
        save_checkpoint(self.average, self.folder / "weights.safetensors", {"steps": str(self.step)})
        batch = self.bank.batch(np.random.default_rng(0), 6, 1, 256)
        self.bank.made -= 1  # looking must not change what follows: that scene is made again
        with torch.no_grad():
            rows = [batch.x, render(self.average, batch), batch.y]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
        picture = ((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        cv2.imwrite(str(self.folder / "samples.png"), np.ascontiguousarray(picture[:, :, ::-1]))

    def _state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "made": self.bank.made,
            "step": self.step,
        }

    def resume(self) -> bool:
        """Go on from checkpoint.pt where there is one; the losses that follow are those of an uninterrupted run."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self.bank.catch_up(state["made"])
        self.step = state["step"]
        return True


def render(net: StyleGANEX, batch: Batch) -> Tensor:
    """The network's pictures for a batch: w+ from each scene's style crop, the content from its crops, no noise."""
    wplus = net.encode_style(batch.aligned)
    content = net.encode_content(batch.x)
    crops = batch.x.shape[0] // batch.aligned.shape[0]
    return net.synthesize(Latent(wplus.repeat_interleave(crops, dim=0), content.feature, content.skips))
