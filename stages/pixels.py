"""Code values ↔ R'G'B' ↔ the network's [−1, 1]: the only such conversions in the project.

Planes become R'G'B' by a float32 matrix of our own, taken from the frame's tags (H.273 §8.3, Tables 3 and 4): swscale
guesses BT.601 for untagged clips and is biased above 8 bits. Nothing is clipped on the way in, so that a sample that
leaves the gamut survives the way back; the way back rounds to nearest and clips to the code range only.
Rotation is in degrees counter-clockwise that stand the coded picture upright: 0, 90, 180 or 270.
"""

from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.chroma import downsample, upsample
from stages.layout import (
    LUMA_WEIGHTS,
    MATRIX_YCGCO,
    RANGE_LIMITED,
    RANGE_UNSPECIFIED,
    ColorTags,
    PlaneLayout,
)

__all__ = [
    "ColorTags",
    "PlaneLayout",
    "blend_planes",
    "from_network",
    "planes_to_rgb",
    "rgb_to_planes",
    "to_network",
    "to_uint8",
]

Image = NDArray[np.float32]
Planes = tuple[NDArray[Any], ...]


@lru_cache(maxsize=256)
def _matrices(layout: PlaneLayout, color: ColorTags) -> tuple[Image, Image]:
    """([3, C + 1] codes → R'G'B', [C, 4] R'G'B' → codes), each with its offset in the last column; C = 1 for gray."""
    limited = color.range == RANGE_LIMITED or (color.range == RANGE_UNSPECIFIED and not layout.is_rgb)
    unit = 1.0 if layout.is_float else float(1 << (layout.bits - 8))
    top = layout.max_code
    luma, black, chroma, middle = top, 0.0, top, 0.5 if layout.is_float else 128.0 * unit
    if limited and not layout.is_float:
        luma, black, chroma = 219.0 * unit, 16.0 * unit, 224.0 * unit
    if layout.is_gray:
        weights = _rgb_to_ycc(color.matrix)[0]
        to_codes = np.append(luma * weights, black)[None]
        to_rgb = np.tile([1 / luma, -black / luma], (3, 1))
    else:
        rgb = layout.is_rgb
        scale = np.array([luma, luma if rgb else chroma, luma if rgb else chroma])
        offset = np.array([black, black if rgb else middle, black if rgb else middle])
        forward = np.eye(3) if rgb else _rgb_to_ycc(color.matrix)
        inverse = np.linalg.inv(forward) / scale
        to_codes = np.column_stack([scale[:, None] * forward, offset])
        to_rgb = np.column_stack([inverse, -inverse @ offset])
    return to_rgb.astype(np.float32), to_codes.astype(np.float32)


def _rgb_to_ycc(matrix: int) -> NDArray[np.float64]:
    """H.273 equations (38) to (43), and (47) to (49) for YCgCo. [3, 3]."""
    if matrix == MATRIX_YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    if matrix not in LUMA_WEIGHTS:
        raise ValueError(f"no Y'CbCr matrix for MatrixCoefficients {matrix}")
    kr, kb = LUMA_WEIGHTS[matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - kb))
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - kr))
    return np.stack([luma, blue, red])


def _turn(array: NDArray[Any], rotation: int) -> NDArray[Any]:
    """Turn counter-clockwise by `rotation` degrees; contiguous."""
    if rotation % 90:
        raise ValueError(f"rotation of {rotation} degrees; expected a multiple of 90")
    return np.ascontiguousarray(np.rot90(array, rotation // 90)) if rotation % 360 else array


def planes_to_rgb(planes: Planes, layout: PlaneLayout, color: ColorTags, rotation: int = 0) -> Image:
    """Decoded planes → upright R'G'B' [H, W, 3] float32, nominal range [0, 1], not clipped. Alpha is left aside."""
    to_rgb, _ = _matrices(layout, color)
    luma, *others = (_as_float(plane) for plane in planes[: 1 if layout.is_gray else 3])
    if layout.is_gray:
        codes = luma
    elif layout.is_rgb:
        codes = cv2.merge([others[1], luma, others[0]])
    else:
        height, width = luma.shape
        log2_h, log2_w = layout.chroma_shift(1)
        chroma = [upsample(plane, height, width, log2_h, log2_w, color.chroma_location) for plane in others]
        codes = cv2.merge([luma, *chroma])
    return _turn(cv2.transform(codes, to_rgb), rotation)


def _as_float(plane: NDArray[Any]) -> Image:
    return plane.astype(np.float32, copy=False)


def _float_planes(rgb: Image, layout: PlaneLayout, color: ColorTags) -> list[Image]:
    """R'G'B' in coded orientation → unrounded planes without alpha."""
    _, to_codes = _matrices(layout, color)
    codes = [_as_float(plane) for plane in cv2.split(cv2.transform(np.ascontiguousarray(rgb, np.float32), to_codes))]
    if layout.is_gray:
        return codes
    if layout.is_rgb:
        return [codes[1], codes[2], codes[0]]
    log2_h, log2_w = layout.chroma_shift(1)
    return [codes[0], *(downsample(plane, log2_h, log2_w, color.chroma_location) for plane in codes[1:])]


def _quantise(plane: Image, layout: PlaneLayout) -> NDArray[Any]:
    if layout.is_float:
        return np.ascontiguousarray(plane, np.float32)
    return np.clip(np.rint(plane), 0, layout.max_code).astype(layout.dtype)


def rgb_to_planes(
    rgb: Image, layout: PlaneLayout, color: ColorTags, rotation: int = 0, alpha: NDArray[Any] | None = None
) -> Planes:
    """Inverse of `planes_to_rgb`: upright R'G'B' [H, W, 3] → planes in coded orientation, rounded to nearest.

    Args:
        alpha: the alpha plane in coded orientation, in code values; opaque when None and the layout has one.
    """
    planes = [_quantise(plane, layout) for plane in _float_planes(_turn(rgb, -rotation), layout, color)]
    if layout.has_alpha:
        planes.append(np.full(planes[0].shape, layout.max_code, layout.dtype) if alpha is None else alpha)
    return tuple(planes)


def blend_planes(
    planes: Planes, rgb: Image, alpha: Image, layout: PlaneLayout, color: ColorTags, rotation: int = 0
) -> Planes:
    """Lay new colour over source planes: source + α · (new − source), in code values.

    A sample under which alpha is 0 keeps its bits: α of a chroma sample is the mean over the luma samples that it is
    made of, by the same filter as the chroma itself. The source's alpha plane stays as it is.

    Args:
        planes: the source's, in coded orientation.
        rgb: upright R'G'B' [H, W, 3] float32.
        alpha: upright matte [H, W] float32 in [0, 1].
    """
    rgb, alpha = _turn(rgb, -rotation), _turn(alpha, -rotation)
    box = _bounding_box(alpha, layout)
    if box is None:
        return planes
    top, bottom, left, right = box
    matte = np.ascontiguousarray(alpha[top:bottom, left:right], np.float32)
    fresh = _float_planes(rgb[top:bottom, left:right], layout, color)
    blended = list(planes)
    for number, new in enumerate(fresh):
        log2_h, log2_w = layout.chroma_shift(number)
        weight = downsample(matte, log2_h, log2_w, color.chroma_location) if log2_h or log2_w else matte
        height, width = new.shape
        window = (slice(top >> log2_h, (top >> log2_h) + height), slice(left >> log2_w, (left >> log2_w) + width))
        blended[number] = result = planes[number].copy()
        source = _as_float(result[window])
        result[window] = _quantise(_as_float(source + weight * (new - source)), layout)
    return tuple(blended)


def _bounding_box(alpha: Image, layout: PlaneLayout) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) around alpha > 0, wide enough for the chroma filter and aligned to its blocks."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not rows.size:
        return None
    log2_h, log2_w = layout.chroma_shift(1)
    edges: list[int] = []
    for used, size, block in ((rows, alpha.shape[0], 1 << log2_h), (columns, alpha.shape[1], 1 << log2_w)):
        margin = 0 if block == 1 else 3 * block
        first, last = int(used[0]) - margin, int(used[-1]) + margin
        edges += [max(0, first // block * block), min(size, (last // block + 1) * block)]
    return edges[0], edges[1], edges[2], edges[3]


def quantize(rgb: Image) -> NDArray[np.uint8]:
    """R'G'B' in [0, 1] → uint8 of the same shape, rounded and clipped."""
    return np.clip(np.rint(rgb * np.float32(255.0)), 0, 255).astype(np.uint8)


def to_network(rgb: Image) -> Image:
    """R'G'B' [H, W, 3] in [0, 1] → [3, H, W] float32 in [−1, 1], contiguous."""
    return np.ascontiguousarray((rgb * np.float32(2) - np.float32(1)).transpose(2, 0, 1), np.float32)


def from_network(image: Tensor | NDArray[Any]) -> Image:
    """[3, H, W] in [−1, 1] → R'G'B' [H, W, 3] float32 in [0, 1], not clipped, contiguous."""
    array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image, np.float32)
    return np.ascontiguousarray(array.transpose(1, 2, 0) * np.float32(0.5) + np.float32(0.5))


def to_uint8(image: Tensor, rounding: Literal["nearest", "truncate"] = "nearest") -> Tensor:
    """[..., 3, H, W] in [−1, 1], clamped → uint8 of the same shape.

    "truncate" gives the published scripts' bytes, ⌊(y + 1)·127.5⌋; "nearest" is half a level brighter and right.
    """
    codes = (image.detach().float().clamp(-1, 1) + 1) * 127.5
    return (codes.round() if rounding == "nearest" else codes).to(torch.uint8)
