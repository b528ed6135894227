"""Makes tests/golden/parser.npz: what a narrow face parser with deterministic weights says of a deterministic picture.

    python -m tests.golden.make_parser_golden

Run it only when a change of the numbers is meant, and say why in the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from models.parsing import FaceParser
from tests.golden.make_model_goldens import fill, normal, sampled

GOLDEN = Path(__file__).parent / "parser.npz"
WIDTH = 8


def filled_parser(width: int = WIDTH) -> FaceParser:
    """A parser in eval mode whose weights depend on their names and shapes alone."""
    parser = FaceParser(width)
    fill(cast("Any", parser))
    return parser


@torch.inference_mode()
def run() -> dict[str, np.ndarray]:
    """The logits, sampled, and the labels."""
    parser = filled_parser()
    blobs = F.interpolate(2 * normal("picture", (1, 3, 5, 6)), size=(44, 52), mode="bilinear")
    picture = torch.tanh(blobs)
    return {"logits": sampled(parser(picture)), "labels": parser.parse(picture)[0].numpy()}


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, allow_pickle=False, **run())
