"""Does the output show the right moment? The input frame that each output frame is likest to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.pairs import Picture, resized

SIDE = 192
"""Longer side of the thumbnails that are compared, in pixels."""
STILL = 0.5 / 255
"""Change of a pixel that counts everywhere, so that an input that stands still weighs all of its pixels alike."""


class Likeness:
    """Correlates each output frame with the input frames around it.

    Both are reduced to small luma pictures without their coarse shading, because a style changes colours and tones more
    than edges. Pixels weigh by the variance of the input among these frames: what stands still fits every frame and
    would hide the rest. Holds `2 · reach + 1` thumbnails of each clip; start anew at each cut.
    """

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._inputs: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=2 * reach + 1)
        self._outputs: deque[tuple[int, NDArray[np.float32]]] = deque()

    def push(self, frame: int, source: Picture, result: Picture | None) -> Iterator[tuple[int, dict[int, float]]]:
        """Add a frame; yields what became known: (frame, {input frame − frame: correlation})."""
        self._inputs.append((frame, _edges(source)))
        if result is not None:
            self._outputs.append((frame, _edges(result)))
        while self._outputs and self._outputs[0][0] <= frame - self._reach:
            yield self._scores(*self._outputs.popleft())

    def finish(self) -> Iterator[tuple[int, dict[int, float]]]:
        """What is left at the end of a shot."""
        while self._outputs:
            yield self._scores(*self._outputs.popleft())

    def _scores(self, frame: int, thumbnail: NDArray[np.float32]) -> tuple[int, dict[int, float]]:
        near = {number - frame: picture for number, picture in self._inputs if abs(number - frame) <= self._reach}
        weight = np.stack(list(near.values())).var(axis=0) + STILL**2
        weight /= weight.sum()
        result = _normal(thumbnail, weight)
        return frame, {
            step: float((weight * _normal(picture, weight) * result).sum()) for step, picture in near.items()
        }


def gains(scores: dict[int, float]) -> dict[int, float]:
    """How much better each neighbour fits than the frame itself: share of what is missing to a correlation of 1."""
    own = scores[0]
    return {step: (score - own) / max(1.0 - own, 1e-3) for step, score in scores.items() if step}


def _edges(picture: Picture) -> NDArray[np.float32]:
    """Luma thumbnail [h, w] without its coarse shading."""
    height, width = picture.shape[:2]
    zoom = min(1.0, SIDE / max(width, height))
    small = resized(picture, (max(round(width * zoom), 1), max(round(height * zoom), 1)))
    luma = cv2.transform(small, np.array([[0.2126, 0.7152, 0.0722]], np.float32)).reshape(small.shape[:2])
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), 4.0), np.float32)


def _normal(thumbnail: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of zero mean and unit variance under `weight`, whose sum is 1."""
    centred = thumbnail - (weight * thumbnail).sum()
    return centred / max(float(np.sqrt((weight * centred * centred).sum())), 1e-6)
