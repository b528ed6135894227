"""Make docs/heads.jpg: synthetic heads, their counterparts and what is known of them, and their variants.

python -m samples.make_head_pictures docs/heads.jpg     (needs requirements-train.txt)
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.heads.dataset import Order, arrays
from models.training.heads.geometry import Stage
from models.training.heads.human import load_human
from models.training.heads.sample import VARIANTS, Renderer
from stages.label_map import colorize

Picture = NDArray[np.uint8]
SHOWN = (1161, 1164, 1170, 1176, 1183)
"""Of the set that the models learned from; it held them out."""
COLUMNS = ("image", "toon3d", "cartoon", "ink", "sketch", "parsing", *(f"variant_{name}" for name in VARIANTS))
SIDE = 160


def row(renderer: Renderer, seed: int) -> Picture:
    """One head in every column, [SIDE, SIDE × columns, 3] RGB; its landmarks are drawn into the label map."""
    held = arrays(renderer, seed, variants=True)
    cells = []
    for name in COLUMNS:
        cell = np.asarray(held[name], np.uint8)
        if name == "parsing":
            cell = colorize(cell)
            for x, y in np.rint(held["landmarks"]).astype(int):
                cv2.circle(cell, (int(x), int(y)), 1, (255, 255, 255), -1)
        if cell.ndim == 2:
            cell = np.repeat(cell[..., None], 3, axis=2)
        cells.append(cv2.resize(cell, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return np.hstack(cells)


def main(file: Path) -> None:
    """Renders every head of SHOWN."""
    order = Order(file.parent, 1200, seed=1, variants=1)
    renderer = Renderer(Stage(load_human()), order.size)
    sheet = np.vstack([row(renderer, order.scene_seed(number)) for number in SHOWN])
    cv2.imwrite(str(file), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
