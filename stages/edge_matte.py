"""Where a head ends: the egg about it, drawn to the edges of the picture that lies beneath.

A guided filter (He, Sun & Tang, "Guided Image Filtering", TPAMI 2013, eq. 14 to 16: colour guide) makes of a rough
matte one that is locally linear in colour, so that it changes where colours do: at the hair before a wall, at a collar.
What it is made of is found on small maps (He & Sun, "Fast Guided Filter", arXiv 1505.00996). It is smooth in the
picture and in the egg's place, so it does not flicker.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.paste import fade

REACH = 0.36
"""Radius of one pass of the box filter, in half sides of the aligned square; there are two, for a window without
corners. Edges of a head lie well within it, and a window about them holds some of what is behind."""
SMALL = 14
"""The same in samples of the small maps."""
SMOOTH = 1e-3
"""Variance of colour, of a range of 1, below which no edge is seen (the filter's ε)."""
OUTSIDE, INSIDE = 0.45, 0.85
"""Filtered matte at and below which a pixel does not belong to the head, and from which it does. Chosen by eye."""
ROUGH = 0.9, 0.7
"""Radii of the egg between which the rough matte rises from 0 to 1."""
CORE = 0.7, 0.5
"""Radii from which and below which a pixel is of the face whatever its colour."""


def to_edges(radius: Tensor, picture: Tensor, side: float) -> Tensor:
    """What of the egg is head: [h, w] float32 in [0, 1].

    Args:
        radius: [h, w] float32: 0 in the egg's middle, 1 where it ends.
        picture: [3, h, w] R'G'B', nominally in [0, 1].
        side: half the side of the face's aligned square, in pixels.
    """
    head = fade(guided(fade(radius, *ROUGH), picture, REACH * side), OUTSIDE, INSIDE)
    return torch.maximum(head, fade(radius, *CORE))


def guided(matte: Tensor, picture: Tensor, reach: float) -> Tensor:
    """The guided filter of a matte [h, w] by a picture [3, h, w]; windows are two boxes of radius `reach` pixels."""
    height, width = matte.shape
    shrink = max(reach / SMALL, 1.0)
    radius = max(round(reach / shrink), 1)
    small = max(round(height / shrink), 1), max(round(width / shrink), 1)
    both = F.interpolate(torch.cat([picture, matte[None]])[None], small, mode="area")[0].double()
    products = (both[:3, None] * both[None]).flatten(0, 1)  # of each colour with each, and with the matte
    means = _window_means(torch.cat([both, products]), radius)
    mean, about = means[:4], means[4:].unflatten(0, (3, 4)) - means[:3, None] * means[None, :4]
    spread = about[:, :3] + SMOOTH * torch.eye(3, dtype=about.dtype, device=about.device)[:, :, None, None]
    slope = _solve(spread, about[:, 3])
    offset = mean[3] - (slope * mean[:3]).sum(dim=0)
    line = _window_means(torch.cat([slope, offset[None]]), radius).float()
    line = F.interpolate(line[None], (height, width), mode="bilinear", align_corners=False)[0]
    return (line[:3] * picture).sum(dim=0) + line[3]


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """x [3, h, w] of A x = b, A [3, 3, h, w] symmetric: Cramer's rule, the same on every machine."""
    a, b, c = matrix
    columns = [torch.linalg.cross(u, v, dim=0) for u, v in ((b, c), (c, a), (a, b))]
    numerator = sum((value * column for value, column in zip(right, columns, strict=True)), torch.zeros_like(right))
    return numerator / (a * columns[0]).sum(dim=0)


def _window_means(maps: Tensor, radius: int) -> Tensor:
    """[C, h, w] → means over two boxes after each other; at the rim over what lies inside."""
    for _ in range(2):
        for kernel, padding in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
            maps = F.avg_pool2d(maps[None], kernel, 1, padding, count_include_pad=False)[0]
    return maps
