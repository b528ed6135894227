"""Finished frames → image files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stages import layout as tags
from stages.errors import MediaError
from stages.layout import ColorTags, PlaneLayout
from stages.output import WRITABLE_IMAGES, disk_errors, partial_file, partial_folder
from stages.sequence import list_images
from stages.types import ClipInfo, OutputFrame

DEEP = frozenset({".png", ".tif", ".tiff"})
"""Formats that hold 16 bits per sample."""
ALPHA = DEEP | {".webp"}
QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
}


def folder_suffix(clip: ClipInfo) -> str:
    """Suffix of the images in an output folder: the source images' own where it can be written, else PNG."""
    suffix = list_images(clip.path)[0].suffix.lower() if clip.kind == "sequence" else ".png"
    return suffix if suffix in WRITABLE_IMAGES else ".png"


def image_encoding(clip: ClipInfo, suffix: str) -> tuple[PlaneLayout, ColorTags]:
    """Full-range R'G'B' planes, 8 or 16 bits, with alpha where source and format have it."""
    suffix = suffix.lower() or folder_suffix(clip)
    alpha = "a" if clip.layout.has_alpha and suffix in ALPHA else ""
    deep = "16le" if clip.layout.bits > 8 and suffix in DEEP else ""
    color = ColorTags(tags.MATRIX_RGB, tags.RANGE_FULL, clip.color.primaries, clip.color.transfer)
    return PlaneLayout.named(f"gbr{alpha}p{deep}"), color


def write_image(items: Iterator[OutputFrame], target: Path) -> Iterator[OutputFrame]:
    """Write the only frame."""
    first = next(items, None)
    if first is None:
        raise MediaError(f"{target}: no frame to write", "check read.start and read.end")
    if next(items, None) is not None:
        raise MediaError(f"{target}: one image cannot hold several frames", "give a video's name or a folder")
    with partial_file(target) as part:
        with disk_errors(target):
            part.write_bytes(_encoded(first, target.suffix.lower()))
        yield first


def write_folder(items: Iterator[OutputFrame], target: Path, clip: ClipInfo) -> Iterator[OutputFrame]:
    """Write one image per frame: under the source image's name, or its frame number."""
    suffix = folder_suffix(clip)
    with partial_folder(target) as part:
        for item in items:
            frame = item.source.frame
            name = Path(frame.name).stem if frame.name else f"{frame.index:06d}"
            with disk_errors(target):
                (part / f"{name}{suffix}").write_bytes(_encoded(item, suffix))
            yield item
        if not any(os.scandir(part)):
            raise MediaError(f"{target}: no frame to write", "check read.start and read.end")


def _encoded(item: OutputFrame, suffix: str) -> bytes:
    """The image file's bytes; upright, because image files carry no dependable rotation tag."""
    green, blue, red, *alpha = item.planes
    pixels: NDArray[Any] = np.dstack([blue, green, red, *alpha])
    upright = np.ascontiguousarray(np.rot90(pixels, item.rotation // 90))
    done, data = cv2.imencode(suffix, upright, QUALITY.get(suffix.replace("jpeg", "jpg"), []))
    if not done:
        raise ValueError(f"OpenCV cannot write {suffix} of {upright.dtype} {upright.shape}")
    return data.tobytes()
