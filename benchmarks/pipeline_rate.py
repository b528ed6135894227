"""The whole pipeline's frame rate against its slowest stage's own, side by side in one run.

    python -m benchmarks.pipeline_rate [CLIP] [--repeat 5] [--frames 48] [--json]

For each round: the pipeline renders the clip; then the network thread's stages run alone over the same crops, with
nothing else busy, and the reading and the writing threads likewise. The ratio is the pipeline's rate over the slowest
thread's own rate; 1.0 means that nothing but the slowest part costs time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import RunConfig, load_config
from pipeline.flow import Flow
from pipeline.resources import Loader, Rendering
from pipeline.run import render
from pipeline.wire import through_network
from samples.make_clip import make_clip
from stages.codes import EncoderCodes
from stages.composite import Composite
from stages.crop import Crop
from stages.media_probe import probe
from stages.read import Read
from stages.settle import Settle
from stages.shots import Shots
from stages.steady import Steady
from stages.style import Style
from stages.track import Track
from stages.write import Write, choose_encoding


def alone(config: RunConfig, source: Path, rendering: Rendering, folder: Path) -> dict[str, float]:
    """Frames per second of each thread's stages when they have the machine to themselves."""
    clip = probe(source)
    rates: dict[str, float] = {}

    def timed(name: str, stream: Iterator) -> list:
        started = time.perf_counter()
        items = list(stream)
        rates[name] = len(items) / (time.perf_counter() - started)
        return items

    front = Shots(config.shots).stream(Read(config.read, clip).stream())
    front = Settle(config.track).stream(Track(config.track, rendering.detector).stream(front))
    codes = EncoderCodes(rendering.model.net, rendering.recipe.content, config.crop.eye_distance_px)
    crops = timed("read+track+crop", Crop(config.crop).stream(Style(config.style, codes).stream(front)))
    rendered = timed("network", through_network(config, clip, rendering, Flow({}), (x for x in crops)))
    planes = choose_encoding(clip, config.write, ".mp4", *clip.upright_size)
    steadied = Steady(config.steady, config.steady_strength).stream(x for x in rendered)
    pasted = Composite(config.composite, clip.upright_size, *planes).stream(steadied)
    timed("steady+composite+write", Write(config.write, clip, folder / "alone.mp4").stream(pasted))
    return rates


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path, help="default: the sample clip")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--frames", type=int, default=48, help="of the clip, at most")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = {"write.overwrite": True, "report.enabled": False, "read.end": arguments.frames}
    config = load_config(None, settings)
    loader = Loader()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = arguments.clip or folder / "sample.mp4"
        if arguments.clip is None:
            make_clip(source)
        rendering = loader.load(config)
        assert rendering is not None
        render(source, folder / "warm_up.mp4", config=config, loader=loader)
        rows = []
        for _ in itertools.repeat(None, arguments.repeat):
            report = render(source, folder / "whole.mp4", config=config, loader=loader)
            rates = alone(config, source, rendering, folder)
            slowest = min(rates.values())
            inside = min(thread["fps"] for thread in report.threads)
            rows.append({"pipeline": report.fps, **rates, "ratio": report.fps / slowest, "in_run": report.fps / inside})
    result = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    if arguments.json:
        print(json.dumps({"rounds": rows, "median": result}, indent=2))
        return
    for key, value in result.items():
        unit = "" if key in ("ratio", "in_run") else " frames/s"
        print(f"{key:<16} {value:7.3f}{unit}")
    print("ratio: pipeline over the slowest thread alone; in_run: over the slowest thread's busy rate in the same run")


if __name__ == "__main__":
    main()
