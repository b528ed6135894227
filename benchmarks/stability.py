"""How much the ways to hold a picture still are worth: makes docs/stability.md.

    python -m benchmarks.stability [CLIP] [--frames 24] [--keep FOLDER] [-o docs/stability.md]

Up to three clips: a filmed one (CLIP), a synthetic one with exact flow (a head that turns and talks where `anny` is
installed, else a portrait under a moving camera), and a still portrait with grain. Each is rendered with the embedded
model in every way of `WAYS`, in one run, and measured in the same rectangle about the face: what a way leaves untouched
at the frame's edge must not count for it. The tables are put between the marks in the document; the text
around them is written by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blazeface import BlazeFaceDetector
from pipeline.config import load_config
from pipeline.metrics import measure_arrays
from pipeline.metrics.pairs import Pair
from pipeline.resources import Loader
from pipeline.run import stream
from samples.make_clip import PORTRAIT
from stages.motion import warp

Frames = list[NDArray[np.uint8]]
Floats = NDArray[np.float32]
ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "configs" / "published.yaml"
WAYS: dict[str, tuple[Path | None, dict[str, object]]] = {
    "published": (PUBLISHED, {}),
    "frame": (None, {"style.latents": "frame"}),
    "shot": (None, {"style.latents": "shot"}),
    "smooth": (None, {"style.latents": "smooth"}),
    "shot, two neighbours to either side": (None, {"style.latents": "shot", "steady.window": 2}),
    "shot, pictures not filtered": (None, {"style.latents": "shot", "steady.strength": 0.0}),
    "shot, f alone filtered": (None, {"style.latents": "shot", "steady.strength": 0.0, "steady.feature": 1.0}),
    "shot, both filtered": (None, {"style.latents": "shot", "steady.feature": 1.0}),
    "shot, sharp window, not filtered": (None, {"crop.filter": "sharp", "steady.strength": 0.0}),
}
"""Name → configuration file and settings over it."""
METRICS = {
    "warping_error": "warping error",
    "high_frequency_energy": "high-frequency energy",
    "frame_difference_ratio": "frame difference",
    "landmark_jitter": "landmark jitter",
    "color_offset": "colour offset, levels",
}
MODEL = str(ROOT / "models" / "weights" / "lite_toon.safetensors")
BEGIN, END = "<!-- tables: python -m benchmarks.stability -->", "<!-- end of tables -->"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """What is rendered."""

    name: str
    path: Path
    """A video, or a folder of pictures."""
    flow: Floats | None = None
    """[N − 1, H, W, 2]: exact, from each frame to the next."""
    occluded: NDArray[np.bool_] | None = None


class Around:
    """Inside is a rectangle that stays."""

    name = "a rectangle about the face"

    def __init__(self, box: tuple[slice, slice]) -> None:
        self._box = box

    def __call__(self, pair: Pair) -> NDArray[np.bool_]:
        assert pair.source is not None
        mask = np.zeros(pair.source.shape[:2], np.bool_)
        mask[self._box] = True
        return mask


def head(folder: Path, count: int, size: int = 336) -> Clip:
    """A synthetic head that turns and talks before a moving background; what is in `folder` already is taken."""
    kept = folder / f"head_{count}.npz"
    if not kept.exists():
        from models.training.heads.clips import make_clip
        from models.training.heads.geometry import Stage
        from models.training.heads.human import load_human
        from models.training.heads.sampling import sample_scene

        made = make_clip(Stage(load_human()), sample_scene(900_003), count, size)
        np.savez(kept, frames=made.frames, flow=made.flow, occluded=made.occluded)
    with np.load(kept) as data:
        saved = _saved(folder / "head", list(data["frames"]))
        return Clip("Synthetic head, exact flow", saved, data["flow"], data["occluded"])


def camera(folder: Path, count: int, size: tuple[int, int] = (400, 336)) -> Clip:
    """A portrait under a camera that drifts and pushes in by fractions of a pixel."""
    portrait = _portrait()
    width, height = size
    matrices: list[NDArray[np.float64]] = []
    for k in range(count):
        zoom = 1.15 + 0.005 * k
        matrix = np.array([[zoom, 0, width / 2 - 222 * zoom + 0.7 * k], [0, zoom, height / 2 - 150 * zoom - 0.4 * k]])
        matrices.append(np.vstack([matrix, [0, 0, 1]]))
    move = partial(cv2.warpAffine, portrait, dsize=size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    frames = [np.asarray(move(M=matrix[:2]), np.uint8) for matrix in matrices]
    y, x = np.indices((height, width)).astype(np.float64)
    here = np.stack([x, y, np.ones_like(x)], axis=-1)
    steps = [b @ np.linalg.inv(a) for a, b in itertools.pairwise(matrices)]
    flow = np.stack([(here @ step.T)[..., :2] - here[..., :2] for step in steps]).astype(np.float32)
    there = flow + here[..., :2]
    outside = np.asarray(((there < 0) | (there > (width - 1, height - 1))).any(axis=-1), np.bool_)
    return Clip("Moving camera, exact flow", _saved(folder / "camera", frames), flow, outside)


def grain(folder: Path, count: int) -> Clip:
    """The same view of a portrait again and again, with new grain of 3 levels in each frame."""
    still = np.ascontiguousarray(_portrait()[:336, 22:422]).astype(np.float32)
    rng = np.random.default_rng(0)
    frames = [np.clip(np.rint(still + rng.normal(0, 3, still.shape)), 0, 255).astype(np.uint8) for _ in range(count)]
    return Clip("Still with grain", _saved(folder / "grain", frames), np.zeros((count - 1, 336, 400, 2), np.float32))


def _portrait() -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imread(str(PORTRAIT))), cv2.COLOR_BGR2RGB), np.uint8)


def _saved(folder: Path, frames: Frames) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{k:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def measured(clip: Clip, count: int, loader: Loader, keep: Path) -> list[list[str]]:
    """One row per way: name, every metric, warping error by the exact flow, contrast of detail."""
    common: dict[str, object] = {"device": "cpu", "model": MODEL, "read.end": count}
    source = [frame.image for frame in stream(clip.path, overrides=common | {"task": {"kind": "none"}})]
    box = _about_the_face(source)
    rows = []
    for name, (path, settings) in WAYS.items():
        frames = stream(clip.path, config=load_config(path), overrides=common | settings, loader=loader)
        result = [frame.image for frame in frames]
        np.savez(
            keep / f"{clip.path.stem}_{name.replace(', ', '_')}.npz", source=np.stack(source), result=np.stack(result)
        )
        report = measure_arrays(source, result, matte=Around(box), detector=BlazeFaceDetector())
        values = {v.metric: v.value for v in report.verdicts if v.region in ("inside", "frame")}
        row = [values.get(metric) for metric in METRICS]
        row.insert(1, _exact(clip, source, result, box))
        rows.append(
            [name, *("–" if value is None else f"{value:.3f}" for value in [*row, _detail(source, result, box)])]
        )
        print(clip.name, *rows[-1], sep="  ", flush=True)
    return rows


def _about_the_face(frames: Frames) -> tuple[slice, slice]:
    """Bounds of the landmarks in all frames, a quarter of their size more to each side."""
    detector = BlazeFaceDetector()
    points = np.concatenate([detector.detect(frame)[0].landmarks for frame in frames[:: max(len(frames) // 4, 1)]])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = (high - low) / 4
    (left, top), (right, bottom) = (low - margin).clip(0).astype(int), (high + margin).astype(int)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _exact(clip: Clip, source: Frames, result: Frames, box: tuple[slice, slice]) -> float | None:
    """Warping error over that of the source, by the clip's own flow."""
    if clip.flow is None:
        return None
    errors = []
    for frames in (source, result):
        pictures = np.stack(frames).astype(np.float32) / 255
        moved = [np.square(warp(b, f) - a) for a, b, f in zip(pictures, pictures[1:], clip.flow, strict=False)]
        seen = [np.ones(m.shape[:2], np.bool_) for m in moved]
        if clip.occluded is not None:
            seen = [~hidden for hidden in clip.occluded[: len(moved)]]
        errors.append(np.mean([m[box][s[box]].mean() for m, s in zip(moved, seen, strict=True)]))
    return float(errors[1] / errors[0])


def _detail(source: Frames, result: Frames, box: tuple[slice, slice]) -> float:
    """Root mean square of the gradient over the source's: below 1 the result is softer."""
    sizes = []
    for frames in (source, result):
        grey = np.stack([frame[box].mean(axis=-1, dtype=np.float32) for frame in frames])
        sizes.append(np.square(np.diff(grey, axis=1)).mean() + np.square(np.diff(grey, axis=2)).mean())
    return float(np.sqrt(sizes[1] / sizes[0]))


def table(clip: Clip, count: int, rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    names = list(METRICS.values())
    heading = ["w+ and window", names[0], f"{names[0]}, exact flow", *names[1:], "detail"]
    lines = [heading, ["---", *["--:"] * (len(heading) - 1)], *rows]
    return "\n".join([f"### {clip.name}, {count} frames", "", *("| " + " | ".join(line) + " |" for line in lines), ""])


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main() -> None:
    """Render, measure, write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path, help="a filmed clip with one face")
    parser.add_argument("--frames", type=int, default=24, help="of each clip")
    parser.add_argument("--keep", type=Path, help="folder for the made clips and the results")
    parser.add_argument("-o", "--output", type=Path, help="document to renew; default: the tables go to the terminal")
    asked = parser.parse_args()
    loader, tables = Loader(), []
    with _folder(asked.keep) as folder:
        clips = [] if asked.clip is None else [Clip(f"Filmed, {asked.clip.name}", asked.clip)]
        made = head if importlib.util.find_spec("anny") else camera
        clips += [made(folder, asked.frames), grain(folder, asked.frames)]
        for clip in clips:
            tables.append(table(clip, asked.frames, measured(clip, asked.frames, loader, folder)))
    text = "\n".join(tables)
    if asked.output is None:
        print(text)
        return
    before, _, rest = asked.output.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    asked.output.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
