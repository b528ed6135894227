"""A network's pictures against the true ones: PSNR and SSIM, beside what a plain filter would reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from models.training.batches import as_tensor
from models.training.losses import psnr, ssim
from models.training.measure.held_out import Head, Picture
from models.training.toon import tone_anchor, toon


@dataclass(frozen=True, slots=True)
class Likeness:
    """Means over the heads."""

    psnr: float
    """dB."""
    ssim: float
    """Wang et al. 2004, at most 1."""
    ssims: tuple[float, ...]
    """Of each head."""


def likeness(pictures: Sequence[Picture], true: Sequence[Picture]) -> Likeness:
    """Of pictures [h, w, 3] to the true ones."""
    pairs = [(as_tensor([a]), as_tensor([b])) for a, b in zip(pictures, true, strict=True)]
    each = tuple(ssim(a, b).item() for a, b in pairs)
    return Likeness(float(np.mean([psnr(a, b) for a, b in pairs])), float(np.mean(each)), each)


def bilateral(picture: Picture) -> Picture:
    """The baseline of a toon model: the picture, smoothed where it is smooth (Tomasi & Manduchi 1998)."""
    return np.asarray(cv2.bilateralFilter(picture, -1, 25.0, 3.0), np.uint8)


def true_cartoon(head: Head) -> Picture:
    """What lite_toon learned to draw."""
    return toon(head.image, tone_anchor(head.aligned))


def true_pictures(heads: Sequence[Head], target: str) -> list[Picture]:
    """The array `target` of each head; "cartoon" is drawn."""
    return [true_cartoon(head) if target == "cartoon" else head.arrays[target] for head in heads]


def beside_baselines(pictures: Sequence[Picture], heads: Sequence[Head], target: str) -> dict[str, Likeness]:
    """Likeness to `target` of the network's pictures, of the input, and of its bilateral filter."""
    true = true_pictures(heads, target)
    same: Callable[[Picture], Picture] = lambda picture: picture  # noqa: E731
    filters: Mapping[str, Callable[[Picture], Picture]] = {"input": same, "bilateral filter": bilateral}
    scores = {"network": likeness(pictures, true)}
    return scores | {name: likeness([f(head.image) for head in heads], true) for name, f in filters.items()}


def margin(scores: Mapping[str, Likeness]) -> tuple[float, int]:
    """SSIM of the network above the bilateral filter's, and on how many heads it is above."""
    ours, theirs = scores["network"].ssims, scores["bilateral filter"].ssims
    return float(np.mean(ours) - np.mean(theirs)), sum(a > b for a, b in zip(ours, theirs, strict=True))
