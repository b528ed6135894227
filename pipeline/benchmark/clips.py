"""Clips of any length, size and number of faces, made from the portrait that ships with the project."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

PORTRAIT = Path(__file__).parent.parent.parent / "samples" / "astronaut.jpg"
EYES = (224.0, 102.0)
"""Middle between the portrait's eyes, in its pixels."""
EYE_DISTANCE = 43.6
"""The portrait's, in its pixels."""
PLACES = ((0, 0), (2, 1), (1, 0), (0, 1), (2, 0), (1, 1))
"""(column, row) of the first, second, … face on a grid of 3 × 2 cells."""
RATE = 24


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip to make: portraits that move a little, before a moving background without faces."""

    width: int = 400
    height: int = 336
    frames: int = 24
    faces: int = 1
    """1 to 6 on a grid of 3 × 2 cells; alone, a face stands in the middle, with 48 pixels between the eyes."""

    def make(self, path: Path) -> Path:
        """Write the clip: H.264 with BT.709 tags, no sound."""
        portrait = cv2.imread(str(PORTRAIT))
        if portrait is None:
            raise FileNotFoundError(PORTRAIT)
        with av.open(str(path), "w") as out:
            video = out.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
            video.width, video.height, video.pix_fmt = self.width, self.height, "yuv420p"
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
            for index in range(self.frames):
                picture = np.ascontiguousarray(self.picture(np.asarray(portrait, np.uint8), index)[:, :, ::-1])
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                frame.color_primaries, frame.color_trc = 1, 1
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        return path

    def picture(self, portrait: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """[height, width, 3] BGR."""
        frame = self._background(index)
        for x, y, width, height, zoom in self._cells():
            angle = 2 * math.pi * index / 48
            matrix = cv2.getRotationMatrix2D(EYES, 3 * math.sin(angle), zoom * (1 + 0.05 * math.sin(angle)))
            middle = width / 2 + 2 * math.sin(angle), height * 0.42
            matrix[:, 2] += np.array(middle) - EYES
            frame[y : y + height, x : x + width] = cv2.warpAffine(
                portrait, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
        return frame

    def _cells(self) -> list[tuple[int, int, int, int, float]]:
        """(left, top, width, height, zoom) of each face."""
        if self.faces == 1:
            width, height = min(self.width, 400), min(self.height, 336)
            return [((self.width - width) // 2, (self.height - height) // 2, width, height, 48 / EYE_DISTANCE)]
        width, height = self.width // 3, self.height // 2
        zoom = min(width, height) / 240
        return [(column * width, row * height, width, height, zoom) for column, row in PLACES[: self.faces]]

    def _background(self, index: int) -> NDArray[np.uint8]:
        """Soft coloured waves under fixed grain: work for a codec, nothing for a face detector."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        waves = [np.sin((x * math.cos(k) + y * math.sin(k)) / 90 + 0.05 * (k + 1) * index) for k in range(3)]
        grain = np.random.default_rng(0).normal(0, 4, (self.height, self.width, 1))
        return np.clip(112 + 28 * np.stack(waves, axis=-1) + grain, 0, 255).astype(np.uint8)
