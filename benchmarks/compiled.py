"""Whether torch.compile beats the default formulation on this machine: pairs in one run, and what compiling costs.

    python -m benchmarks.compiled [--model full] [--size 256x256] [--device cpu] [--precision fp32] [--repeat 5]

A ratio above 1 is in favour of --compile. A second call of this script shows what the kept kernels save.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from models.allocator import settle_allocator
from models.compiled import CompiledNet
from models.latent import Latent
from models.styleganex import StyleGANEX
from pipeline.benchmark.measure import in_pairs
from pipeline.benchmark.network import inputs, load
from pipeline.benchmark.rows import Setup


@torch.inference_mode()
def main() -> None:
    """Print three lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    setup = Setup(model=asked.model, width=width, height=height, device=asked.device, threads=asked.threads)
    settle_allocator()
    torch.set_num_threads(asked.threads)
    net = load(setup)
    net.set_precision(asked.precision)
    compiled = CompiledNet(net)
    x1, aligned = inputs(setup)
    wplus = net.encode_style(aligned)

    def frame(drawn: StyleGANEX) -> Tensor:
        return drawn.synthesize(Latent(wplus, *drawn.encode_content(x1)))

    started = time.perf_counter()
    got = frame(compiled)
    print(f"first frame, compiling: {time.perf_counter() - started:.1f} s")
    print(f"largest difference: {float((got - frame(net)).abs().max()):.1e}")
    pairs = in_pairs(lambda: frame(net), lambda: frame(compiled), asked.repeat, torch.device(asked.device))
    default_s, compiled_s = statistics.median(pairs.reference_s), statistics.median(pairs.ours_s)
    print(f"default {default_s * 1e3:.1f} ms, compiled {compiled_s * 1e3:.1f} ms, ratio {pairs.ratio:.2f}")


if __name__ == "__main__":
    main()
