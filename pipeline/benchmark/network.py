"""The network against the reference formulation: parts and whole, one row each."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from models.allocator import settle_allocator
from models.config import SIZES
from models.latent import Latent
from models.precision import Precision
from models.styleganex import StyleGANEX
from models.zoo import load_model
from pipeline.benchmark import reference
from pipeline.benchmark.measure import copy_rate, in_pairs, matmul_rate, peak_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is measured, and how."""

    model: str = "lite_toon"
    """full, lite or tiny: that size with random weights; else a name or path for the zoo."""
    height: int = 256
    width: int = 256
    precision: Precision = "fp32"
    device: str = "cpu"
    threads: int = 2
    repeat: int = 5
    memory: bool = True
    """Measure peaks of memory too, each in a process of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row. Seconds are medians; ratio is the median over pairs of reference / ours."""

    name: str
    median_s: float
    reference_s: float
    ratio: float
    threads: int
    device: str
    precision: str
    input: str
    """Width × height in pixels."""
    output: str
    fps: float
    floor_s: float
    """Multiplications and additions of the direct formulation, without what is kept between frames, at matmul rate."""
    floor_fraction: float
    """floor_s / median_s; above 1 where Winograd's convolutions need fewer multiplications than the direct form."""
    max_error: float
    """Largest difference of the results."""


def load(setup: Setup) -> StyleGANEX:
    """The network of a setup, in eval mode."""
    # Weights made in inference mode count no changes, and their network keeps to the plain formulation.
    with torch.inference_mode(False):
        if setup.model not in SIZES:
            return load_model(setup.model, (), setup.device).net
        torch.manual_seed(0)
        return StyleGANEX(SIZES[setup.model]).eval().requires_grad_(False).to(setup.device)


def inputs(setup: Setup) -> tuple[Tensor, Tensor]:
    """Smooth pictures: x1 [1, 3, H, W] and an aligned crop, in [−1, 1]."""
    generator = torch.Generator().manual_seed(1)
    sizes = (setup.height, setup.width), (256, 256)
    noise = (torch.rand(1, 3, 16, 16, generator=generator) * 2 - 1 for _ in sizes)
    x1, aligned = (
        torch.nn.functional.interpolate(each, size, mode="bilinear", align_corners=True)
        for each, size in zip(noise, sizes, strict=True)
    )
    return x1.to(setup.device), aligned.to(setup.device)


@torch.inference_mode()
def compare(setup: Setup) -> dict[str, object]:
    """Every row, the machine's rates and the peaks of memory, ready for JSON."""
    settle_allocator()
    torch.set_num_threads(setup.threads)
    device = torch.device(setup.device)
    net = load(setup)
    x1, aligned = inputs(setup)
    wplus = net.encode_style(aligned)
    full = Latent(wplus, *net.encode_content(x1))
    net.set_precision(setup.precision)
    latent = Latent(wplus, *net.encode_content(x1))
    rate = matmul_rate(device, torch.bfloat16 if setup.precision == "bf16" else torch.float32)

    def video_frame() -> Tensor:
        return net.synthesize(Latent(wplus, *net.encode_content(x1)))

    def plain_content() -> Tensor:
        assert net.encoder is not None
        feature = net.encoder.content(x1).feature
        assert feature is not None
        return feature

    cases: list[tuple[str, Callable[[], Tensor | None], Callable[[], Tensor | None], Callable[[], object]]] = [
        ("video frame", partial(reference.frame, net, x1, aligned), video_frame, video_frame),
        ("encoder", lambda: reference.content(net, x1), lambda: net.encode_content(x1).feature, plain_content),
        (
            "generator",
            lambda: reference.synthesize(net, full),
            lambda: net.synthesize(latent),
            lambda: net.synthesize(latent),
        ),
    ]
    rows = [_row(setup, rate, *case) for case in cases]
    result: dict[str, object] = {
        "machine": {
            "cpu": torch.cpu.get_capabilities().get("cpu_name", "") if device.type == "cpu" else "",
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "torch": torch.__version__,
            "matmul_gflops": rate / 1e9,
            "copy_gb_per_s": copy_rate(device) / 1e9,
        },
        "setup": asdict(setup),
        "comparisons": [asdict(row) for row in rows],
    }
    if setup.memory and device.type == "cpu":
        plain, ours = (peak_memory(work, setup) for work in (draw_reference, draw))
        result["peak_memory_gib"] = {"reference": plain, "ours": ours, "ratio": ours / plain}
    return result


@torch.inference_mode()
def draw(setup: Setup) -> None:
    """Three video frames with one w+, and nothing else, for the peak of memory."""
    net, x1, aligned = _alone(setup)
    net.set_precision(setup.precision)
    wplus = net.encode_style(aligned)
    for _ in range(3):
        net.synthesize(Latent(wplus, *net.encode_content(x1)))


@torch.inference_mode()
def draw_reference(setup: Setup) -> None:
    """Three frames by the reference formulation."""
    net, x1, aligned = _alone(setup)
    for _ in range(3):
        reference.frame(net, x1, aligned)


def _alone(setup: Setup) -> tuple[StyleGANEX, Tensor, Tensor]:
    settle_allocator()
    torch.set_num_threads(setup.threads)
    return load(setup), *inputs(setup)


def _row(
    setup: Setup,
    rate: float,
    name: str,
    plain: Callable[[], Tensor | None],
    ours: Callable[[], Tensor | None],
    counted: Callable[[], object],
) -> Comparison:
    device = torch.device(setup.device)
    wanted, got = plain(), ours()
    assert wanted is not None
    assert got is not None
    # Gradients on, so that the plain formulation is counted; counting needs no result.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.enable_grad():
        counted()
    pairs = in_pairs(plain, ours, setup.repeat, device)
    ours_s = statistics.median(pairs.ours_s)
    floor = counter.get_total_flops() / rate
    size = wanted.shape[:1:-1]
    return Comparison(
        name=name,
        median_s=ours_s,
        reference_s=statistics.median(pairs.reference_s),
        ratio=pairs.ratio,
        threads=setup.threads,
        device=setup.device,
        precision=setup.precision,
        input=f"{setup.width}×{setup.height}",
        output="×".join(str(side) for side in size),
        fps=1 / ours_s,
        floor_s=floor,
        floor_fraction=floor / ours_s,
        max_error=float((wanted.float() - got.float()).abs().max()),
    )


def table(result: dict) -> str:
    """Markdown for people."""
    machine = result["machine"]
    lines = [
        f"{machine['cpu'] or machine['device']}, torch {machine['torch']}: "
        f"matmul {machine['matmul_gflops']:.0f} GFLOP/s, copy {machine['copy_gb_per_s']:.1f} GB/s",
        "",
        "| | input → output | precision | threads | ours | fps | reference | ratio | of the floor | max error |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in result["comparisons"]:
        lines.append(
            f"| {row['name']} | {row['input']} → {row['output']} | {row['precision']} | {row['threads']} "
            f"| {row['median_s'] * 1e3:.1f} ms | {row['fps']:.2f} | {row['reference_s'] * 1e3:.1f} ms "
            f"| {row['ratio']:.2f} | {row['floor_fraction']:.0%} | {row['max_error']:.1e} |"
        )
    if memory := result.get("peak_memory_gib"):
        lines += ["", f"peak memory: {memory['ours']:.2f} GiB, reference {memory['reference']:.2f} GiB"]
        lines[-1] += f" (× {memory['ratio']:.2f})"
    return "\n".join(lines)
