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
    "Box",
    "ColorTags",
    "PlaneLayout",
    "blend_box",
    "blend_planes",
    "cut",
    "from_network",
    "matrices",
    "planes_to_rgb",
    "rgb_to_planes",
    "to_network",
    "to_uint8",
    "turned_box",
]

Image = NDArray[np.float32]
Planes = tuple[NDArray[Any], ...]
Box = tuple[int, int, int, int]
"""Part of a picture: left, top, right, bottom in whole pixels; the last two are not in it."""


@lru_cache(maxsize=256)
def matrices(layout: PlaneLayout, color: ColorTags) -> tuple[Image, Image]:
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


def turned_box(box: Box, rotation: int, width: int, height: int) -> Box:
    """Where the pixels of a box lie before their picture of width × height pixels is turned upright by `rotation`."""
    left, top, right, bottom = box
    if rotation % 360 == 90:
        return width - bottom, left, width - top, right
    if rotation % 360 == 180:
        return width - right, height - bottom, width - left, height - top
    if rotation % 360 == 270:
        return top, height - right, bottom, height - left
    return box


def _blocks(box: Box, layout: PlaneLayout, width: int, height: int, margin: int) -> Box:
    """A box in coded orientation, widened by `margin` chroma samples and to whole ones."""
    log2_h, log2_w = layout.chroma_shift(1)
    left, top, right, bottom = box
    return (
        max((left >> log2_w) - margin, 0) << log2_w,
        max((top >> log2_h) - margin, 0) << log2_h,
        min((-(-right >> log2_w) + margin) << log2_w, width),
        min((-(-bottom >> log2_h) + margin) << log2_h, height),
    )


def cut(planes: Planes, layout: PlaneLayout, box: Box) -> Planes:
    """The parts of planes under a box of whole chroma samples."""
    left, top, right, bottom = box
    parts = []
    for number, plane in enumerate(planes):
        log2_h, log2_w = layout.chroma_shift(number)
        parts.append(plane[top >> log2_h : -(-bottom >> log2_h), left >> log2_w : -(-right >> log2_w)])
    return tuple(parts)


def planes_to_rgb(
    planes: Planes, layout: PlaneLayout, color: ColorTags, rotation: int = 0, box: Box | None = None
) -> Image:
    """Decoded planes → upright R'G'B' [H, W, 3] float32, nominal range [0, 1], not clipped. Alpha is left aside.

    Args:
        box: the part of the upright picture that is wanted, not empty and inside it; None: all of it.
    """
    planes = planes[: 1 if layout.is_gray else 3]
    if box is not None:
        height, width = planes[0].shape
        wanted = turned_box(box, rotation, width, height)
        around = _blocks(wanted, layout, width, height, margin=1)  # the triangle filter's reach
        rgb = _coded_rgb(cut(planes, layout, around), layout, color)
        left, top = wanted[0] - around[0], wanted[1] - around[1]
        rgb = rgb[top : top + wanted[3] - wanted[1], left : left + wanted[2] - wanted[0]]
        return np.ascontiguousarray(_turn(rgb, rotation))
    return _turn(_coded_rgb(planes, layout, color), rotation)


def _coded_rgb(planes: Planes, layout: PlaneLayout, color: ColorTags) -> Image:
    """In coded orientation."""
    to_rgb, _ = matrices(layout, color)
    luma, *others = (_as_float(plane) for plane in planes)
    if layout.is_gray:
        codes = luma
    elif layout.is_rgb:
        codes = cv2.merge([others[1], luma, others[0]])
    else:
        height, width = luma.shape
        log2_h, log2_w = layout.chroma_shift(1)
        chroma = [upsample(plane, height, width, log2_h, log2_w, color.chroma_location) for plane in others]
        codes = cv2.merge([luma, *chroma])
    return np.asarray(cv2.transform(codes, to_rgb), np.float32)


def _as_float(plane: NDArray[Any]) -> Image:
    return plane.astype(np.float32, copy=False)


def _float_planes(rgb: Image, layout: PlaneLayout, color: ColorTags, change: bool = False) -> list[Image]:
    """R'G'B' in coded orientation, or a change of it → unrounded planes without alpha, or what changes in them."""
    _, to_codes = matrices(layout, color)
    to_codes = to_codes[:, :3] if change else to_codes
    codes = [_as_float(plane) for plane in cv2.split(cv2.transform(np.ascontiguousarray(rgb, np.float32), to_codes))]
    if layout.is_gray:
        return codes
    if layout.is_rgb:
        return [codes[1], codes[2], codes[0]]
    log2_h, log2_w = layout.chroma_shift(1)
    return [codes[0], *(downsample(plane, log2_h, log2_w, color.chroma_location) for plane in codes[1:])]


def _quantise(plane: Image, layout: PlaneLayout) -> NDArray[Any]:
    """May write into `plane`."""
    if layout.is_float:
        return np.ascontiguousarray(plane, np.float32)
    return _rounded(plane, layout.max_code).astype(layout.dtype)


def _rounded(values: Image, top: float) -> Image:
    """In place: to the nearest whole number in [0, top]."""
    np.rint(values, out=values)
    return np.clip(values, 0, np.float32(top), out=values)


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


def blend_box(box: Box, layout: PlaneLayout, rotation: int, width: int, height: int) -> Box:
    """The box around `box` that `blend_planes` takes: whole chroma samples, and room for the chroma's filter.

    Args:
        box: in the upright picture of width × height pixels, not empty.
    """
    coded = (height, width) if rotation in (90, 270) else (width, height)
    wide = _blocks(turned_box(box, rotation, *coded), layout, *coded, margin=3)
    return turned_box(wide, -rotation, width, height)


def blend_planes(
    planes: Planes,
    rgb: Image,
    alpha: Image | None,
    layout: PlaneLayout,
    color: ColorTags,
    rotation: int = 0,
    box: Box | None = None,
    change: bool = False,
) -> Planes:
    """Lay new colour over source planes: source + α · (new − source), in code values; or source + α · change.

    A sample under which alpha is 0 keeps its bits: α of a chroma sample is the mean over the luma samples that it is
    made of, by the same filter as the chroma itself. The source's alpha plane stays as it is.

    Args:
        planes: the source's, in coded orientation.
        rgb: upright R'G'B' [H, W, 3] float32; with `change` what is added to it.
        alpha: upright matte [H, W] float32 in [0, 1]; None: 1 everywhere.
        box: where `rgb` and `alpha` lie in the upright picture, from `blend_box`; None: they cover it.
    """
    fresh = _float_planes(_turn(rgb, -rotation), layout, color, change)
    matte = None if alpha is None else _turn(alpha, -rotation)
    rows, columns = planes[0].shape
    left, top, _, _ = (0, 0, 0, 0) if box is None else turned_box(box, rotation, columns, rows)
    blended = list(planes)
    for number, new in enumerate(fresh):
        log2_h, log2_w = layout.chroma_shift(number)
        height, width = new.shape
        window = (slice(top >> log2_h, (top >> log2_h) + height), slice(left >> log2_w, (left >> log2_w) + width))
        source = planes[number][window]
        if matte is not None:
            if not change:
                new -= source
            new *= downsample(matte, log2_h, log2_w, color.chroma_location) if log2_h or log2_w else matte
        if change or matte is not None:
            new += source
        quantised = _quantise(new, layout)
        if quantised.shape != planes[number].shape:
            blended[number] = planes[number].copy()
            blended[number][window] = quantised
        else:
            blended[number] = quantised
    return tuple(blended)


def quantize(rgb: Image) -> NDArray[np.uint8]:
    """R'G'B' in [0, 1] → uint8 of the same shape, rounded and clipped."""
    return _rounded(rgb * np.float32(255.0), 255.0).astype(np.uint8)


def to_network(rgb: Image) -> Image:
    """R'G'B' [H, W, 3] in [0, 1] → [3, H, W] float32 in [−1, 1], contiguous."""
    planes = np.empty((rgb.shape[2], *rgb.shape[:2]), np.float32)
    for number, values in enumerate(cv2.split(rgb)):
        np.multiply(values, np.float32(2), out=planes[number])
    planes -= np.float32(1)
    return planes


def from_network(image: Tensor | NDArray[Any]) -> Image:
    """[3, H, W] in [−1, 1] → R'G'B' [H, W, 3] float32 in [0, 1], not clipped, contiguous."""
    array = image.detach().float().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image, np.float32)
    rgb = np.asarray(cv2.merge(list(array)), np.float32)
    rgb *= np.float32(0.5)
    rgb += np.float32(0.5)
    return rgb


def to_uint8(image: Tensor, rounding: Literal["nearest", "truncate"] = "nearest") -> Tensor:
    """[..., 3, H, W] in [−1, 1], clamped → uint8 of the same shape.

    "truncate" gives the published scripts' bytes, ⌊(y + 1)·127.5⌋; "nearest" is half a level brighter and right.
    """
    codes = (image.detach().float().clamp(-1, 1) + 1) * 127.5
    return (codes.round() if rounding == "nearest" else codes).to(torch.uint8)
