"""Motion of the input, and what is left of the output's changes when that motion is taken away.

Flow is DIS (Kroeger et al., ECCV 2016) from OpenCV, computed on the INPUT and never on the output: a flickering output
must not explain itself. Warping error and occlusion mask follow Lai et al., ECCV 2018, §4 and their evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.pairs import Picture
from stages.motion import LUMA, warp

Mask = NDArray[np.bool_]
Gray = NDArray[np.float32]
FLAT = (0.5 / 255) ** 2
"""Mean square of a gradient per pixel below which a picture has too little texture to tell a shift."""
STEEPEST = 1.5
"""Slope of a style's tone curve."""
COARSE = 9
"""Side in working pixels of the areas whose means are compared."""
AREAS = 8
"""Sides of the larger areas, for `tint`, that go into the longer side of the picture."""
FEWEST_PIXELS = 64
"""Visible pixels below which nothing is said of a region."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Dense motion between two input frames, on the grid of the earlier one."""

    flow: NDArray[np.float32]
    """[h, w, 2] (x, y) in pixels of the working size: where each pixel of the earlier frame lies in the later one."""
    visible: Mask
    """[h, w] False where the pixel is occluded or lies on a motion boundary or outside (Lai's mask)."""
    back: NDArray[np.float32]
    """[h, w, 2] the other way, on the grid of the later frame."""
    visible_back: Mask
    """Lai's mask of `back`, on the grid of the later frame."""


@dataclass(frozen=True, slots=True)
class Residual:
    """What remains between two output frames after the input's motion, in one region."""

    error: float
    """Mean squared difference of R'G'B' in [0, 1]: the warping error E_t."""
    shift: NDArray[np.float64]
    """[2] (x, y): pixels by which the region as a whole stands off, beside its motion."""
    offset: NDArray[np.float64]
    """[3]: change of the region's colour as a whole, per channel, of 1."""


class FlowEstimator:
    """DIS flow both ways at a working size of at most `max_side` pixels. Keeps no state between calls."""

    def __init__(self, max_side: int) -> None:
        self._max_side = max_side
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) at which a picture of this size is worked on; DIS wants at least 16 pixels a side."""
        zoom = min(1.0, self._max_side / max(width, height))
        return max(round(width * zoom), 16), max(round(height * zoom), 16)

    def __call__(self, earlier: Picture, later: Picture) -> Motion:
        """Motion from `earlier` to `later`, both at working size."""
        a, b = _codes(earlier), _codes(later)
        flow = np.asarray(self._dis.calc(a, b, None), np.float32)  # pyright: ignore[reportCallIssue, reportArgumentType]
        back = np.asarray(self._dis.calc(b, a, None), np.float32)  # pyright: ignore[reportCallIssue, reportArgumentType]
        return Motion(flow, visible(flow, back), back, visible(back, flow))


def visible(flow: NDArray[np.float32], back: NDArray[np.float32]) -> Mask:
    """Lai's mask of what both frames show, on the grid of `flow`.

    A pixel is hidden where |f + W(b)|² > 0.01 (|f|² + |W(b)|²) + 0.5, on a motion boundary where
    |∇f|² > 0.01 |f|² + 0.002, and lost where it leaves the picture.

    Args:
        flow, back: [h, w, 2] in pixels, from one frame to the other and the other way.
    """
    returned = warp(back, flow)
    squared, squared_back = _squared(flow), _squared(returned)
    hidden = _squared(flow + returned) > 0.01 * (squared + squared_back) + 0.5
    slopes = [np.gradient(flow[..., i], axis=axis) for i in (0, 1) for axis in (0, 1)]
    boundary = sum(slope * slope for slope in slopes) > 0.01 * squared + 0.002
    height, width = flow.shape[:2]
    x, y = np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & ~hidden & ~boundary


class Brought(NamedTuple):
    """Two neighbours, each brought to where the other stands by the input's motion."""

    later: Picture
    """On the grid of the earlier frame."""
    earlier: Picture
    """On the grid of the later frame."""


def bring(earlier: Picture, later: Picture, motion: Motion) -> Brought:
    """Warp both ways; made once per pair, used for every region."""
    return Brought(warp(later, motion.flow), warp(earlier, motion.back))


def residual(earlier: Picture, later: Picture, seen: Mask) -> Residual | None:
    """What the input's motion does not explain between two pictures of working size; None: too little is visible.

    Args:
        later: brought to the grid of `earlier`.
        seen: visible part of the region.

    `shift` and `offset` are the least-squares solution of W(later) − earlier = ∇earlier · d + b over the region: one
    translation d and one colour b for all of it (Lucas & Kanade 1981, with an offset per channel).
    """
    if int(np.count_nonzero(seen)) < FEWEST_PIXELS:
        return None
    mask = seen.astype(np.uint8)
    difference = later - earlier
    error = float(np.mean(cv2.mean(cv2.multiply(difference, difference), mask=mask)[:3]))
    gray, gray_difference = _gray(earlier), _gray(difference)
    gradients = [np.gradient(gray, axis=1), np.gradient(gray, axis=0)]
    means = [cv2.mean(g, mask=mask)[0] for g in gradients]
    tint = np.array(cv2.mean(difference, mask=mask)[:3])
    level = float(cv2.mean(gray_difference, mask=mask)[0])
    # With the means taken out, the offset drops out of the normal equations of d.
    normal = np.empty((2, 2))
    target = np.empty(2)
    for i in (0, 1):
        target[i] = cv2.mean(cv2.multiply(gradients[i], gray_difference), mask=mask)[0] - means[i] * level
        for j in (0, 1):
            product = cv2.multiply(gradients[i], gradients[j])
            normal[i, j] = cv2.mean(product, mask=mask)[0] - means[i] * means[j] + FLAT * (i == j)
    shift = np.linalg.solve(normal, target).astype(np.float64)
    return Residual(error, shift, (tint - shift @ np.array(means)).astype(np.float64))


def excess(source: Residual, result: Residual) -> tuple[float, float]:
    """(shift in pixels, colour offset of 1) that the output has and the input has not.

    Where the flow errs, or a light flickers, both have it. A style may steepen contrasts, so colour counts only beyond
    `STEEPEST` times the input's own change; shifts are subtracted as vectors.
    """
    shift = float(np.hypot(*(result.shift - source.shift)))
    offset = np.abs(result.offset) - STEEPEST * np.abs(source.offset)
    return shift, max(float(offset.max()), 0.0)


class Trio(NamedTuple):
    """A picture and its neighbours, brought to its grid."""

    before: Picture
    middle: Picture
    after: Picture


def pops(source: Trio, result: Trio, seen: Mask) -> dict[str, float] | None:
    """What sets a frame apart from both its neighbours, of 1: input_pop, output_pop, input_tint and output_tint.

    None: too little is visible.

    Args:
        seen: visible part of the region, in all three frames.
    """
    if int(np.count_nonzero(seen)) < FEWEST_PIXELS:
        return None
    colors = tint(source, result, seen)
    found = {"input_pop": pop(source, seen), "output_pop": pop(result, seen)}
    return found | {"input_tint": colors[0], "output_tint": colors[1]}


def pop(trio: Trio, seen: Mask) -> float:
    """How much the middle picture differs from both its neighbours, root mean square of R'G'B' in [0, 1].

    Of its difference from their mean, only what areas of `COARSE` pixels agree on counts: a frame in another style
    differs in whole areas, registration and grain do not.
    """
    return _root_mean_square(_in_areas(trio, seen, COARSE), seen)


def tint(source: Trio, result: Trio, seen: Mask) -> tuple[float, float]:
    """The same over areas of 1/`AREAS` of the longer side: (of the input, of what the output has beside the input).

    Flow errs alike in both, so what it leaves in the input is taken from the output, area by area and channel by
    channel: what remains on a quiet clip is a tenth of a level, and a frame in slightly other colours stands out of it.
    """
    side = max(max(seen.shape) // AREAS, COARSE)
    own, drawn = _in_areas(source, seen, side), _in_areas(result, seen, side)
    return _root_mean_square(own, seen), _root_mean_square(drawn - own, seen)


def _in_areas(trio: Trio, seen: Mask, side: int) -> Picture:
    """Difference of the middle from the mean of its neighbours, averaged about each pixel over what is seen."""
    difference = trio.middle - 0.5 * (trio.before + trio.after)
    weight = seen.astype(np.float32)
    share = cv2.boxFilter(weight, -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    summed = cv2.boxFilter(difference * weight[..., None], -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed / np.maximum(share, 0.25)[..., None], np.float32)


def _root_mean_square(picture: Picture, seen: Mask) -> float:
    return float(np.sqrt(np.mean(cv2.mean(cv2.multiply(picture, picture), mask=seen.astype(np.uint8))[:3])))


def _codes(picture: Picture) -> NDArray[np.uint8]:
    return np.clip(np.rint(_gray(picture) * 255), 0, 255).astype(np.uint8)


def _gray(picture: Picture) -> Gray:
    return np.asarray(cv2.transform(picture, LUMA[None]), np.float32).reshape(picture.shape[:2])


def _squared(field: NDArray[np.float32]) -> NDArray[np.float32]:
    return field[..., 0] ** 2 + field[..., 1] ** 2
