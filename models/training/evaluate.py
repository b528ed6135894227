"""How close a trained model comes to what it learned, on pictures that training never saw.

    python -m models.training.evaluate models/weights/lite_toon.safetensors
    python -m models.training.evaluate models/weights/lite_ink.safetensors --samples heads --target ink

print the numbers of the model cards.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from models.checkpoint import load_checkpoint
from models.styleganex import StyleGANEX
from models.training.batches import Batch, as_tensor
from models.training.data import HELD_OUT, load_photographs, make_example
from models.training.encoder import render
from models.training.losses import psnr, ssim
from models.training.pairs import PairSettings, PairSource
from models.training.samples import open_samples


class Score(NamedTuple):
    """Agreement with the cartoon, mean over the examples."""

    psnr: float
    """dB."""
    ssim: float
    """Wang et al. 2004, at most 1."""


def held_out_batch(count: int, size: int, seed: int = 1) -> Batch:
    """`count` augmented views, `size` px wide, of the photographs in `HELD_OUT`."""
    photographs = load_photographs(HELD_OUT)
    rng = np.random.default_rng(seed)
    rows = [make_example(rng, photographs[i % len(photographs)], size) for i in range(count)]
    return Batch(*(as_tensor(column) for column in zip(*rows, strict=True)))


@torch.inference_mode()
def compare(net: StyleGANEX, batch: Batch) -> dict[str, Score]:
    """Scores against batch.y: of the network; where the source is a picture, of it and of its bilateral filter too."""
    candidates = {"network": render(net, batch).image}
    if batch.x.shape[1] == 3:
        smooth = [cv2.bilateralFilter(picture, -1, 25.0, 3.0) for picture in _to_pictures(batch.x)]
        candidates |= {"source": batch.x, "bilateral filter": as_tensor(smooth)}
    return {name: _score(list(value), list(batch.y)) for name, value in candidates.items()}


def _score(outputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> Score:
    pairs = [(a[None].clamp(-1, 1), b[None]) for a, b in zip(outputs, targets, strict=True)]
    return Score(
        psnr=float(np.mean([psnr(a, b) for a, b in pairs])),
        ssim=float(np.mean([ssim(a, b).item() for a, b in pairs])),
    )


def _to_pictures(x: torch.Tensor) -> list[np.ndarray]:
    return list(((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())


def sample_batch(net: StyleGANEX, folder: str, settings: PairSettings) -> Batch:
    """Held-out samples of a folder at face scale, upright, as `PairSource.preview` gives them."""
    source = PairSource(open_samples(folder), settings, net.config, seed=0)
    try:
        return source.preview()
    finally:
        source.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a trained model with the pictures it learned.")
    parser.add_argument("weights")
    parser.add_argument("--count", type=int, default=16, help="photographs")
    parser.add_argument("--samples", help="folder of samples instead of photographs; its last ones are held out")
    parser.add_argument("--input", default="image", choices=["image", "sketch", "parsing"])
    parser.add_argument("--target", default="image")
    parser.add_argument("--degrade", type=float, help="factor of reduction, for super-resolution")
    arguments = parser.parse_args()
    net = load_checkpoint(arguments.weights)
    if arguments.samples is None:
        batch = held_out_batch(arguments.count, 256)
    else:
        degrade = None if arguments.degrade is None else (arguments.degrade, arguments.degrade)
        settings = PairSettings(input=arguments.input, target=arguments.target, degrade=degrade, held_out=6)
        batch = sample_batch(net, arguments.samples, settings)
    for name, score in compare(net, batch).items():
        print(f"{name:18} PSNR {score.psnr:6.2f} dB   SSIM {score.ssim:.4f}")


if __name__ == "__main__":
    main()
