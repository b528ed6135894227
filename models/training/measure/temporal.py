"""Stability over time against exact flow: does the output move as the scene does, and no more?

Warping error (Lai et al. 2018): the next frame is brought back along the true flow and compared with this one, where
both see the same place. The source has an error of its own, from light that moves over skin and from resampling, so the
number is the ratio of the output's to the source's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.config import ALIGNED_SIZE
from models.errors import UserError
from models.styleganex import StyleGANEX
from models.training.measure.drawing import draw_pictures
from models.training.measure.held_out import PX, STILL, Picture
from models.training.views import Face, aligned_view, draw_view, take

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class MovingHead:
    """A clip at face scale, upright in its first frame; one view for all frames."""

    frames: list[Picture]
    """[256, 256, 3] each."""
    aligned: Picture
    """[256, 256, 3]: the style crop of the first frame."""
    flow: list[Floats]
    """[256, 256, 2] each: pixels from frame n to n + 1."""
    seen: list[NDArray[np.bool_]]
    """[256, 256] each: what frame n shows, frame n + 1 shows as well, inside the picture."""


@dataclass(frozen=True, slots=True)
class Stability:
    """Mean absolute warping errors in code values."""

    source: float
    output: float
    pairs: int

    @property
    def ratio(self) -> float:
        """Output over source."""
        return self.output / max(self.source, 1e-9)


def load_clip(path: Path, most: int | None = None) -> MovingHead:
    """A file of `python -m models.training.heads --clips`, or its first `most` frames.

    Raises:
        UserError: no such file, or none of a clip.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            frames, flow, hidden, marks = (file[name] for name in ("frames", "flow", "occluded", "landmarks"))
    except (OSError, ValueError, KeyError) as error:
        remedy = "make clips: python -m models.training.heads --out DIR --clips 2 …"
        raise UserError(f"{path}: no clip ({error})", remedy) from error
    count = min(len(frames), most or len(frames))
    height, width = frames.shape[1:3]
    face, aspect = Face.from_landmarks(marks[0], height, width), width / height
    view = draw_view(np.random.default_rng(0), face, aspect, PX, STILL)
    moved = [_moved_flow(flow[n], hidden[n], view) for n in range(count - 1)]
    return MovingHead(
        frames=[take(frame, view, PX) for frame in frames[:count]],
        aligned=take(frames[0], aligned_view(face, aspect), ALIGNED_SIZE, "linear"),
        flow=[flow for flow, _ in moved],
        seen=[seen for _, seen in moved],
    )


def stability(net: StyleGANEX, clip: MovingHead) -> Stability:
    """Of what the network draws of a clip, frame by frame with the style of its first frame."""
    drawn = draw_pictures(net, clip.frames, [clip.aligned] * len(clip.frames))
    return Stability(warping_error(clip.frames, clip), warping_error(drawn, clip), len(clip.flow))


def warping_error(frames: Sequence[Picture], clip: MovingHead) -> float:
    """Mean absolute difference in code values of each frame and the next one brought back, where both see."""
    errors = []
    for n, (flow, seen) in enumerate(zip(clip.flow, clip.seen, strict=True)):
        back = _warped(frames[n + 1].astype(np.float32), flow)
        errors.append(float(np.abs(back - frames[n])[seen].mean()) if seen.any() else np.nan)
    return float(np.nanmean(errors))


def _moved_flow(flow: Floats, hidden: NDArray[np.bool_], view: np.ndarray) -> tuple[Floats, NDArray[np.bool_]]:
    """Flow and visibility of a view of the frames."""
    height, width = flow.shape[:2]
    linear = view[:, :2] / (width, height)  # source pixels → view pixels
    y, x = np.mgrid[0:PX, 0:PX].astype(np.float64)
    place = (np.stack([x, y], axis=-1) + 0.5 - view[:, 2]) @ np.linalg.inv(linear).T - 0.5
    there = place.astype(np.float32)
    inside = ((place >= 0) & (place <= (width - 1, height - 1))).all(axis=-1)
    moved = cv2.remap(np.asarray(flow, np.float32), there, None, cv2.INTER_LINEAR) @ linear.T  # type: ignore[call-overload]
    # Any occluded neighbour counts: beside an edge the interpolated flow is a mixture of two motions.
    veil = cv2.dilate(hidden.astype(np.uint8), np.ones((3, 3), np.uint8))
    covered = cv2.remap(veil.astype(np.float32), there, None, cv2.INTER_LINEAR) > 0  # type: ignore[call-overload]
    target = np.stack([x, y], axis=-1) + moved
    stays = ((target >= 0) & (target <= PX - 1)).all(axis=-1)
    return moved.astype(np.float32), inside & stays & ~covered


def _warped(frame: NDArray[np.float32], flow: Floats) -> NDArray[np.float32]:
    y, x = np.mgrid[0:PX, 0:PX].astype(np.float32)
    target = np.stack([x, y], axis=-1) + flow.astype(np.float32)
    warped = cv2.remap(frame, target, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    return np.asarray(warped, np.float32)
