"""What a clip costs by its length, its size and its number of faces."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from models.allocator import settle_allocator
from models.styleganex import StyleGANEX
from pipeline.benchmark.clips import ClipPlan
from pipeline.benchmark.measure import peak_memory
from pipeline.benchmark.network import load
from pipeline.benchmark.rows import Setup
from pipeline.benchmark.whole import Bench

PLANS: dict[str, tuple[ClipPlan, ...]] = {
    "length": tuple(ClipPlan(frames=frames) for frames in (12, 24, 48, 96, 192)),
    "frame size": tuple(
        ClipPlan(width, height, 12) for width, height in ((400, 336), (640, 480), (960, 544), (1280, 720), (1920, 1080))
    ),
    "faces": tuple(ClipPlan(960, 640, 12, faces) for faces in (1, 2, 3, 4, 6)),
}
"""What grows → the clips, all else equal."""
QUICK: dict[str, tuple[ClipPlan, ...]] = {
    "length": tuple(ClipPlan(frames=frames) for frames in (6, 12)),
    "frame size": tuple(ClipPlan(width, height, 6) for width, height in ((400, 336), (1280, 720))),
    "faces": tuple(ClipPlan(960, 640, 6, faces) for faces in (1, 3)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one clip, through the whole pipeline. Medians."""

    grows: str
    """What is varied: length, frame size or faces."""
    width: int
    height: int
    frames: int
    faces: int
    seconds: float
    seconds_per_frame: float
    fps: float
    device: str
    precision: str
    threads: int
    peak_gib: float | None
    """Resident memory of a process that renders the clip once; null where not measured."""


def measure(
    setup: Setup, drawn: StyleGANEX, plans: dict[str, tuple[ClipPlan, ...]], *, memory: bool = False
) -> list[Cost]:
    """Every clip `setup.repeat` times, in turns, so that a slow while of the machine falls on all of them.

    Args:
        memory: measure the peak of every clip of another length too, each in a process of its own.
    """
    drawn.set_precision(setup.precision)
    costs = []
    with tempfile.TemporaryDirectory() as name:
        for grows, clips in plans.items():
            seconds = _in_turns(Bench(drawn, setup), Path(name), clips, setup.repeat)
            for plan, each in zip(clips, seconds, strict=True):
                peak = peak_memory(render_alone, setup, plan) if memory and grows == "length" else None
                costs.append(_cost(setup, grows, plan, statistics.median(each), peak))
    drawn.set_precision("fp32")
    return costs


def _in_turns(bench: Bench, folder: Path, clips: Sequence[ClipPlan], repeat: int) -> list[list[float]]:
    buffers = bench.config.buffers.model_dump()
    sources = [plan.make(folder / f"{k}.mp4") for k, plan in enumerate(clips)]
    rounds = [[bench.run(source, folder / "out.mp4", buffers).seconds for source in sources] for _ in range(repeat)]
    return [list(each) for each in zip(*rounds, strict=True)]


def _cost(setup: Setup, grows: str, plan: ClipPlan, seconds_per_frame: float, peak: float | None) -> Cost:
    return Cost(
        grows=grows,
        **asdict(plan),
        seconds=seconds_per_frame * plan.frames,
        seconds_per_frame=seconds_per_frame,
        fps=1 / seconds_per_frame,
        device=setup.device,
        precision=setup.precision,
        threads=setup.threads,
        peak_gib=peak,
    )


def render_alone(setup: Setup, plan: ClipPlan) -> None:
    """One clip through the pipeline, and nothing else, for the peak of memory."""
    settle_allocator()
    torch.set_num_threads(setup.threads)
    setup = replace(setup, compiled=False)
    net = load(setup)
    net.set_precision(setup.precision)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(net, setup)
        source = plan.make(Path(name) / "clip.mp4")
        bench.run(source, Path(name) / "out.mp4", bench.config.buffers.model_dump())
