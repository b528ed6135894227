"""Every stage and the whole pipeline on a clip, against the same pipeline around the reference formulation.

One round renders the clip three times: around the reference on one thread (what a script does, frame by frame), ours on
one thread, so that each stage's own time is seen undisturbed, and ours as it is, in three threads or more.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.config import SIZES
from models.replicas import replicate
from models.styleganex import StyleGANEX
from models.zoo import LoadedModel, find_model, trained_for
from pipeline.benchmark.clips import ClipPlan
from pipeline.benchmark.floors import Rates, Work, count
from pipeline.benchmark.measure import Pairs
from pipeline.benchmark.reference import ReferenceNet
from pipeline.benchmark.rows import Comparison, Setup
from pipeline.config import RunConfig, load_config
from pipeline.flow import Flow
from pipeline.resources import Rendering, places
from pipeline.telemetry import StageMeter, thread_rates
from pipeline.wire import finished_size, wire_to_file
from stages.media_probe import probe
from stages.recipe import Tools
from stages.track import load_detector
from stages.write import choose_encoding

NETWORK = ("invert", "synthesize")
"""Stages that have a floor; the others are bound by the codec, the detector or a CPU's caches."""


TASKS = {"toonify": "toonify", "inversion": "inversion", "edit": "inversion", "super_resolution": "super_resolution"}
"""What a model was made for → what it renders clips of faces with; the reference formulation knows no edits."""


def clip_task(model: str) -> str | None:
    """The task that a model renders clips of faces with; None: it draws from something else, or cannot be known.

    Raises:
        CheckpointError: no such model.
    """
    if model in SIZES:
        return "toonify"
    known = trained_for(find_model(model)).replace(" ", "").split(",")
    return next((task for made_for, task in TASKS.items() if made_for in known), "toonify" if known == [""] else None)


@dataclass(frozen=True, slots=True)
class Round:
    """One run through a clip."""

    seconds: float
    """Per frame, wall clock."""
    stages: dict[str, float]
    """Stage → seconds of its own work per frame."""
    threads: list[tuple[str, float]]
    """(stages, frames per second of their own work) of each thread; the network's lanes, where there are several, are
    one line, "network", from the frames given to them to those taken from them."""
    network_waited: float
    """Share of the run in which the network's thread waited for the frames before it, or its lanes on average; 0 on one
    thread."""


class Bench:
    """Renders clips with one network, as `render` does, without report and preview."""

    def __init__(self, net: StyleGANEX, setup: Setup) -> None:
        settings = {"device": setup.device, "threads": setup.threads, "batch_size": setup.batch}
        settings |= {"task": {"kind": clip_task(setup.model) or "toonify"}}
        self.config: RunConfig = load_config(None, {**settings, "write.overwrite": True, "track.face": "all"})
        detector = load_detector(self.config.track)
        recipe = self.config.task.recipe(Tools(net, setup.model, detector, 0))
        model = LoadedModel(net, setup.model, Path(setup.model), "", False)
        self._alone = Rendering(model, detector, recipe)
        replicas = replicate(net, places(self.config, recipe, model))[1:]
        self._rendering = Rendering(model, detector, recipe, replicas=replicas)

    def run(self, source: Path, target: Path, buffers: Mapping[str, int], net: StyleGANEX | None = None) -> Round:
        """Render `source` into `target`.

        Args:
            buffers: as of `pipeline.flow.Flow`; empty: one thread.
            net: instead of the bench's own.
        """
        rendering = self._rendering if buffers else self._alone
        if net is not None:
            rendering = replace(rendering, model=replace(rendering.model, net=net), replicas=())
        clip = probe(source)
        planes = choose_encoding(clip, self.config.write, target.suffix, *finished_size(self.config, clip, rendering))
        on_gpu = rendering.model.net.generator.constant.device.type == "cuda"
        # Kernels run on behind the call: without waiting, the stage that reads the result would get the network's time.
        flow = Flow(buffers, finish=torch.cuda.synchronize if on_gpu and not buffers else None)
        started = time.perf_counter()
        with contextlib.closing(wire_to_file(self.config, clip, rendering, flow, planes, target)) as written:
            frames = sum(1 for _ in written)
        seconds = time.perf_counter() - started
        waits = flow.lane_waits() or [meter.waited_s for meter in flow.meters if meter.name == "crop"]
        waited = statistics.fmean(waits) / seconds if waits else 0.0
        return Round(seconds / frames, _own(flow.meters, frames), thread_rates(flow.meters), waited)


def _own(meters: list[StageMeter], frames: int) -> dict[str, float]:
    return {meter.name: meter.busy_s / frames for meter in meters}


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeResult:
    """Of one setup."""

    comparisons: list[Comparison]
    slowest_thread: str
    """The stages that bound the pipeline."""
    of_slowest: float
    """The pipeline's rate over that of its slowest thread's own work in the same run, median over the rounds: 1 means
    that this thread never waits."""
    network_waited: float
    """Median share of the run in which the network's thread waited."""


def measure(setup: Setup, net: StyleGANEX, drawn: StyleGANEX, rates: Rates, plan: ClipPlan) -> WholeResult:
    """A row per stage and one for the pipeline.

    Args:
        net, drawn: as of `pipeline.benchmark.network.compare`.
    """
    drawn.set_precision(setup.precision)
    bench, plain = Bench(drawn, setup), ReferenceNet(net)
    buffers = bench.config.buffers.model_dump()
    with tempfile.TemporaryDirectory() as name:
        source, target = plan.make(Path(name) / "clip.mp4"), Path(name) / "out.mp4"
        bench.run(source, target, buffers)  # memory and caches as they stay
        rounds = [
            (bench.run(source, target, {}, plain), bench.run(source, target, {}), bench.run(source, target, buffers))
            for _ in range(setup.repeat)
        ]
    drawn.set_precision("fp32")
    work = _work(setup, net, plain, plan.frames * setup.repeat)
    stages = list(rounds[0][1].stages)
    rows = [
        _row(setup, plan, name, Pairs(*zip(*((a.stages[name], b.stages[name]) for a, b, _ in rounds), strict=True)))
        for name in stages
    ]
    whole = Pairs(*zip(*((a.seconds, c.seconds) for a, _, c in rounds), strict=True))
    rows.append(_row(setup, plan, "whole pipeline", whole))
    slowest = [min(c.threads, key=lambda thread: thread[1]) for _, _, c in rounds]
    shares = [1 / c.seconds / rate for (_, _, c), (_, rate) in zip(rounds, slowest, strict=True)]
    return WholeResult(
        comparisons=[_with_floor(row, rates, work) for row in rows],
        slowest_thread=statistics.mode(name for name, _ in slowest),
        of_slowest=statistics.median(shares),
        network_waited=statistics.median(c.network_waited for _, _, c in rounds),
    )


def _work(setup: Setup, net: StyleGANEX, plain: ReferenceNet, frames: int) -> dict[str, Work]:
    """Stage → the network's work per frame, for the windows that this clip had."""
    parts: dict[str, Work] = dict.fromkeys(NETWORK, Work(0, 0))
    for height, width in set(plain.seen):
        share = plain.seen.count((height, width)) / frames
        for stage, part in zip(NETWORK, ("encoder", "generator"), strict=True):
            one = count(net.config, height, width, setup.batch, setup.precision)[part]
            parts[stage] += Work(one.flops * share, one.bytes * share)
    return parts | {"whole pipeline": parts["invert"] + parts["synthesize"]}


def _row(setup: Setup, plan: ClipPlan, name: str, pairs: Pairs) -> Comparison:
    ours_s = statistics.median(pairs.ours_s)
    return Comparison(
        name=name,
        group="pipeline" if name == "whole pipeline" else "stage",
        median_s=ours_s,
        reference_s=statistics.median(pairs.reference_s),
        ratio=pairs.ratio,
        threads=setup.threads,
        device=setup.device,
        precision=setup.precision,
        batch=setup.batch,
        compiled=setup.compiled,
        input=f"{plan.width}×{plan.height}",
        output=f"{plan.width}×{plan.height}",
        fps=1 / ours_s,
    )


def _with_floor(row: Comparison, rates: Rates, work: Mapping[str, Work]) -> Comparison:
    if row.name not in work:
        return row
    floor_s, floor = rates.floor(work[row.name])
    return replace(row, floor_s=floor_s, floor=floor, floor_fraction=floor_s / row.median_s)
