"""The network against the reference formulation: whole, encoder, generator; pairs in one run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from models.allocator import settle_allocator
from models.config import ALIGNED_SIZE, SIZES
from models.latent import Latent
from models.styleganex import StyleGANEX
from models.zoo import load_model
from pipeline.benchmark import reference
from pipeline.benchmark.floors import Rates, count
from pipeline.benchmark.measure import in_pairs, peak_memory
from pipeline.benchmark.rows import Comparison, Setup


def load(setup: Setup) -> StyleGANEX:
    """The network of a setup, in eval mode, in float32."""
    # Weights made in inference mode count no changes, and their network keeps to the plain formulation.
    with torch.inference_mode(False):
        if setup.model not in SIZES:
            return load_model(setup.model, (), setup.first_device).net
        torch.manual_seed(0)
        return StyleGANEX(SIZES[setup.model]).eval().requires_grad_(False).to(setup.first_device)


def inputs(setup: Setup) -> tuple[Tensor, Tensor]:
    """Smooth pictures: x1 [batch, 3, H, W], all the same, and an aligned crop [1, 3, 256, 256], in [−1, 1]."""
    generator = torch.Generator().manual_seed(1)
    sizes = (setup.height, setup.width), (ALIGNED_SIZE, ALIGNED_SIZE)
    noise = (torch.rand(1, 3, 16, 16, generator=generator) * 2 - 1 for _ in sizes)
    x1, aligned = (
        torch.nn.functional.interpolate(each, size, mode="bilinear", align_corners=True)
        for each, size in zip(noise, sizes, strict=True)
    )
    return x1.repeat(setup.batch, 1, 1, 1).to(setup.first_device), aligned.to(setup.first_device)


@torch.inference_mode()
def compare(setup: Setup, net: StyleGANEX, drawn: StyleGANEX, rates: Rates) -> list[Comparison]:
    """Three rows: video frame (encoder and generator with the w+ of the shot at hand), encoder, generator.

    Args:
        net: in float32, for the reference.
        drawn: the same weights as a render would run them; set to the setup's precision.
    """
    x1, aligned = inputs(setup)
    one = x1[:1]
    wplus = net.encode_style(aligned)
    full = Latent(wplus, *net.encode_content(one))
    drawn.set_precision(setup.precision)
    try:
        latent = Latent(wplus, *drawn.encode_content(x1))
        sides: list[tuple[str, Callable[[], Tensor | None], Callable[[], Tensor | None]]] = [
            (
                "video frame",
                partial(reference.frame, net, one, aligned),
                lambda: drawn.synthesize(Latent(wplus, *drawn.encode_content(x1))),
            ),
            ("encoder", lambda: reference.content(net, one), lambda: drawn.encode_content(x1).feature),
            ("generator", lambda: reference.synthesize(net, full), lambda: drawn.synthesize(latent)),
        ]
        work = count(net.config, setup.height, setup.width, setup.batch, setup.precision)
        work["video frame"] = work["encoder"] + work["generator"]
        return [_row(setup, name, plain, ours, *rates.floor(work[name])) for name, plain, ours in sides]
    finally:
        drawn.set_precision("fp32")


def _row(
    setup: Setup,
    name: str,
    plain: Callable[[], Tensor | None],
    ours: Callable[[], Tensor | None],
    floor_s: float,
    floor: str,
) -> Comparison:
    device = torch.device(setup.first_device)
    wanted, got = plain(), ours()
    assert wanted is not None
    assert got is not None
    peak = _peak_gib(ours, device)
    pairs = in_pairs(plain, ours, setup.repeat, device)
    ours_s = statistics.median(pairs.ours_s) / setup.batch
    size = wanted.shape[:1:-1]
    return Comparison(
        name=name,
        group="network",
        median_s=ours_s,
        reference_s=statistics.median(pairs.reference_s),
        ratio=pairs.ratio * setup.batch,
        threads=setup.threads,
        device=setup.first_device,
        precision=setup.precision,
        batch=setup.batch,
        compiled=setup.compiled,
        input=f"{setup.width}×{setup.height}",
        output="×".join(str(side) for side in size),
        fps=1 / ours_s,
        floor_s=floor_s,
        floor=floor,
        floor_fraction=floor_s / ours_s,
        max_error=float((wanted.float() - got.float()).abs().max()),
        peak_gib=peak,
    )


def _peak_gib(call: Callable[[], object], device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) / 2**30


def peaks(setup: Setup) -> dict[str, float]:
    """GiB of resident memory, each side in a process of its own: ours, reference, ratio."""
    plain, ours = (peak_memory(work, setup) for work in (draw_reference, draw))
    return {"reference": plain, "ours": ours, "ratio": ours / plain}


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
        reference.frame(net, x1[:1], aligned)


def _alone(setup: Setup) -> tuple[StyleGANEX, Tensor, Tensor]:
    settle_allocator()
    torch.set_num_threads(setup.threads)
    return load(setup), *inputs(setup)
