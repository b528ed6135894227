"""Make docs/tasks.jpg: every task on the sample pictures, before and after, with the embedded models.

    python -m samples.make_task_pictures docs/tasks.jpg

samples/astronaut.jpg is a photograph; lines.png and labels.png belong to a synthetic head that no model was trained on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.resources import Loader
from pipeline.run import settle, stream
from stages.contact_sheet import contact_sheet
from stages.label_map import colorize, read_labels

HERE = Path(__file__).parent
PHOTO, LINES, LABELS = HERE / "astronaut.jpg", HERE / "lines.png", HERE / "labels.png"
FACE = (slice(10, 266), slice(94, 350))
"""The part of the photograph that is shown."""

Picture = NDArray[np.uint8]
TASKS: tuple[tuple[str, Path, Mapping[str, Any]], ...] = (
    ("toonify", PHOTO, {"task": {"kind": "toonify"}}),
    ("toonify, toon3d", PHOTO, {"task": {"kind": "toonify", "style": "toon3d"}}),
    *(
        (f"edit {name} {strength}", PHOTO, {"task": {"kind": "edit", "direction": name, "strength": strength}})
        for name, strength in (("hair", 2), ("hair", -2), ("eye_size", 2), ("smile", 2), ("age", 2))
    ),
    ("super_resolution --factor 16", PHOTO, {"task": {"kind": "super_resolution", "factor": 16}}),
    ("inversion", PHOTO, {"task": {"kind": "inversion"}}),
    ("style_mixing --source", PHOTO, {"task": {"kind": "style_mixing", "source": str(HERE / "head.png")}}),
    ("sketch_to_face", LINES, {"task": {"kind": "sketch_to_face"}, "seed": 1}),
    ("mask_to_face", LABELS, {"task": {"kind": "mask_to_face"}, "seed": 1}),
)


def before(path: Path, changes: Mapping[str, Any]) -> Picture:
    """What the network is given, as a picture."""
    picture = np.asarray(cv2.imread(str(path))[..., ::-1], np.uint8)
    if path == LABELS:
        return colorize(read_labels(picture.astype(np.float32) / 255))
    if path != PHOTO:
        return picture
    factor = changes["task"].get("factor")
    if factor:
        small = cv2.resize(picture, None, fx=4 / factor, fy=4 / factor, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    return picture[FACE]


def after(path: Path, changes: Mapping[str, Any], loader: Loader) -> Picture:
    """What comes out, at the source's size."""
    config = settle(None, None, {**changes, "composite.size": "source"})
    picture = next(iter(stream(path, config=config, loader=loader))).image
    return picture[FACE] if path == PHOTO else picture


def main() -> None:
    """Draw the sheet."""
    loader = Loader()
    pairs = [(before(path, changes), after(path, changes, loader)) for _, path, changes in TASKS]
    half = (len(pairs) + 1) // 2
    rows: list[list[Picture | None]] = []
    captions: list[list[str]] = []
    for start in (0, half):
        part, names = pairs[start : start + half], [name for name, _, _ in TASKS[start : start + half]]
        rows += [[x for x, _ in part], [y for _, y in part]]
        captions += [["input"] * len(part), names]
    contact_sheet(Path(sys.argv[1]), rows, captions=captions, cell_px=224)


if __name__ == "__main__":
    main()
