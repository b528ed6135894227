"""`--task none` against a bare PyAV loop that decodes and encodes, side by side in one run.

    python -m benchmarks.identity_rate [CLIP] [--size 1920x1080] [--frames 96] [--repeat 5] [--json]

Both read the same file with the same number of decoder threads and write with the same encoder, options and threads.
Ours is the whole of `render`, report and before/after picture included; only the loading of Python modules is left out
on both sides. Each round runs the two one after the other, every other round in the opposite order; the ratio of each
pair is taken, and the median of the ratios. 1.0 means that the pipeline costs nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.config import RunConfig, load_config
from pipeline.run import render
from samples.make_clip import PORTRAIT, view
from stages.encoding import add_video, choose
from stages.media_probe import probe, video_stream


def make_source(path: Path, size: tuple[int, int], frames: int) -> None:
    """H.264 of the sample's camera move at any size, with some grain, so that the encoder has work to do."""
    portrait = cv2.imread(str(PORTRAIT))
    if portrait is None:
        raise FileNotFoundError(PORTRAIT)
    portrait = cv2.resize(portrait, None, fx=size[0] / 400, fy=size[0] / 400, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 2, (size[1] + 64, size[0] + 64, 1)).astype(np.float32)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
        for index in range(frames):
            picture = view(np.asarray(portrait, np.uint8), index / max(frames - 1, 1), size)
            x, y = (index * 29) % 64, (index * 17) % 64
            noisy = picture + grain[y : y + size[1], x : x + size[0]]
            bgr = np.clip(noisy, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(bgr, "bgr24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def bare(source: Path, output: Path, config: RunConfig) -> int:
    """Decode, encode, mux, nothing else; returns the number of frames."""
    clip, count = probe(source), 0
    encoding = choose(clip, config.write.wish(), output.suffix, clip.width, clip.height)
    with av.open(str(source)) as container, av.open(str(output), "w") as out:
        read = video_stream(container, source)
        read.thread_type, read.thread_count = "AUTO", config.read.threads
        written = add_video(out, encoding, clip.width, clip.height, clip.rate, clip.time_base)
        for frame in container.decode(read):
            frame.pict_type = 0
            out.mux(written.encode(frame))
            count += 1
        out.mux(written.encode(None))
    return count


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(seconds, CPU seconds of all threads)."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(source: Path, folder: Path, config: RunConfig, repeat: int) -> dict[str, float]:
    """Medians over the rounds; `ratio` and `cpu_ratio` are medians of the pairs' own ratios."""
    sides: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(source, folder / "bare.mp4", config),
        "pipeline": lambda: render(source, folder / "ours.mp4", config=config),
    }
    for work in sides.values():  # once each, unmeasured
        work()
    frames = sum(1 for _ in _decoded(folder / "ours.mp4"))
    if frames != sum(1 for _ in _decoded(folder / "bare.mp4")):
        raise RuntimeError("the two files differ in their number of frames")
    rounds: list[dict[str, tuple[float, float]]] = []
    for number in range(repeat):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        rounds.append({name: timed(sides[name]) for name in order})
    result = {f"{name}_ms": statistics.median(r[name][0] for r in rounds) / frames * 1e3 for name in sides}
    result |= {f"{name}_cpu_ms": statistics.median(r[name][1] for r in rounds) / frames * 1e3 for name in sides}
    result["ratio"] = statistics.median(r["pipeline"][0] / r["bare"][0] for r in rounds)
    result["cpu_ratio"] = statistics.median(r["pipeline"][1] / r["bare"][1] for r in rounds)
    return result


def _decoded(path: Path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, help="default: a generated one")
    parser.add_argument("--size", default="1920x1080", help="of the generated clip")
    parser.add_argument("--frames", type=int, default=96, help="of the generated clip")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    width, height = (int(n) for n in arguments.size.split("x"))
    config = load_config(None, {"task": {"kind": "none"}, "write.overwrite": True, "write.audio": False})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = arguments.clip or folder / "source.mp4"
        if arguments.clip is None:
            make_source(source, (width, height), arguments.frames)
        result = compare(source, folder, config, arguments.repeat)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        print(f"{key:<16} {value:8.3f}")
    print("per frame; ratio: render over the bare loop, median over the pairs")


if __name__ == "__main__":
    main()
