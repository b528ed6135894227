"""Step I: the encoder learns the generator's first-layer feature from the generator's own samples (StyleGANEX §4.1).

x = G(w) from the constant input; the encoder sees x under a random view and shall give the feature that draws it: the
constant, moved in the same way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.styleganex import StyleGANEX
from models.training.batches import Batch


def wanted_feature(net: StyleGANEX, batch: Batch) -> Tensor:
    """[B, C, h, w]: the constant input as the views of a batch show it.

    Args:
        batch: with `face`, the way from each view to its upright picture.
    """
    if batch.face is None:
        raise ValueError("wanted_feature: the batch does not say where the faces are")
    height, width = batch.x.shape[2] // 8, batch.x.shape[3] // 8
    upright = F.adaptive_avg_pool2d(net.generator.constant, 32).expand(batch.x.shape[0], -1, -1, -1)
    theta = _inverted(batch.face)
    grid = F.affine_grid(theta, [upright.shape[0], upright.shape[1], height, width], align_corners=False)
    return F.grid_sample(upright, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def feature_loss(net: StyleGANEX, feature: Tensor | None, batch: Batch) -> Tensor:
    """MSE between the encoder's feature and the wanted one."""
    if feature is None:
        raise ValueError("feature_loss: this network has no first-layer feature")
    return F.mse_loss(feature, wanted_feature(net, batch))


def _inverted(theta: Tensor) -> Tensor:
    last = theta.new_tensor([0.0, 0.0, 1.0]).expand(theta.shape[0], 1, 3)
    return torch.linalg.inv(torch.cat([theta, last], dim=1))[:, :2]
