"""From the averaged weights of a run to the file that ships: half precision, and an average latent that is one.

`python -m models.training.export output/train_lite/weights.safetensors models/weights/lite_toon.safetensors`
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import load_checkpoint, save_checkpoint
from models.styleganex import StyleGANEX
from models.training.batches import as_tensor
from models.training.data import load_portraits, make_example


def portrait_crops(count: int, seed: int = 2) -> Tensor:
    """[count, 3, 256, 256]: aligned crops of the training portraits in random colours."""
    portraits, rng = load_portraits(), np.random.default_rng(seed)
    return as_tensor([make_example(rng, portraits[i % len(portraits)], 64)[2] for i in range(count)])


@torch.no_grad()
def centre_latents(net: StyleGANEX, aligned: Tensor) -> None:
    """Move the mean w+ of `aligned` from the style heads' biases into `latent_avg`; the network computes the same."""
    if net.encoder is None or net.latent_avg is None:
        raise ValueError("centre_latents: a network with an encoder and latent_avg is needed")
    mean = net.encode_style(aligned).mean(dim=0)
    for row, head in enumerate(net.encoder.styles):
        head.get_submodule("linear").get_parameter("bias").sub_(mean[row] - net.latent_avg[row])
    net.latent_avg.copy_(mean)


def halve(net: StyleGANEX) -> None:
    """Round weights and noise maps to float16, batch norms excepted: half the file, read back as float32."""
    for module in net.modules():
        if not isinstance(module, nn.BatchNorm2d):
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(parameter.detach().half()))
    for noise in net.generator.noises.buffers():
        noise.data = noise.data.half()


def export(source: Path, target: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write `target` from the weights.safetensors of a finished run."""
    net = load_checkpoint(source)
    centre_latents(net, portrait_crops(32))
    halve(net)
    save_checkpoint(net, target, {**net.metadata, "licence": "Apache-2.0", **(metadata or {})})


def main() -> None:
    parser = argparse.ArgumentParser(description="Pack trained weights for shipping.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    export(arguments.source, arguments.target, {"model": "lite_toon", "card": "docs/model_card.md"})


if __name__ == "__main__":
    main()
