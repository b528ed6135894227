"""A style code that tells a picture's colours: what lines and labels leave open, z decides (sketch and mask models).

Published models draw random z because their generator knows what a face may look like. A small model that is trained
from nothing has no such knowledge; here it learns what the first numbers of z mean. They are scaled by how colours are
spread over the synthetic heads, so that a random z is a palette such as the heads have.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from models.layers import SQRT2, EqualLinear
from models.styleganex import StyleGANEX


class _Region(NamedTuple):
    labels: tuple[int, ...]
    """Of BiSeNet's 19 classes (CelebAMask-HQ)."""
    mean: tuple[float, float, float]
    """L*, a*, b* of the region's median colour, over 290 heads of the synthetic set of seed 1."""
    covariance: tuple[tuple[float, float, float], ...]


PALETTE = (
    _Region((1, 10), (63.1, 11.7, 16.2), ((139.5, -8.7, 8.1), (-8.7, 8.1, 7.4), (8.1, 7.4, 17.4))),
    _Region((17,), (29.3, 3.9, 7.7), ((280.7, 0.0, 34.0), (0.0, 19.8, 23.3), (34.0, 23.3, 63.3))),
    _Region((16,), (59.4, 1.8, -0.6), ((366.1, -26.9, 17.8), (-26.9, 154.9, -64.5), (17.8, -64.5, 153.4))),
    _Region((0,), (36.2, 2.2, 1.6), ((295.6, 14.1, 43.2), (14.1, 112.6, 53.1), (43.2, 53.1, 128.1))),
)
"""Skin and nose, hair, cloth, background: three numbers of z each."""
NUMBERS = 3 * len(PALETTE)
"""Of z that tell colours."""
_SLOPE = 0.2
"""Of the mapping network's leaky ReLU."""
_GAIN = 0.5
"""w per unit of z after `read_palette`: about what modulation is used to from an encoder's w+."""


def palette_code(image: np.ndarray, parsing: np.ndarray | None, dim: int, rng: np.random.Generator) -> np.ndarray:
    """[dim] float32, about N(0, 1): colours of skin, hair, clothes and background first, then random numbers.

    Args:
        image: uint8 [h, w, 3] RGB.
        parsing: uint8 [h, w], or None: the whole picture counts as each region.
        dim: width of z; what does not fit is left out.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    code = rng.normal(size=max(dim, NUMBERS))
    for place, (labels, mean, covariance) in enumerate(PALETTE):
        inside = np.isin(parsing, labels) if parsing is not None else np.ones(lab.shape[:2], bool)
        if inside.sum() >= 16:  # else a random colour of its kind
            colour = np.median(lab[inside], axis=0) - mean
            code[3 * place : 3 * place + 3] = np.linalg.solve(np.linalg.cholesky(covariance), colour)
    code[:NUMBERS] = np.clip(code[:NUMBERS], -2.5, 2.5)
    return code[:dim].astype(np.float32)


def plain_backdrop(image: np.ndarray, parsing: np.ndarray) -> np.ndarray:
    """The picture before a wall of its background's median colour, which `palette_code` tells.

    Lines and labels say nothing of what stood there: a network that is asked for it learns a brown mist.

    Args:
        image: uint8 [h, w, 3].
        parsing: uint8 [h, w]; 0 is background.
    """
    behind = parsing == 0
    if not behind.any():
        return image
    share = cv2.blur(behind.astype(np.float32), (3, 3))[..., None]
    wall = np.median(image[behind], axis=0)
    return np.asarray(image + (wall - image) * share, np.float32).round().astype(np.uint8)


@torch.no_grad()
def read_palette(net: StyleGANEX) -> None:
    """Set an untrained mapping network to pass on the first numbers of z and nothing else.

    At random it stirs them into noise five times their number, and it learns a hundred times more slowly than the rest
    (StyleGAN2's multiplier): in a short run nothing would ever tell the palette from that noise. Each number takes two
    units, z and −z, so that the leaky ReLU of every layer can be undone by the next.
    """
    layers = [layer for layer in net.generator.mapping if isinstance(layer, EqualLinear)]
    count = min(NUMBERS, layers[0].weight.shape[0] // 2)
    undo = 1 / (SQRT2 * (1 + _SLOPE))  # of lrelu(z) − lrelu(−z), and of the activation's gain
    for depth, layer in enumerate(layers):
        last = depth == len(layers) - 1
        gain = (_GAIN / SQRT2 if last else 1.0) * (1.0 if depth == 0 else undo)
        read = torch.zeros_like(layer.weight)
        for number in range(count):
            signs = ((number, 1.0),) if depth == 0 else ((2 * number, 1.0), (2 * number + 1, -1.0))
            for place, sign in signs:
                read[2 * number, place] = gain * sign
                read[2 * number + 1, place] = -gain * sign
        layer.weight.copy_(read / layer.scale)
        layer.bias.zero_()
