"""Shift and rotation equivariance of a network: what its texture does when the window moves over the picture.

EQ-T and EQ-R of StyleGAN3 (Karras et al. 2021, §3.2 and appendix): 20 · log10(2) − 10 · log10(E), in dB, with E the
mean squared difference, over a mask, of moving first and drawing then against drawing first and moving then; images in
[−1, 1], so 2 is their span. There the latent grid is moved; here the window is moved over a larger picture, by known
amounts, which is what happens to this network when a face walks through a shot. Higher is better; 60 dB is invisible,
15 dB is texture that sticks to the screen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.resample import Resampler, axis_operator

Network = Callable[[Tensor], Tensor]
"""[1, 3, h, w] in [−1, 1] → [1, 3, S·h, S·w]; the same style for every window, and no noise that changes."""
Picture = NDArray[np.float32]
"""[H, W, 3] in [−1, 1]."""
BORDER = 0.15
"""Share of the side that the composite's matte fades out at each edge, and that is not counted here either."""


@dataclass(frozen=True, slots=True)
class Equivariance:
    """One of the two measures."""

    db: float
    """Over all moves: from the mean of their E."""
    cases: tuple[tuple[tuple[float, ...], float], ...]
    """((dx, dy) in input pixels, or (degrees,)) and the dB of that move alone."""


def eq_t(
    network: Network, picture: Picture, shifts: Sequence[tuple[float, float]], side: int = 256, border: float = BORDER
) -> Equivariance:
    """Translation equivariance.

    Args:
        network: a window through the model.
        picture: larger than the window by twice the largest shift, at face scale.
        shifts: (dx, dy) in input pixels. Whole pixels are cut without interpolation; fractions are resampled with the
            pipeline's own kernel and must be whole pixels of the output (quarters, for a scale of 4).
        side: of the window in pixels, a multiple of 8.
        border: share of the side that is not counted at each edge.

    Raises:
        ValueError: the picture is too small for a shift, or a shift is no whole number of output pixels.
    """
    height, width = picture.shape[:2]
    left, top = (width - side) // 2, (height - side) // 2
    still = _draw(network, _window(picture, left, top, side))
    scale = still.shape[0] // side
    inset = round(border * side) * scale
    cases: list[tuple[tuple[float, ...], float]] = []
    errors: list[float] = []
    for dx, dy in shifts:
        right, down = dx * scale, dy * scale
        if max(abs(right - round(right)), abs(down - round(down))) > 1e-6:
            raise ValueError(f"a shift of ({dx}, {dy}) is no whole number of output pixels at a scale of {scale}")
        moved = _draw(network, _window(picture, left + dx, top + dy, side))
        a, b = _overlap(still, moved, round(right), round(down), inset)
        errors.append(float(np.square(a - b, dtype=np.float64).mean()))
        cases.append(((float(dx), float(dy)), decibels(errors[-1])))
    return Equivariance(decibels(float(np.mean(errors))), tuple(cases))


def eq_r(
    network: Network, picture: Picture, angles: Sequence[float], side: int = 256, border: float = BORDER
) -> Equivariance:
    """Rotation equivariance, about the window's centre. Arguments as for `eq_t`; `angles` in degrees.

    StyleGAN3 turns by any angle; a face network has only seen heads that are nearly upright, so small angles say more.
    Both sides are turned by Lanczos resampling, which by itself limits what can be reached: `eq_r` of the identity.
    """
    height, width = picture.shape[:2]
    if min(height, width) < side * math.sqrt(2):
        raise ValueError(f"a window of {side} turns out of a picture of {width}×{height}")
    center = ((width - 1) / 2, (height - 1) / 2)
    upright = _draw(network, _turned(picture, center, 0.0, side))
    inset = border * upright.shape[0]
    radius = upright.shape[0] / 2 - inset
    axis = np.arange(upright.shape[0]) - (upright.shape[0] - 1) / 2
    mask = np.hypot(axis[:, None], axis[None, :]) <= radius
    middle = ((upright.shape[1] - 1) / 2, (upright.shape[0] - 1) / 2)
    cases: list[tuple[tuple[float, ...], float]] = []
    errors: list[float] = []
    for angle in angles:
        turned = _draw(network, _turned(picture, center, angle, side))
        expected = _turned(upright, middle, angle, upright.shape[0])
        errors.append(float(np.square(turned - expected, dtype=np.float64)[mask].mean()))
        cases.append(((float(angle),), decibels(errors[-1])))
    return Equivariance(decibels(float(np.mean(errors))), tuple(cases))


def random_shifts(count: int, side: int, seed: int = 0) -> list[tuple[int, int]]:
    """Whole shifts of up to ±12.5 % of the side, as StyleGAN3 draws them; none is (0, 0)."""
    generator, most = np.random.default_rng(seed), side // 8
    found: list[tuple[int, int]] = []
    while len(found) < count:
        dx, dy = generator.integers(-most, most + 1, 2).tolist()
        if (dx, dy) != (0, 0):
            found.append((dx, dy))
    return found


def decibels(error: float) -> float:
    """20 · log10(2) − 10 · log10(E); 120 dB at most, where rounding is all that is left."""
    return 20 * math.log10(2) - 10 * math.log10(max(error, 4e-12))


def _draw(network: Network, window: Picture) -> Picture:
    tensor = torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1)))[None]
    with torch.inference_mode():
        image = network(tensor)
    return np.ascontiguousarray(image[0].float().cpu().numpy().transpose(1, 2, 0))


def _window(picture: Picture, left: float, top: float, side: int) -> Picture:
    height, width = picture.shape[:2]
    if left < 0 or top < 0 or left + side > width or top + side > height:
        raise ValueError(f"a window of {side} at ({left}, {top}) leaves a picture of {width}×{height}")
    if float(left).is_integer() and float(top).is_integer():
        return picture[int(top) : int(top) + side, int(left) : int(left) + side]
    return Resampler(axis_operator(height, side, 1.0, float(top)), axis_operator(width, side, 1.0, float(left)))(
        picture
    )


def _overlap(still: Picture, moved: Picture, right: int, down: int, inset: int) -> tuple[Picture, Picture]:
    """The part that both windows saw, from each, without `inset` pixels at the edges of either."""
    height, width = still.shape[:2]
    rows = slice(max(down, 0) + inset, height + min(down, 0) - inset)
    columns = slice(max(right, 0) + inset, width + min(right, 0) - inset)
    shifted = slice(rows.start - down, rows.stop - down), slice(columns.start - right, columns.stop - right)
    return still[rows, columns], moved[shifted]


def _turned(picture: Picture, center: tuple[float, float], degrees: float, side: int) -> Picture:
    """The square of `side` pixels about `center`, turned counter-clockwise by `degrees`."""
    matrix = cv2.getRotationMatrix2D(center, degrees, 1.0)
    matrix[:, 2] += (side - 1) / 2 - np.array(center)
    turned = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.float32)
