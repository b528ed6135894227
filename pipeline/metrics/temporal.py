"""Measures of frame pairs and triples, straight from their pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.pairs import Picture

LEVELS = 255.0
Mask = NDArray[np.bool_]


def changes(
    source: tuple[Picture, Picture], result: tuple[Picture, Picture], regions: dict[str, Mask]
) -> dict[str, dict[str, float]]:
    """First differences of neighbours, (earlier, later), in 8-bit levels per region.

    input_change: mean|Δx|; output_change: mean|Δy|; change_error: mean|Δy − Δx| (arXiv 2102.05822, pixel form).
    input_motion, output_motion: the means of |Δx| and |Δy| with |Δx| as the weight: the change where the input changes,
    however much of the region stands still.
    """
    moved, drawn = source[1] - source[0], result[1] - result[0]
    before, after = _mean_of_channels(np.abs(moved)), _mean_of_channels(np.abs(drawn))
    error = _mean_of_channels(np.abs(drawn - moved))
    maps = {"input_change": before, "output_change": after, "change_error": error}
    products = {"input_motion": before * before, "output_motion": before * after}
    found, weighted = _by_region(maps, regions, LEVELS), _by_region(products, regions, LEVELS * LEVELS)
    for region, values in found.items():
        weight = max(values["input_change"], 1e-6)
        values.update({name: value / weight for name, value in weighted[region].items()})
    return found


def wobbles(
    source: tuple[Picture, Picture, Picture], result: tuple[Picture, Picture, Picture], regions: dict[str, Mask]
) -> dict[str, dict[str, float]]:
    """Second differences of three frames in a row: input_energy and output_energy, in levels².

    (a − 2b + c)² averaged over region and channels: what alternates from frame to frame, while steady motion cancels.
    """
    maps = {
        f"{name}_energy": _mean_of_channels(np.square(a - 2 * b + c))
        for name, (a, b, c) in (("input", source), ("output", result))
    }
    return _by_region(maps, regions, LEVELS * LEVELS)


def still_difference(result: tuple[Picture, Picture], regions: dict[str, Mask]) -> dict[str, dict[str, float]]:
    """static_mean and static_max: how much the output differs where the input is a repetition, in levels."""
    change = np.abs(result[1] - result[0]).max(axis=2)
    means = _by_region({"static_mean": change}, regions, LEVELS)
    return {
        name: values | {"static_max": float(change[regions[name]].max()) * LEVELS} for name, values in means.items()
    }


def _mean_of_channels(picture: Picture) -> NDArray[np.float32]:
    return np.asarray(cv2.transform(picture, np.full((1, 3), 1 / 3, np.float32)), np.float32).reshape(picture.shape[:2])


def _by_region(
    maps: dict[str, NDArray[np.float32]], regions: dict[str, Mask], unit: float
) -> dict[str, dict[str, float]]:
    weights = {name: region.astype(np.uint8) for name, region in regions.items()}
    return {
        name: {key: cv2.mean(values, mask=weight)[0] * unit for key, values in maps.items()}
        for name, weight in weights.items()
    }
