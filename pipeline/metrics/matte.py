"""Which pixels of a frame were rendered: the matte that splits every metric into inside and outside."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.pairs import Pair

Mask = NDArray[np.bool_]
TILE = 16
"""Side in pixels of the tiles that are compared."""
CHANGED = 5 / 255
"""Mean difference of a tile from which on it was rendered; re-encoding at usual qualities stays below."""
WHOLE = 0.9
"""A matte that covers more than this share of the frame covers all of it."""


class Matte(Protocol):
    """Finds the rendered part of each frame."""

    def __call__(self, pair: Pair) -> Mask:
        """[H, W] True inside, at the pair's size. Called once per matched pair, in order."""
        ...


class WholeFrame:
    """Everything is inside."""

    def __call__(self, pair: Pair) -> Mask:
        assert pair.source is not None
        return np.ones(pair.source.shape[:2], np.bool_)


class Difference:
    """Inside is where output and input differ.

    Tiles of 16 × 16 pixels whose mean difference exceeds 5/255, joined to connected parts, each filled to its bounding
    box and one tile more: the composite pastes rectangles. Needs no file, and is right for any renderer that leaves the
    rest of the frame alone. A frame that was left alone as a whole has nothing inside.
    """

    def __call__(self, pair: Pair) -> Mask:
        assert pair.source is not None
        assert pair.result is not None
        height, width = pair.source.shape[:2]
        columns, rows = max(round(width / TILE), 1), max(round(height / TILE), 1)
        tiles = cv2.resize(
            np.abs(pair.result - pair.source).mean(axis=2), (columns, rows), interpolation=cv2.INTER_AREA
        )
        changed = cv2.dilate((tiles > CHANGED).astype(np.uint8), np.ones((3, 3), np.uint8))
        count, _, boxes, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
        mask = np.zeros((rows, columns), np.uint8)
        for left, top, wide, tall, _ in boxes[1:count].tolist():
            mask[top : top + tall, left : left + wide] = 1
        if mask.mean() > WHOLE:
            mask[:] = 1
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) > 0
