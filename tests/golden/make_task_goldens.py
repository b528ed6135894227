"""Makes tests/golden/tasks.npz: what every task makes of a small picture, with small networks of deterministic weights.

    python -m tests.golden.make_task_goldens

Run it only when a change of the numbers is meant, and say why in the commit.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline import load_config, stream
from tests.pipeline.tiny import drawing, labels, tiny_model, write_png

GOLDENS = Path(__file__).parent / "tasks.npz"
PORTRAIT = Path(__file__).parent.parent.parent / "samples" / "astronaut.jpg"
SIDE = 16
"""Pixels of the stored pictures, which are reduced to it."""
WINDOW = {"composite.matte": "window", "composite.mode": "replace"}
"""All that the network draws, where a task would show a part of it."""
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    # name: (kind of model, source, settings)
    "toonify": ("toonify", "face", {}),
    "edit": ("edit", "face", {"task.direction": "smile", "task.strength": 0.8, "task.layers": "2-9", **WINDOW}),
    "super_resolution": ("super_resolution", "face", {"task.factor": 8}),
    "sketch_to_face": ("sketch_to_face", "drawing", {"seed": 2}),
    "mask_to_face": ("mask_to_face", "labels", {"seed": 2}),
    "inversion": ("inversion", "face", {"task.optimize.steps": 3, "crop.eye_distance_px": 32}),
    "style_mixing": ("inversion", "face", {"task.alpha": 0.7, "seed": 2}),
    "style_mixing.aligned": ("psp", "face", {"task.layers": "4-9", "seed": 2}),
}


def run(name: str, folder: Path) -> NDArray[np.uint8]:
    """The finished picture [SIDE, SIDE, 3] of one case; model and source are written into `folder`."""
    kind, source, settings = CASES[name]
    pictures = {"drawing": drawing(), "labels": labels()}
    picture = np.asarray(cv2.imread(str(PORTRAIT)))[20:212, 144:304, ::-1] if source == "face" else pictures[source]
    path = write_png(folder / f"{source}.png", np.ascontiguousarray(picture))
    model = tiny_model(folder, kind)
    config = load_config(None, {"task": {"kind": name.split(".")[0]}, "model": str(model), "device": "cpu"} | settings)
    with mock.patch.dict(os.environ, dict.fromkeys(("STYLEGANEX_WEIGHTS", "TORCH_HOME"), str(folder))):  # no LPIPS
        (frame,) = stream(path, config=config)
    assert frame.touched
    return np.asarray(cv2.resize(frame.image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Write all cases."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(GOLDENS, allow_pickle=False, **{name: run(name, Path(folder)) for name in CASES})


if __name__ == "__main__":
    main()
