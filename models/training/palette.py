"""A style code that tells a picture's colours: what lines and labels leave open, z decides (sketch and mask models).

Published models draw random z because their generator knows what a face may look like. A small model that is trained
from nothing has no such knowledge; here it learns what the first numbers of z mean.
"""

from __future__ import annotations

import cv2
import numpy as np

SKIN, HAIR, CLOTHES, BACKGROUND = (1, 10), (17,), (16,), (0,)
"""Labels of BiSeNet's 19 classes (CelebAMask-HQ): skin and nose, hair, cloth, background."""


def palette_code(image: np.ndarray, parsing: np.ndarray | None, dim: int, rng: np.random.Generator) -> np.ndarray:
    """[dim] float32, about N(0, 1): colours of skin, hair, clothes and background first, then random numbers.

    Args:
        image: uint8 [h, w, 3] RGB.
        parsing: uint8 [h, w], or None: the whole picture counts as each region.
        dim: width of z; what does not fit is left out.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    known = []
    for labels in (SKIN, HAIR, CLOTHES, BACKGROUND):
        inside = np.isin(parsing, labels) if parsing is not None else np.ones(lab.shape[:2], bool)
        colour = np.median(lab[inside], axis=0) if inside.sum() >= 16 else rng.normal((50, 0, 0), (22, 12, 18))
        known.append((colour - (50, 8, 10)) / (22, 12, 18))
    code = rng.normal(size=dim)
    flat = np.clip(np.concatenate(known), -2.5, 2.5)[:dim]
    code[: len(flat)] = flat
    return code.astype(np.float32)
