"""Mask-to-face: a 19-class label map, or an ordinary picture parsed into one, → one-hot x1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.parsing import CLASSES, FaceParser
from stages.content import Image, Rgb
from stages.errors import UserError
from stages.types import CropWindow

Labels = NDArray[np.uint8]

NONE = 255
"""Label of a pixel that belongs to no class: all of its one-hot channels are 0."""

PALETTE = np.array(
    [
        *((0, 0, 0), (204, 0, 0), (0, 255, 255), (255, 204, 204), (51, 51, 255), (204, 0, 204), (204, 204, 0)),
        *((102, 51, 0), (255, 0, 0), (0, 204, 204), (76, 153, 0), (102, 204, 0), (255, 255, 0), (0, 0, 153)),
        *((255, 153, 51), (0, 51, 0), (0, 204, 0), (0, 0, 204), (255, 51, 153)),
    ],
    np.uint8,
)
"""CelebAMask-HQ's colour of every label [19, 3], in the order of `models.parsing.CLASSES` (theirs is another)."""

_REMEDY = f"give an 8-bit PNG with labels 0–{len(CLASSES) - 1} ({NONE}: none) or CelebAMask-HQ's colours"
_PHOTO = f"{_REMEDY}; an ordinary picture is parsed first with --source photo"


@dataclass(frozen=True, slots=True)
class Mask:
    """A label map: grey levels 0–18 are labels (`models.parsing.CLASSES`), 255 is none; or CelebAMask-HQ's colours.

    Resampled by nearest neighbour: between two labels there is nothing.
    """

    channels: ClassVar[int] = len(CLASSES)
    needs_face: ClassVar[bool] = False

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [19, h, w], 0 or 1.

        Raises:
            UserError: not a label map; which values, and where.
        """
        return one_hot(nearest(read_labels(rgb), window))

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture as it is; w+ comes from x1."""
        return rgb


@dataclass(frozen=True, slots=True, eq=False)
class MaskFromPhoto:
    """An ordinary picture, parsed at face scale.

    Args:
        parser: from `models.parsing.load_parser`; its device is where the work happens.
    """

    parser: FaceParser
    channels: ClassVar[int] = len(CLASSES)
    needs_face: ClassVar[bool] = True

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [19, h, w], 0 or 1."""
        return one_hot(self.labels(rgb, window))

    def labels(self, rgb: Image, window: CropWindow) -> Labels:
        """→ the label map [h, w] of the window, as a user might edit it."""
        crop = torch.from_numpy(Rgb().from_source(rgb, window).clip(-1, 1))
        return self.parser.parse(crop[None])[0].cpu().numpy()

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture as it is; w+ comes from x1."""
        return rgb


def read_labels(rgb: Image) -> Labels:
    """R'G'B' [H, W, 3] in [0, 1] → labels [H, W], 0–18 or 255.

    Raises:
        UserError: levels that are no whole labels, labels beyond 18, colours that are not CelebAMask-HQ's.
    """
    exact = rgb * np.float32(255)
    codes = np.rint(exact).clip(0, 255).astype(np.uint8)
    # 1/65535, the first label of a 16-bit file, is 0.004 levels.
    between = np.asarray((np.abs(exact - codes) > 0.002).any(axis=2))
    if between.any():
        raise UserError(
            f"not a label map: {_share(between)} lie between the 8-bit levels (16-bit, smoothed or limited range), "
            f"the first at {_first(between)}",
            f"{_REMEDY}; video must be lossless R'G'B' or full-range grey",
        )
    grey = bool((codes == codes[..., :1]).all())
    return _from_grey(codes[..., 0]) if grey else _from_colors(codes)


def _from_grey(codes: Labels) -> Labels:
    wrong = (codes >= len(CLASSES)) & (codes != NONE)
    if not wrong.any():
        return codes
    found = np.unique(codes[wrong])
    named = ", ".join(map(str, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    raise UserError(
        f"mask with labels outside 0–{len(CLASSES) - 1}: {named} ({_share(wrong)}, the first at {_first(wrong)})",
        _REMEDY if len(found) < 32 else _PHOTO,
    )


def _from_colors(codes: Labels) -> Labels:
    packed = _packed(codes)
    known = np.append(_packed(PALETTE), 0xFFFFFF)
    order = np.argsort(known)
    place = np.searchsorted(known[order], packed).clip(max=len(known) - 1)
    wrong = known[order][place] != packed
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        color = ", ".join(map(str, codes[y, x]))
        raise UserError(
            f"not a label map: {_share(wrong)} have colours of no class, the first at {_first(wrong)}: ({color})",
            _PHOTO,
        )
    return np.append(np.arange(len(CLASSES)), NONE).astype(np.uint8)[order][place]


def _packed(codes: Labels) -> NDArray[np.int64]:
    return codes.astype(np.int64) @ np.array([65536, 256, 1])


def _share(wrong: NDArray[np.bool_]) -> str:
    count = int(wrong.sum())
    return f"{count} pixel{'s' * (count != 1)} of {wrong.size}"


def _first(wrong: NDArray[np.bool_]) -> str:
    y, x = np.argwhere(wrong)[0]
    return f"x = {x}, y = {y}"


def nearest(labels: Labels, window: CropWindow) -> Labels:
    """Labels [H, W] → [window.height, window.width]: each pixel takes the one it falls into; reflected beyond."""
    rows = _nearest_index(labels.shape[0], window.height, window.scale, window.top)
    cols = _nearest_index(labels.shape[1], window.width, window.scale, window.left)
    return labels[rows[:, None], cols]


def _nearest_index(in_size: int, out_size: int, scale: float, offset: float) -> NDArray[np.int64]:
    index = np.floor((np.arange(out_size) + 0.5) / scale + offset).astype(np.int64) % (2 * in_size)
    return np.where(index < in_size, index, 2 * in_size - 1 - index)


def one_hot(labels: Labels) -> Image:
    """[H, W] → [19, H, W] float32; a pixel with another label (255) has only zeros."""
    return np.equal(labels, np.arange(len(CLASSES), dtype=np.uint8)[:, None, None]).astype(np.float32)


def colorize(labels: Labels) -> Labels:
    """[H, W] → RGB [H, W, 3] in CelebAMask-HQ's colours, none in white: `read_labels` reads it back."""
    table = np.full((256, 3), NONE, np.uint8)
    table[: len(PALETTE)] = PALETTE
    return table[labels]
