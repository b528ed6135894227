"""Sketch-to-face: a line drawing, or lines drawn from an ordinary picture, → one-channel x1, dark lines on white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from models.lines import draw_lines
from stages.content import Image, Rgb, window_resampler
from stages.errors import UserError
from stages.types import CropWindow

_COLOR = 0.15
"""A pixel whose largest and smallest component differ by more than this is coloured."""
_MAX_COLORED, _MIN_PAPER = 0.1, 0.5
"""A drawing has at most this share of coloured pixels, and at least this share of paper (brighter than 0.8)."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A line drawing, dark on white, grey or nearly so.

    Resampled by the triangle kernel, an overlapping form of averaging by area: ink is neither lost nor made, no line
    gets a bright rim, and a drawing that moves keeps its line weights.
    """

    channels: ClassVar[int] = 1
    needs_face: ClassVar[bool] = False

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [1, h, w] in [0, 1].

        Raises:
            UserError: not a drawing: coloured, dark, or mostly grey; the measured share.
        """
        check_drawing(rgb)
        height, width = rgb.shape[:2]
        grey = window_resampler(window, width, height, "triangle")(_grey(rgb))
        return grey[None].clip(0, 1)

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture as it is; w+ comes from x1."""
        return rgb


@dataclass(frozen=True, slots=True)
class SketchFromPhoto:
    """Lines drawn from an ordinary picture at face scale: where it is darker than its surroundings.

    Args:
        line_px: standard deviation of the finer Gaussian, in pixels at face scale: about half a line's width.
        threshold: logarithm of the brightness ratio below which nothing is drawn; higher: fewer lines.
    """

    line_px: float = 1.2
    threshold: float = 0.015
    channels: ClassVar[int] = 1
    needs_face: ClassVar[bool] = True

    def from_source(self, rgb: Image, window: CropWindow) -> Image:
        """→ [1, h, w] in [0, 1]."""
        crop = Rgb().from_source(rgb, window).transpose(1, 2, 0)
        return draw_lines(_grey(crop * np.float32(0.5) + np.float32(0.5)), self.line_px, self.threshold)[None]

    def style_source(self, rgb: Image, scale: float) -> Image:
        """The picture as it is; w+ comes from x1."""
        return rgb


def check_drawing(rgb: Image) -> None:
    """See that a picture [H, W, 3] in [0, 1] is dark lines on white paper.

    Raises:
        UserError: it is not; the measured share and the likely reason.
    """
    colored = float((np.ptp(rgb, axis=2) > _COLOR).mean())
    if colored > _MAX_COLORED:
        raise UserError(
            f"not a line drawing: {colored:.0%} of the pixels are coloured, like a photograph's",
            "give a grey drawing, dark lines on white, or have the lines drawn from the picture (--source photo)",
        )
    grey = _grey(rgb)
    paper, dark = float((grey > 0.8).mean()), float((grey < 0.2).mean())
    if paper >= _MIN_PAPER:
        return
    if dark >= _MIN_PAPER:
        raise UserError(f"not dark lines on white: {dark:.0%} of the pixels are nearly black", "invert the drawing")
    raise UserError(
        f"not a line drawing: only {paper:.0%} of the pixels are white paper, {1 - paper - dark:.0%} are grey",
        "raise the levels until the paper is white, or have the lines drawn from the picture (--source photo)",
    )


def _grey(rgb: Image) -> Image:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb, np.float32), cv2.COLOR_RGB2GRAY), np.float32)
