"""Identity loss: 1 − cos of ArcFace features (Deng et al. 2019) of the aligned faces in two pictures."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone import input_layer, ir_se_body
from models.config import ALIGNED_SIZE, ModelConfig
from models.errors import UserError

FACE_ROWS, FACE_COLUMNS = slice(35, 223), slice(32, 220)
"""The part of an aligned 256×256 crop that ArcFace sees (pSp)."""
INPUT_PX = 112


class ArcFace(nn.Module):
    """IR-SE50: [B, 3, 112, 112] in [−1, 1] → [B, 512] of length 1. The keys are those of the published file."""

    def __init__(self) -> None:
        super().__init__()
        config = ModelConfig()  # the same body as StyleGANEX's encoder
        self.input_layer = input_layer(3, 64)
        self.body = ir_se_body(config)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.6), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.input_layer(x)
        for block in self.body:
            x = block(x)
        return F.normalize(self.output_layer(x), dim=1)


class IdentityLoss:
    """Callable: (output, target, face) → scalar.

    Raises:
        UserError: no file, or not ArcFace's.
    """

    def __init__(self, weights: Path | None, device: torch.device) -> None:
        remedy = "set loss.arcface_weights to model_ir_se50.pth, or loss.identity: 0 to train without"
        if weights is None or not weights.is_file():
            raise UserError(f"loss.arcface_weights: {weights or 'not set'}: no such file", remedy)
        net = ArcFace()
        try:
            net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # damaged or foreign files raise nearly anything
            raise UserError(f"loss.arcface_weights: {weights}: not ArcFace IR-SE50", remedy) from error
        self._net = net.requires_grad_(False).eval().to(device)

    def __call__(self, output: Tensor, target: Tensor, face: Tensor) -> Tensor:
        """Both [B, 3, H, W] in [−1, 1]; face [B, 2, 3], see `Batch.face`."""
        with torch.no_grad():
            wanted = self._net(aligned_face(target, face))
        return (1 - (self._net(aligned_face(output, face)) * wanted).sum(dim=1)).mean()


def aligned_face(image: Tensor, face: Tensor) -> Tensor:
    """[B, 3, 112, 112]: what ArcFace sees of [B, 3, H, W]."""
    shape = [image.shape[0], 3, ALIGNED_SIZE, ALIGNED_SIZE]
    grid = F.affine_grid(face, shape, align_corners=False)
    crop = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return F.adaptive_avg_pool2d(crop[:, :, FACE_ROWS, FACE_COLUMNS], INPUT_PX)
