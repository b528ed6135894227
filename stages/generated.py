"""Pictures that come from no clip → an image, a folder of images or a video, through the write stage."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.composite import Composite, CompositeConfig
from stages.layout import MATRIX_RGB, RANGE_FULL
from stages.pixels import ColorTags, PlaneLayout
from stages.types import ClipInfo, Frame, ShotFrame
from stages.untouched import Untouched
from stages.write import Write, WriteConfig, choose_encoding

Picture = NDArray[np.uint8]
SRGB = ColorTags(MATRIX_RGB, RANGE_FULL, primaries=1, transfer=13)
"""What a network trained on photographs from the web draws: BT.709 primaries, sRGB transfer (H.273)."""


def write_pictures(
    pictures: Iterable[Picture],
    output: Path,
    size: tuple[int, int],
    config: WriteConfig,
    rate: Fraction = Fraction(25),
    names: Sequence[str] = (),
) -> int:
    """Write pictures as they come; the output appears under its name when it is whole.

    Args:
        pictures: sRGB uint8 [H, W, 3], all of one size.
        output: checked by `check_output`: a video file, an image (one picture), or a folder of images.
        size: (width, height) of the pictures.
        rate: frames per second of a video; each picture lasts exactly 1/rate.
        names: of the images in a folder, without suffix; (): their numbers.

    Returns:
        How many there were.

    Raises:
        MediaError: the output cannot be written like this.
    """
    width, height = size
    layout = PlaneLayout.named("gbrp")
    clip = ClipInfo(output, "image", width, height, 0, 1 / rate, rate, None, layout, SRGB, False, "rawvideo", False)
    planes = choose_encoding(clip, config, output.suffix, width, height)

    def frames() -> Generator[ShotFrame, None, None]:
        for index, picture in enumerate(pictures):
            red, green, blue = (np.ascontiguousarray(picture[..., channel]) for channel in range(3))
            name = names[index] if names else ""
            yield ShotFrame(Frame((green, blue, red), layout, SRGB, 0, index, 1, index, clip, name=name), 0)

    finished = Composite(CompositeConfig(), size, *planes).stream(Untouched().stream(frames()))
    with contextlib.closing(Write(config, clip, output).stream(finished)) as written:
        return sum(1 for _ in written)
