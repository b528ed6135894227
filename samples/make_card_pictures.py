"""Make docs/cards/NAME.jpg, one picture per embedded model: what it makes of two public-domain portraits.

    python -m samples.make_card_pictures docs/cards             # of every model
    python -m samples.make_card_pictures docs/cards lite_edit   # of one

The portraits are Eileen Collins (NASA, comes with scikit-image) and Grace Hopper (US Navy, comes with matplotlib), cut
about the head and brought to face scale. The directions of an edit model are those of its file.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.checkpoint import load_checkpoint
from models.training.data import load_portraits
from models.zoo import find_model
from pipeline.resources import Loader
from pipeline.run import settle, stream
from stages.contact_sheet import arrange
from stages.geometry import EYE_DISTANCE, face_center, robust_eye_distance
from stages.label_map import colorize, read_labels
from stages.track import TrackConfig, load_detector

Picture = NDArray[np.uint8]
SIDE = 352
"""Of the part of a portrait that is shown, in pixels at face scale; the eyes lie at 0.38 of its height."""
SHEET_PX, QUALITY = 400_000, 85
"""Pixels of a sheet, whose cells shrink to it, and of the JPEG: at most about 120 kB."""


class Panel(NamedTuple):
    """A column: the settings of a render, of which file, under which words."""

    label: str
    settings: Mapping[str, Any]
    source: str = "photo"
    """photo, or labels: a label map."""


def panels(name: str) -> list[Panel]:
    """The columns of a model's picture, in order, the input left out."""
    if name == "lite_edit":
        directions = load_checkpoint(find_model(name)).metadata["directions"].split(",")
        return [
            Panel(f"{direction} {strength:+d}", {"kind": "edit", "direction": direction, "strength": strength})
            for direction in directions
            for strength in (-2, 2)
        ]
    if name == "lite_sr":
        return [Panel(f"--factor {n}", {"kind": "super_resolution", "factor": n}) for n in (8, 16, 32)]
    if name == "lite_sketch":
        sketch = {"kind": "sketch_to_face", "source": "photo"}
        return [Panel(f"lines of it, seed {n}", sketch | {"seed": n}) for n in (1, 2, 3)]
    if name == "lite_mask":
        return [Panel(f"seed {n}", {"kind": "mask_to_face", "seed": n}, "labels") for n in (1, 2, 3)]
    if name == "lite_toon3d":
        return [Panel("toonify, toon3d", {"kind": "toonify", "style": "toon3d"})]
    return [Panel(kind, {"kind": kind}) for kind in ({"lite_toon": "toonify"}.get(name, "inversion"),)]


def landmarks_of(picture: Picture) -> NDArray[np.float32]:
    """[68, 2] of the largest face."""
    found = load_detector(TrackConfig()).detect(picture)
    return max((each.landmarks for each in found), key=robust_eye_distance)


def framed(portrait: Picture) -> Picture:
    """[SIDE, SIDE, 3]: the head at face scale."""
    points = landmarks_of(portrait)
    scale, (x, y) = EYE_DISTANCE / robust_eye_distance(points), face_center(points)
    side = round(SIDE / scale)
    x0, y0 = max(round(x - side / 2), 0), max(round(y - 0.38 * side), 0)
    part = portrait[y0 : y0 + side, x0 : x0 + side]
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=kernel), np.uint8)


def labels_of(picture: Picture) -> Picture:
    """A label map [H, W] of a portrait by its 68 landmarks: what no landmark tells (hair, neck, clothes) is a guess."""
    points = landmarks_of(picture)
    labels = np.zeros(picture.shape[:2], np.uint8)
    jaw, brows = points[:17], points[17:27]
    middle, half = (jaw[0] + jaw[16]) / 2, float(np.linalg.norm(jaw[16] - jaw[0])) / 2
    chin = float(jaw[8, 1] - middle[1])

    def fill(label: int, *parts: NDArray[np.float32]) -> None:
        cv2.fillPoly(labels, [np.rint(np.concatenate(parts)).astype(np.int32)], label)

    def ellipse(label: int, dy: float, wide: float, tall: float) -> None:
        centre = round(float(middle[0])), round(float(middle[1]) + dy)
        cv2.ellipse(labels, centre, (round(wide), round(tall)), 0, 0, 360, label, -1)

    ellipse(16, 2.3 * chin, 2.4 * half, 1.0 * chin)
    ellipse(17, -0.25 * chin, 1.3 * half, 1.25 * chin)
    ellipse(14, 1.0 * chin, 0.6 * half, 0.55 * chin)
    ellipse(1, 0.0, 0.95 * half, 0.85 * chin)
    fill(1, jaw, brows[::-1])
    for label, start, stop in ((3, 17, 22), (2, 22, 27)):  # left and right are the subject's own
        fill(label, points[start:stop], points[start:stop][::-1] + np.array([0, 5], np.float32))
    fill(5, points[36:42])
    fill(4, points[42:48])
    fill(10, points[27:28], points[31:36])
    fill(12, points[48:55], points[60:65][::-1])
    fill(13, points[54:60], points[48:49], points[60:61], points[64:68][::-1])
    fill(11, points[60:68])
    return labels


def drawn(path: Path, name: str, panel: Panel, loader: Loader) -> Picture:
    """What comes out, at the source's size."""
    task = dict(panel.settings)
    seed = task.pop("seed", 0)
    config = settle(None, task, {"model": name, "seed": seed, "composite.size": "source"})
    return next(iter(stream(path, config=config, loader=loader))).image


def main(arguments: list[str] | None = None) -> None:
    """Draw the sheets."""
    parser = argparse.ArgumentParser(prog="python -m samples.make_card_pictures", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", help="default: every file in models/weights")
    asked = parser.parse_args(arguments)
    names = asked.models or sorted(path.stem for path in Path("models/weights").glob("*.safetensors"))
    loader, pictures = Loader(), [framed(portrait.image) for portrait in load_portraits()]
    with tempfile.TemporaryDirectory() as kept:
        for number, picture in enumerate(pictures):
            cv2.imwrite(f"{kept}/photo{number}.png", picture[..., ::-1])
            cv2.imwrite(f"{kept}/labels{number}.png", labels_of(picture))
        for name in names:
            columns, rows = panels(name), []
            for number, picture in enumerate(pictures):
                shown = picture
                if columns[0].source == "labels":
                    labels = np.asarray(cv2.imread(f"{kept}/labels{number}.png"), np.float32)
                    shown = colorize(read_labels(labels / np.float32(255)))
                made = [drawn(Path(kept) / f"{panel.source}{number}.png", name, panel, loader) for panel in columns]
                rows.append([shown, *made])
            cell = int((SHEET_PX / (len(rows) * len(rows[0]))) ** 0.5)
            labels_above = ["input", *(panel.label for panel in columns)]
            sheet = arrange(rows, column_labels=labels_above, cell_px=min(cell, SIDE))
            asked.folder.mkdir(parents=True, exist_ok=True)
            path = str(asked.folder / f"{name}.jpg")
            cv2.imwrite(path, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
