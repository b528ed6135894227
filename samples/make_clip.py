"""Make the demonstration clip: a slow camera move over a public-domain portrait, with a soft chord as its sound.

python -m samples.make_clip output/sample.mp4
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

PORTRAIT = Path(__file__).parent / "astronaut.jpg"
WIDTH, HEIGHT, RATE, FRAMES = 400, 336, 24, 48
SOUND_RATE = 48_000


def view(portrait: NDArray[np.uint8], t: float, size: tuple[int, int] = (WIDTH, HEIGHT)) -> NDArray[np.uint8]:
    """The camera's picture [H, W, 3] at time t in [0, 1]: it pushes in, drifts and rolls a little."""
    width, height = size
    zoom = 1.15 + 0.2 * np.sin(np.pi * t)
    angle = 4.0 * np.sin(2 * np.pi * t)
    center = (222.0 + 14.0 * np.sin(2 * np.pi * t), 150.0 + 8.0 * np.cos(2 * np.pi * t))
    matrix = cv2.getRotationMatrix2D(center, angle, zoom)
    matrix[:, 2] += np.array([width / 2 - center[0], height / 2 - center[1]])
    return np.asarray(
        cv2.warpAffine(portrait, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT),
        np.uint8,
    )


def chord(seconds: float) -> NDArray[np.float32]:
    """[1, samples] mono, three quiet sines that fade in and out."""
    time = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.18, 329.63))
    return (0.05 * tones * np.sin(np.pi * time / seconds))[None].astype(np.float32)


def make_clip(path: Path) -> None:
    """Write the clip: H.264 with BT.709 tags, and AAC."""
    portrait = cv2.imread(str(PORTRAIT))
    if portrait is None:
        raise FileNotFoundError(PORTRAIT)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "16"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
        sound = out.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for index in range(FRAMES):
            rgb = view(portrait, index / (FRAMES - 1))[:, :, ::-1]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.color_primaries, frame.color_trc = 1, 1
            out.mux(video.encode(frame))
        audio = av.AudioFrame.from_ndarray(chord(FRAMES / RATE), format="fltp", layout="mono")
        audio.sample_rate, audio.pts, audio.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        out.mux(sound.encode(audio))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))


if __name__ == "__main__":
    make_clip(Path(sys.argv[1] if len(sys.argv) > 1 else "output/sample.mp4"))
