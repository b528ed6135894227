"""Make samples/head_clip.npz: a synthetic head that talks and turns, with the exact motion of every pixel.

python -m samples.make_head_clip samples/head_clip.npz     (needs requirements-train.txt)

Packed to be committed; sets of clips are made by `python -m models.training.heads --clips N`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "head_clip.npz"
SEED, COUNT, SIZE = 1_900_004, 5, 176
STEPS = 256
"""Of a pixel, in which the packed flow counts."""


class HeadClip(NamedTuple):
    """Frames of one moving scene and the motion between them; see `models.training.heads.clips.Clip`."""

    frames: NDArray[np.uint8]
    """[N, H, W, 3] sRGB."""
    flow: NDArray[np.float32]
    """[N − 1, H, W, 2]: pixels (x, y) from frame n to frame n + 1, within 1/512."""
    occluded: NDArray[np.bool_]
    """[N − 1, H, W]: what frame n sees there, frame n + 1 does not."""
    landmarks: NDArray[np.float32]
    """[N, 68, 2]."""


def load_head_clip(file: Path = FILE) -> HeadClip:
    """The committed clip."""
    with np.load(file, allow_pickle=False) as packed:
        flow = (packed["flow"] / np.float32(STEPS)).astype(np.float32)
        return HeadClip(packed["frames"], flow, packed["occluded"], packed["landmarks"])


def make(file: Path) -> None:
    """Render the clip; the same bits every time."""
    from models.training.heads.clips import make_clip
    from models.training.heads.geometry import Stage
    from models.training.heads.human import load_human
    from models.training.heads.sampling import sample_scene

    clip = make_clip(Stage(load_human()), sample_scene(SEED), COUNT, SIZE)
    np.savez_compressed(
        file,
        frames=clip.frames,
        flow=np.rint(clip.flow * STEPS).astype(np.int16),
        occluded=clip.occluded,
        landmarks=clip.landmarks.astype(np.float32),
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
