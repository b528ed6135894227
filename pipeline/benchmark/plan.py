"""All that one call of `benchmark` measures, in order, into one result ready for JSON."""

from __future__ import annotations

import itertools
import logging
from dataclasses import asdict, dataclass, replace

import torch

from models.config import SIZES
from models.precision import Precision, check_precision
from pipeline.benchmark import PARTS, cost, network, whole
from pipeline.benchmark.clips import ClipPlan
from pipeline.benchmark.floors import Rates
from pipeline.benchmark.machine import machine
from pipeline.benchmark.rows import Setup
from pipeline.errors import ConfigError
from pipeline.resources import compiled

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure; every combination of sizes, batches, precisions and devices is a setup of its own."""

    model: str = "lite_toon"
    sizes: tuple[tuple[int, int], ...] = ((256, 256),)
    """(width, height) of the network's input, multiples of 8."""
    batches: tuple[int, ...] = (1,)
    precisions: tuple[Precision, ...] = ("fp32",)
    devices: tuple[str, ...] = ("cpu",)
    threads: int = 2
    repeat: int = 5
    parts: tuple[str, ...] = ()
    """Of PARTS; (): all, or the network alone for random weights, whose clips mean nothing."""
    frames: int = 24
    """Of the clip that the pipeline renders."""
    memory: bool = True
    """Peaks of memory on the CPU too, each in a process of its own."""
    compiled: bool = False
    quick: bool = False
    """Few pairs, small clips, no other processes."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The parts."""
        return self.parts or (("network",) if self.model in SIZES else PARTS)

    def check(self) -> None:
        """Raise what can be known before anything is measured.

        Raises:
            UserError: no such model, one that takes no pictures of faces, or a precision that a device cannot do.
        """
        if whole.clip_task(self.model) is None:
            raise ConfigError(
                f"--model {self.model}: takes drawings or label maps, not pictures of faces", "choose another model"
            )
        for setup in self.setups:
            check_precision(setup.precision, torch.device(setup.first_device))

    @property
    def setups(self) -> list[Setup]:
        """Every combination, device by device."""
        return [
            Setup(
                model=self.model,
                width=width,
                height=height,
                batch=batch,
                precision=precision,
                device=device,
                threads=self.threads,
                repeat=min(self.repeat, 2) if self.quick else self.repeat,
                compiled=self.compiled,
            )
            for device, precision, (width, height), batch in itertools.product(
                self.devices, self.precisions, self.sizes, self.batches
            )
        ]


def measure(plan: Plan) -> dict[str, object]:
    """machine, setup, comparisons and, by part: rates, pipeline, cost, peak_memory_gib.

    Raises:
        UserError: see `Plan.check`.
    """
    plan.check()
    torch.set_num_threads(plan.threads)
    comparisons: list[dict[str, object]] = []
    rates: list[dict[str, object]] = []
    threads: list[dict[str, object]] = []
    costs: list[dict[str, object]] = []
    for (device, precision), members in itertools.groupby(plan.setups, lambda each: (each.device, each.precision)):
        setups = list(members)
        first = setups[0]
        rate = Rates.measure(first.first_device, precision)
        rates.append({"device": first.first_device, "precision": precision, "matmul_gflops": rate.matmul / 1e9})
        rates[-1]["copy_gb_per_s"] = rate.copy / 1e9
        net = network.load(first)
        drawn = compiled(net) if plan.compiled else net
        if "network" in plan.chosen:
            for setup in setups:
                log.info("benchmark: network, %s", _named(setup))
                comparisons += [asdict(row) for row in network.compare(setup, net, drawn, rate)]
        clip = ClipPlan(frames=min(plan.frames, 6) if plan.quick else plan.frames)
        if "pipeline" in plan.chosen:
            log.info("benchmark: pipeline, %s, %s", device, precision)
            result = whole.measure(first, net, drawn, rate, clip)
            comparisons += [asdict(row) for row in result.comparisons]
            kept = {key: value for key, value in asdict(result).items() if key != "comparisons"}
            threads.append({"device": device, "precision": precision, **kept})
        if "cost" in plan.chosen and not costs:
            log.info("benchmark: cost of clips, %s, %s", device, precision)
            plans = cost.QUICK if plan.quick else cost.PLANS
            memory = plan.memory and not plan.quick and first.first_device == "cpu"
            fewer = replace(first, repeat=1 if plan.quick else min(first.repeat, 3))
            costs += [asdict(each) for each in cost.measure(fewer, drawn, plans, memory=memory)]
    result = {
        "machine": machine(tuple({setup.first_device for setup in plan.setups})),
        "setup": asdict(plan),
        "rates": rates,
        "comparisons": comparisons,
    }
    result |= {key: value for key, value in (("pipeline", threads), ("cost", costs)) if value}
    on_cpu = [setup for setup in plan.setups if setup.first_device == "cpu"]
    if plan.memory and not plan.quick and on_cpu and "network" in plan.chosen:
        log.info("benchmark: peaks of memory, %s", _named(on_cpu[0]))
        result["peak_memory_gib"] = network.peaks(on_cpu[0])
    return result


def _named(setup: Setup) -> str:
    return f"{setup.width}×{setup.height}, batch {setup.batch}, {setup.precision}, {setup.device}"
