"""The encoder's losses with the published weights as defaults (spec §7): sum of the terms whose weight is not zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from models.config import ModelConfig
from models.errors import UserError
from models.perceptual import Distance, Lpips, find_distance
from models.training.adversary import Adversary, AdversarySettings
from models.training.batches import Batch
from models.training.distributed import World
from models.training.identity import IdentityLoss
from models.training.losses import changed_loss, detail_loss, reconstruction_loss
from models.training.settings import Settings


class LossSettings(Settings):
    """Weights. The defaults are those of the published inversion model."""

    l2: float = Field(default=1.0, ge=0)
    perceptual: Literal["lpips", "gradients"] = "lpips"
    """lpips: AlexNet's, which needs two files. gradients: its stated substitute, which needs none: L1 at three scales,
    L1 of the gradients, 1 − SSIM."""
    perceptual_weight: float = Field(default=0.8, ge=0)
    lpips_folder: Path | None = None
    """Where alexnet-owt-7be5be79.pth (torchvision's) and alex.pth (the lpips package's) are; null: where those packages
    keep them."""
    changed: float = Field(default=0.0, ge=0)
    """Edit pairs: the share of the edit that is still missing (models/training/losses.py)."""
    detail: float = Field(default=0.0, ge=0)
    """How far the local amount of detail is off, wherever the edges are (models/training/losses.py): against blur."""
    identity: float = Field(default=0.1, ge=0)
    """1 − cos of ArcFace features of the aligned face. 0: left out, the stated substitute where there is no file."""
    arcface_weights: Path | None = None
    """ArcFace IR-SE50 (model_ir_se50.pth)."""
    w_norm: float = Field(default=0.001, ge=0)
    """‖w+ − w̄‖₂, one norm over all layers of a picture; 0.005 for editing and toonify."""
    adversarial: float = Field(default=0.0, ge=0)
    """Non-saturating; 0.1 for super-resolution, editing and toonify."""
    adversary: AdversarySettings = AdversarySettings()
    temporal: float = Field(default=0.0, ge=0)
    """MSE between the output of a moved input and the moved output, ramped in over the second half; 30 for editing and
    toonify."""
    temporal_move: tuple[float, float, float] = (6.0, 0.06, 0.08)
    """Most that the input moves for it: rotation in degrees, log scale, translation in parts of the crop."""


class EncoderLosses:
    """Callable: (output, w+ − w̄, batch, share of the run, redraw) → (loss, its terms, detached and unweighted).

    Raises:
        UserError: a file is missing, or no term has a weight.
    """

    def __init__(self, settings: LossSettings, model: ModelConfig, device: torch.device, world: World) -> None:
        self._settings = settings
        lpips = settings.perceptual == "lpips" and settings.perceptual_weight > 0
        self._lpips = _lpips(settings.lpips_folder, device) if lpips else None
        self._identity = IdentityLoss(settings.arcface_weights, device) if settings.identity else None
        self._adversary = (
            Adversary(settings.adversary, model.resolution, device, world) if settings.adversarial else None
        )
        self._seen: list[tuple[Tensor, Tensor]] = []
        self.rate_settings = "optimizer.learning_rate"
        """Settings that a run which diverges should lower."""
        if self._adversary is not None:
            self.rate_settings += " or loss.adversary.learning_rate"

    def __call__(
        self,
        output: Tensor,
        offset: Tensor,
        batch: Batch,
        share: float,
        redraw: Callable[[Batch], Tensor],
        more: Sequence[tuple[str, float, Tensor]] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See the class; `more`: further terms as (name, weight, scalar)."""
        settings, target = self._settings, batch.y
        terms: list[tuple[str, float, Tensor]] = []
        if settings.l2:
            terms.append(("l2", settings.l2, F.mse_loss(output, target)))
        if self._lpips is not None:
            terms.append(("lpips", settings.perceptual_weight, self._lpips(output, target).mean()))
        elif settings.perceptual_weight:
            terms.append(("gradients", settings.perceptual_weight, reconstruction_loss(output, target)[0]))
        if settings.changed and batch.strength is not None:
            before = F.interpolate(batch.x, target.shape[2:], mode="bilinear", antialias=True)
            terms.append(("changed", settings.changed, changed_loss(output, target, before)))
        if settings.detail:
            terms.append(("detail", settings.detail, detail_loss(output, target)))
        if self._identity is not None and batch.face is not None:
            terms.append(("identity", settings.identity, self._identity(output, target, batch.face)))
        if settings.w_norm:
            terms.append(("w_norm", settings.w_norm, offset.flatten(1).norm(dim=1).mean()))
        if self._adversary is not None:
            terms.append(("adversarial", settings.adversarial, self._adversary.fool(output)))
            self._seen.append((output.detach(), target))
        ramp = min(1.0, max(0.0, 2 * share - 1))
        if settings.temporal and ramp:
            term = temporal_loss(output, batch, redraw, settings.temporal_move)
            terms.append(("temporal", settings.temporal * ramp, term))
        terms += more
        if not terms:
            what = "loss: nothing to learn from: every weight is 0, or of a term that this data does not have"
            raise UserError(what, "set loss.l2 or loss.perceptual_weight above 0")
        total = torch.stack([weight * term for _, weight, term in terms]).sum()
        return total, {name: term.detach() for name, _, term in terms}

    def train_discriminator(self, index: int) -> dict[str, float]:
        """One step of the discriminator on all that the calls since the last one saw; nothing without it."""
        if self._adversary is None:
            return {}
        seen, self._seen = self._seen, []
        return self._adversary.step(index, seen)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {} if self._adversary is None else {"adversary": self._adversary.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        if self._adversary is not None:
            self._adversary.load_state(state["adversary"])


def _lpips(folder: Path | None, device: torch.device) -> Distance:
    distance = find_distance(device, "alex", () if folder is None else (folder,))
    if not isinstance(distance, Lpips):
        raise UserError(
            f"loss.perceptual: lpips: its two files are not in {folder or 'the places where their packages keep them'}",
            "set loss.lpips_folder, or loss.perceptual: gradients, its stated substitute",
        )
    return distance


def temporal_loss(
    output: Tensor, batch: Batch, redraw: Callable[[Batch], Tensor], move: tuple[float, float, float]
) -> Tensor:
    """MSE between the output of the moved input and the moved output, where both are inside the picture (spec §7)."""
    count = batch.x.shape[0]
    draw = torch.rand(count, 4) * 2 - 1
    angle, zoom, shift = (
        draw[:, 0] * torch.pi / 180 * move[0],
        torch.exp(draw[:, 1] * move[1]),
        draw[:, 2:] * 2 * move[2],
    )
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1).view(count, 2, 3).to(batch.x.device)
    again = redraw(batch._replace(x=_moved(batch.x, theta, "border")))
    target = _moved(output, theta, "zeros")
    inside = _moved(torch.ones_like(output[:, :1]), theta, "zeros") > 0.999
    return ((again - target).square() * inside).sum() / (inside.sum() * output.shape[1]).clamp_min(1)


def _moved(x: Tensor, theta: Tensor, padding: str) -> Tensor:
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)
