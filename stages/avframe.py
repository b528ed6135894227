"""libav frames ↔ planes: the only place where sample memory crosses between FFmpeg and NumPy.

Packed, semi-planar, palette, half-float and big-endian formats become the planar, native-endian format of the same
depth by swscale, which only moves samples there (measured: no code value changes). Colour is never converted here.
"""

import re
from functools import lru_cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stages.layout import ColorTags, PlaneLayout

Planes = tuple[NDArray[Any], ...]
_SUBSAMPLING = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (2, 0): "411", (2, 2): "410", (0, 1): "440"}
_FLOAT_GRAY_ALPHA = re.compile(r"yaf(16|32)")


@lru_cache(maxsize=256)
def planar_format(pix_fmt: str) -> PlaneLayout:
    """The planar layout that holds every sample of `pix_fmt` unchanged.

    Raises:
        ValueError: there is none (hardware surfaces, float gray with alpha, Bayer mosaics).
    """
    try:
        return PlaneLayout.named(pix_fmt)
    except ValueError:
        pass
    source = av.VideoFormat(pix_fmt)
    components = source.components
    if not components or source.is_bayer or _FLOAT_GRAY_ALPHA.match(pix_fmt):
        raise ValueError(f"no planar equivalent of {pix_fmt}")
    bits = max(8, max(component.bits for component in components))
    is_float = bool(re.search(r"f(16|32)(le|be)$", pix_fmt))
    alpha = any(component.is_alpha for component in components) or source.has_palette
    if is_float:
        depth = "f32le"
    else:
        depth = "" if bits == 8 else f"{bits}le"
    if len(components) == 1 and not source.has_palette:
        name = f"gray{depth}"
    elif source.is_rgb or source.has_palette or len(components) == 2 or pix_fmt.startswith("xyz"):
        name = f"gbr{'a' if alpha else ''}p{depth}"  # gray with alpha too: FFmpeg has no planar form of it
    else:
        log2_w = (256 // source.chroma_width(256)).bit_length() - 1
        log2_h = (256 // source.chroma_height(256)).bit_length() - 1
        name = f"yuv{'a' if alpha else ''}{_SUBSAMPLING[log2_w, log2_h]}p{depth}"
    return PlaneLayout.named(name)


def planes_of_frame(frame: av.VideoFrame) -> tuple[Planes, PlaneLayout]:
    """Copies of a decoded frame's planes, one contiguous [h, w] array each."""
    layout = planar_format(frame.format.name)
    if not _same_memory(frame.format.name, layout):
        held = frame.color_range or None  # the same range on both sides, or swscale would convert
        frame = frame.reformat(
            format=layout.pix_fmt,
            src_color_range=held,
            dst_color_range=held,
            src_colorspace=frame.colorspace if not layout.is_rgb else None,
            dst_colorspace=frame.colorspace if not layout.is_rgb else None,
        )
    return tuple(_view(plane, layout).copy() for plane in frame.planes[: layout.num_planes]), layout


def frame_of_planes(planes: Planes, layout: PlaneLayout, color: ColorTags, pix_fmt: str | None = None) -> av.VideoFrame:
    """A libav frame with these samples and tags, in `pix_fmt` (a format whose `planar_format` is `layout`)."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, layout.pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        _view(plane, layout)[...] = samples
    if pix_fmt is not None and not _same_memory(pix_fmt, layout):
        held = color.range or None
        frame = frame.reformat(format=pix_fmt, src_color_range=held, dst_color_range=held)
    frame.colorspace, frame.color_range = color.matrix, color.range
    frame.color_primaries, frame.color_trc = color.primaries, color.transfer
    return frame


def _same_memory(pix_fmt: str, layout: PlaneLayout) -> bool:
    return pix_fmt.replace("yuvj", "yuv") == layout.pix_fmt


def _view(plane: Any, layout: PlaneLayout) -> NDArray[Any]:
    samples = np.frombuffer(plane, layout.dtype)
    return samples.reshape(plane.height, plane.line_size // layout.dtype.itemsize)[:, : plane.width]
