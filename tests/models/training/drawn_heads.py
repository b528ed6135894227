"""Samples in the format of the synthetic heads, drawn with a few shapes: they take milliseconds."""

from pathlib import Path

import cv2
import numpy as np


def draw_head(rng: np.random.Generator, px: int, eye: float = 1.0, hair: tuple[int, int, int] | None = None):
    """(image, parsing, landmarks) of a face with both eyes, mouth and hair on a plain background."""
    state = rng.bit_generator.state
    skin, back, cloth = (tuple(int(v) for v in rng.integers(low, 230, 3)) for low in (120, 20, 20))
    drawn = tuple(int(v) for v in rng.integers(10, 200, 3))
    cx, cy = (int(px * (0.5 + d)) for d in rng.uniform(-0.06, 0.06, 2))
    rng.bit_generator.state = state
    image, parsing = np.full((px, px, 3), back, np.uint8), np.zeros((px, px), np.uint8)

    def blob(centre, axes, colour, label):
        for canvas, value in ((image, colour), (parsing, label)):
            cv2.ellipse(canvas, centre, axes, 0, 0, 360, value, -1)

    u = px / 256
    at = lambda dx, dy: (round(cx + dx * u), round(cy + dy * u))  # noqa: E731
    size = lambda a, b: (max(1, round(a * u)), max(1, round(b * u)))  # noqa: E731
    blob(at(0, 130), size(100, 60), cloth, 16)
    blob(at(0, -15), size(78, 95), hair or drawn, 17)
    blob(at(0, 5), size(60, 80), skin, 1)
    for side, label in ((-1, 4), (1, 5)):
        blob(at(32 * side, -10), size(11 * eye, 7 * eye), (250, 250, 250), label)
        blob(at(32 * side, -10), size(4 * eye, 4 * eye), (20, 20, 20), label)
    blob(at(0, 45), size(26, 7), (170, 50, 60), 12)
    landmarks = np.full((68, 2), at(0, 20), np.float32)
    for start, side in ((36, -1), (42, 1)):
        landmarks[start : start + 6] = at(32 * side, -10)
    landmarks[48], landmarks[54] = at(-26, 45), at(26, 45)
    return image, parsing, landmarks


def make_samples(folder: Path, count: int, px: int = 128) -> Path:
    """`count` .npz files and heads.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heads.json").write_text('{"attributes": ["lightness", "age"]}')
    for number in range(count):
        states = [np.random.default_rng(number) for _ in range(4)]
        image, parsing, landmarks = draw_head(states[0], px)
        toon, _, _ = draw_head(states[1], px, eye=1.7)
        dark, light = (draw_head(states[i], px, hair=c)[0] for i, c in ((2, (20, 15, 10)), (3, (240, 220, 150))))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        sketch = 255 - np.clip(4 * np.abs(cv2.Laplacian(grey, cv2.CV_32F)), 0, 255).astype(np.uint8)
        np.savez_compressed(
            folder / f"{number:05d}.npz",
            image=image,
            toon3d=toon,
            ink=np.dstack([sketch] * 3),
            sketch=sketch,
            parsing=parsing,
            landmarks=landmarks,
            variant_hair=light if number % 2 else dark,
            attributes=np.array([0, 30], np.float32),
            attributes_hair=np.array([0.5 if number % 2 else -0.5, 30], np.float32),
        )
    return folder
