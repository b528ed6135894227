"""Reconstruction losses of the demonstration model, and the measures of its card."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHANGED = 0.1
"""Mean change of a pixel and its neighbours, of a range of 2, from which an edit is seen there in full."""

LEAST_DETAIL = 0.005
"""Mean gradient of a range of 2 below which a picture is smooth all over."""


def reconstruction_loss(output: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 at three scales, L1 of the gradients (keeps lines sharp), and 1 − SSIM.

    Args:
        output, target: [B, 3, H, W] in [−1, 1].

    Returns:
        The weighted sum, and its parts, detached.
    """
    levels = [(output, target)]
    for _ in range(2):
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    pixel = F.l1_loss(output, target)
    coarse = F.l1_loss(*levels[1]) + F.l1_loss(*levels[2])
    edge = sum((F.l1_loss(output.diff(dim=axis), target.diff(dim=axis)) for axis in (2, 3)), output.new_zeros(()))
    structure = 1 - ssim(output, target)
    total = pixel + 0.5 * coarse + edge + 0.1 * structure
    parts = {"l1": pixel, "coarse": coarse, "edge": edge, "ssim": structure}
    return total, {name: value.detach() for name, value in parts.items()}


def changed_loss(output: Tensor, target: Tensor, before: Tensor) -> Tensor:
    """Share of an edit that is still missing: 0 when it is drawn, 1 when nothing is, where it changes the picture.

    L1, L1 at a quarter of the size and L1 of the gradients, each over the same of the edit itself. A smile is a
    hundredth of the picture: in a mean over all of it nothing would tell a network to draw one. And a pixel counts the
    less, the more changes around it: folds of skin are faint, and the hair that turns grey with them is not.

    Args:
        output, target, before: [B, 3, H, W] in [−1, 1]; `before` is what the edit starts from.

    Returns:
        Mean over the batch, scalar; 0 for a picture that its edit leaves as it is.
    """
    error, change = _magnitudes(output - target), _magnitudes(target - before)
    near = F.avg_pool2d(change[0], 5, stride=1, padding=2)
    wide = F.avg_pool2d(F.avg_pool2d(near, 4), 9, stride=1, padding=4, count_include_pad=False)
    weight = (near / CHANGED).clamp(max=1) / (CHANGED + F.interpolate(wide, near.shape[2:]))
    weights = (weight, F.avg_pool2d(weight, 4), weight[:, :, 1:], weight[:, :, :, 1:])
    # An edit of less than about a two-hundredth of the picture counts less: a stray pixel is not the loss.
    shares = [
        (e * w).sum(dim=(1, 2, 3)) / (c * w).sum(dim=(1, 2, 3)).clamp_min(e[0].numel() / 400)
        for e, c, w in zip(error, change, weights, strict=True)
    ]
    return torch.stack(shares).mean()


def _magnitudes(difference: Tensor) -> list[Tensor]:
    """Mean over the channels of |d|, of |d| at a quarter of the size, and of its differences down and to the right."""
    parts = (difference, F.avg_pool2d(difference, 4), difference.diff(dim=2), difference.diff(dim=3))
    return [part.abs().mean(dim=1, keepdim=True) for part in parts]


def detail_loss(output: Tensor, target: Tensor) -> Tensor:
    """How far the local amount of detail is off, as a share of the target's: 1 for a picture of one colour.

    Detail is the mean size of the gradients in windows of 8 pixels, wherever in them the edges are. A network that
    cannot tell where the hairs of a changed head will lie does best by any loss of pixels when it draws none.

    Args:
        output, target: [B, 3, H, W] in [−1, 1], at least 9 pixels high and wide.

    Returns:
        Mean over the batch, scalar.
    """
    ours, theirs = _detail(output), _detail(target)
    share = (ours - theirs).abs().mean(dim=(1, 2)) / theirs.mean(dim=(1, 2)).clamp_min(LEAST_DETAIL)
    return share.mean()


def _detail(x: Tensor) -> Tensor:
    """[B, 3, H, W] → [B, h, w]: mean |∂y| + |∂x| in windows of 8 pixels, every 4."""
    return F.avg_pool2d(x.diff(dim=2)[..., 1:].abs() + x.diff(dim=3)[..., 1:, :].abs(), 8, stride=4).mean(dim=1)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) with a 7×7 box window, [B, C, H, W] in [−1, 1] → scalar."""
    stacked = torch.cat([a, b, a * a, b * b, a * b])
    mean_a, mean_b, aa, bb, ab = F.avg_pool2d(stacked, 7, stride=1).chunk(5)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    variance_a, variance_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    score = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (score / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean()


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two tensors in [−1, 1], after clamping."""
    error = F.mse_loss(a.clamp(-1, 1), b.clamp(-1, 1)).item()
    return float("inf") if error == 0 else float(10 * torch.log10(torch.tensor(4.0 / error)))
