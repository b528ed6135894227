"""A picture of any size by a network of full size: peak of memory and time, tiled within a budget.

    python -m benchmarks.tiling [--size 7680x4320] [--memory 12GiB] [--model full] [--threads 2] [--check] [--json]

Encoder and generator run once, each, on a smooth picture with filled weights (those of the goldens; the full network
needs no download). The peak is the process's resident memory, weights and result (float32) included. `--check` draws
the whole too and compares: for sizes that fit.
"""

from __future__ import annotations

import argparse
import json
import logging
import time

import torch
from pydantic import ByteSize, TypeAdapter

from models.allocator import settle_allocator
from models.budget import Budget
from models.config import SIZES
from models.latent import Latent
from models.memory import held_memory, peak_memory
from models.styleganex import StyleGANEX
from tests.golden.make_model_goldens import fill, normal


@torch.inference_mode()
def measure(model: str, width: int, height: int, memory: int | None, threads: int, check: bool) -> dict[str, object]:
    """One picture of width × height, drawn once."""
    settle_allocator()
    torch.set_num_threads(threads)
    with torch.inference_mode(False):
        net = fill(StyleGANEX(SIZES[model])).requires_grad_(False)
    scale = net.config.output_scale
    if width % (8 * scale) or height % (8 * scale):
        raise SystemExit(f"--size: give multiples of {8 * scale} for this network")
    x1 = torch.tanh(normal("x1", (1, 3, 20, 30)))
    x1 = torch.nn.functional.interpolate(x1, (height // scale, width // scale), mode="bicubic").clamp_(-1, 1)
    device = torch.device("cpu")
    row: dict[str, object] = {"output": f"{width}x{height}", "model": model, "threads": threads, "memory": memory}
    row["weights_gib"] = round(held_memory(device) / 2**30, 2)
    budget = Budget(net, memory)
    wplus = net.encode_style(torch.tanh(normal("x2", (1, 3, 256, 256))))
    started, used = time.perf_counter(), time.process_time()
    latent = Latent(wplus, *budget.encode_content(x1))
    row["encoder_s"] = round(time.perf_counter() - started, 1)
    row["encoder_peak_gib"] = round(peak_memory() / 2**30, 2)
    started = time.perf_counter()
    image = budget.synthesize(latent)
    row["generator_s"] = round(time.perf_counter() - started, 1)
    row["cpu_s"] = round(time.process_time() - used, 1)
    row["peak_gib"] = round(peak_memory() / 2**30, 2)
    row["plan"] = next(f"tile of {plan.tile} cells" if plan.tile else "whole" for plan in budget._plans.values())
    row["encoder_plan"] = next(
        f"tile of {each[0]} cells" if each[0] else "whole" for each in budget._encoder_sides.values()
    )
    row["mean"], row["std"] = float(image.mean()), float(image.std())
    if check:
        row["max_error"] = float((image - net.synthesize(latent)).abs().max())
        row["whole_peak_gib"] = round(peak_memory() / 2**30, 2)
    return row


def main() -> None:
    """Print one row, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="7680x4320", help="of the output")
    parser.add_argument("--memory", default=None, help="what the process may hold; default: a share of what is free")
    parser.add_argument("--model", choices=sorted(SIZES), default="full")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="compare with the whole, where it fits")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    width, _, height = arguments.size.partition("x")
    memory = None if arguments.memory is None else int(TypeAdapter(ByteSize).validate_python(arguments.memory))
    row = measure(arguments.model, int(width), int(height), memory, arguments.threads, arguments.check)
    if arguments.json:
        print(json.dumps(row, indent=2))
        return
    for key, value in row.items():
        print(f"{key:<18} {value}")


if __name__ == "__main__":
    main()
