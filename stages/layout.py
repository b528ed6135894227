"""What decoded samples mean and how their planes lie in memory."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np

MATRIX_RGB, MATRIX_BT709, MATRIX_UNSPECIFIED, MATRIX_RESERVED, MATRIX_BT601 = 0, 1, 2, 3, 6
MATRIX_YCGCO, MATRIX_BT2020_NCL, MATRIX_BT2020_CL = 8, 9, 10
RANGE_UNSPECIFIED, RANGE_LIMITED, RANGE_FULL = 0, 1, 2
CHROMA_LEFT, CHROMA_CENTER = 1, 2

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    MATRIX_BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),  # FCC 73.682
    5: (0.299, 0.114),  # BT.470 B/G
    MATRIX_BT601: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    MATRIX_BT2020_NCL: (0.2627, 0.0593),
}
"""(K_R, K_B) by H.273 MatrixCoefficients."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """What the samples mean, in the numbers of H.273 as FFmpeg gives them; 2 is "unspecified" but for `range`."""

    matrix: int = MATRIX_UNSPECIFIED
    """MatrixCoefficients: 0 RGB, 1 BT.709, 5 and 6 BT.601, 9 BT.2020 non-constant luminance, …"""
    range: int = RANGE_UNSPECIFIED
    """AVColorRange: 0 unspecified (limited for Y'CbCr, full for R'G'B'), 1 limited, 2 full."""
    primaries: int = 2
    transfer: int = 2
    chroma_location: int = 0
    """AVChromaLocation: 0 unspecified (read as left), 1 left, 2 center, 3 top left, 4 top, 5 bottom left, 6 bottom."""

    @property
    def supported(self) -> bool:
        """True when `planes_to_rgb` knows the matrix for Y'CbCr samples."""
        return self.matrix in LUMA_WEIGHTS or self.matrix == MATRIX_YCGCO


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """How the planes of a planar, native-endian FFmpeg pixel format are laid out.

    Order of planes: (Y, U, V), (G, B, R) or (Y,); then alpha. Arrays are [h, w]: uint8 for 8 bits, uint16 (low-aligned)
    for 9 to 16 bits, float32 for float formats.
    """

    pix_fmt: str
    """FFmpeg's name, e.g. yuv420p10le."""
    bits: int
    """Depth of the luma or green samples; 32 for float."""
    is_rgb: bool
    is_gray: bool
    has_alpha: bool
    is_float: bool
    """Nominal range [0, 1]."""
    chroma_log2_w: int
    chroma_log2_h: int

    @staticmethod
    def named(pix_fmt: str) -> "PlaneLayout":
        """Layout of a planar, native-endian pixel format by FFmpeg's name; yuvj names count as their yuv twins.

        Raises:
            ValueError: the format is unknown, packed, semi-planar, big-endian, or of a depth that is not handled here.
        """
        return _layout_of(pix_fmt)

    @property
    def num_planes(self) -> int:
        return (1 if self.is_gray else 3) + self.has_alpha

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32 if self.is_float else np.uint8 if self.bits == 8 else np.uint16)

    @property
    def max_code(self) -> float:
        return 1.0 if self.is_float else float((1 << self.bits) - 1)

    def chroma_shift(self, plane: int) -> tuple[int, int]:
        """(log2_h, log2_w) by which plane number `plane` is smaller than the picture."""
        return (self.chroma_log2_h, self.chroma_log2_w) if plane in (1, 2) and not self.is_rgb else (0, 0)

    def plane_shape(self, plane: int, height: int, width: int) -> tuple[int, int]:
        """(h, w) of plane number `plane` in a picture of this coded size."""
        log2_h, log2_w = self.chroma_shift(plane)
        return -(-height >> log2_h), -(-width >> log2_w)


@lru_cache(maxsize=256)
def _layout_of(pix_fmt: str) -> PlaneLayout:
    name = pix_fmt.replace("yuvj", "yuv")
    video_format = av.VideoFormat(name)
    components = video_format.components
    bits = components[0].bits if components else 0
    is_float = "f32" in name
    gray = name.startswith("gray")
    separate = len({component.plane for component in components}) == len(components)
    planar = gray or (video_format.is_planar and separate)
    depth_known = is_float or (8 <= bits <= 16 and "f16" not in name and "msb" not in name)
    if not planar or not depth_known or name.endswith("be") or len(components) == 2:
        raise ValueError(f"{pix_fmt} is not a planar little-endian format of 8 to 16 bits or float32")
    return PlaneLayout(
        pix_fmt=name,
        bits=bits,
        is_rgb=video_format.is_rgb,
        is_gray=gray,
        has_alpha=any(component.is_alpha for component in components),
        is_float=is_float,
        chroma_log2_w=0 if gray else (256 // video_format.chroma_width(256)).bit_length() - 1,
        chroma_log2_h=0 if gray else (256 // video_format.chroma_height(256)).bit_length() - 1,
    )
