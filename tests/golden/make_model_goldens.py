"""Makes tests/golden/models.npz: outputs of small networks of every architecture, with deterministic weights.

    python -m tests.golden.make_model_goldens

Run it only when a change of the numbers is meant, and say why in the commit.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.config import SIZES, ModelConfig
from models.latent import Latent
from models.styleganex import StyleGANEX

GOLDENS = Path(__file__).parent / "models.npz"
TINY = SIZES["tiny"]


@dataclass(frozen=True)
class Case:
    """One network and one way to call it."""

    config: ModelConfig
    size: tuple[int, int] = (64, 40)
    aligned: bool = True
    noise: bool = False
    edit: float | None = None
    batch_stats: bool = False
    train: bool = False
    """Train mode: batch statistics, and the running ones move."""
    mix: float | None = None
    """α of a mapped z, times 0.7, in the finer half of the layers (spec §5, sketch and mask)."""
    variants: int = 0
    """One latent drawn with so many w+; 0: the batch of two."""
    gradients: bool = False
    """What inversion step II needs: the gradient of an image loss in w+, f and the noise maps."""


CASES = {
    "tiny": Case(TINY),
    "tiny.noise": Case(TINY, noise=True),
    "tiny.from_x1": Case(TINY, aligned=False),
    "attention.edit": Case(replace(TINY, attention=1), edit=0.5),
    "attention.zero": Case(replace(TINY, attention=1), edit=0.0),
    "to_rgb": Case(replace(TINY, num_skips=2, skip_to_rgb=True)),
    "sketch": Case(replace(TINY, input_channels=1, num_skips=1), aligned=False),
    "mask.batch_stats": Case(replace(TINY, input_channels=19, num_skips=2), aligned=False, batch_stats=True),
    "second_layer": Case(replace(TINY, feature_index=1)),
    "in_w.max_pooling": Case(replace(TINY, learn_in_w=True, max_pooling=True)),
    "in_w": Case(replace(TINY, learn_in_w=True)),
    # The style heads bring 256 × 256 to one place: only a larger x1 shows how they pool.
    "pooling": Case(TINY, aligned=False, size=(264, 296)),
    "pooling.max": Case(replace(TINY, max_pooling=True), aligned=False, size=(264, 296)),
    "attention.strong": Case(replace(TINY, attention=1), edit=-1.5, noise=True, aligned=False),
    "attention.to_rgb": Case(replace(TINY, attention=1, num_skips=3, skip_to_rgb=True), edit=1.25),
    "edit.no_attention": Case(TINY, edit=0.5),
    "to_rgb.noise": Case(replace(TINY, num_skips=4, skip_to_rgb=True), noise=True, aligned=False, size=(40, 24)),
    "to_rgb.one": Case(replace(TINY, num_skips=1, skip_to_rgb=True), variants=3),
    "second_layer.noise": Case(replace(TINY, feature_index=1, num_skips=0), noise=True),
    "sketch.mixed": Case(replace(TINY, input_channels=1, num_skips=1), aligned=False, noise=True, mix=1.0),
    "sketch.train": Case(replace(TINY, input_channels=1, num_skips=1), aligned=False, mix=0.3, train=True),
    "mask.train": Case(replace(TINY, input_channels=19, num_skips=2), aligned=False, train=True),
    "mask.one_block": Case(replace(TINY, input_channels=19, num_skips=2, res_blocks=1), aligned=False),
    "tiny.train": Case(TINY, train=True),
    "own_start": Case(replace(TINY, start_from_latent_avg=False)),
    "gradients": Case(TINY, gradients=True),
    "gradients.attention": Case(replace(TINY, attention=1), edit=0.5, gradients=True),
    "gradients.no_skips": Case(replace(TINY, num_skips=0), gradients=True),
    "psp.direct": Case(
        replace(TINY, has_feature=False, num_skips=0, input_channels=1, direct_input=True), aligned=False
    ),
    "psp": Case(replace(TINY, has_feature=False, num_skips=0)),
    "smallest": Case(replace(TINY, resolution=64, generator_channels=(12, 12, 10, 10, 8), num_skips=4)),
    "largest": Case(
        replace(TINY, resolution=1024, generator_channels=(12, 12, 10, 10, 8, 8, 6, 6, 4), num_skips=7), size=(24, 32)
    ),
}


def normal(name: str, shape: tuple[int, ...]) -> Tensor:
    """N(0, 1) float32 that depends on the name and the shape alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(np.asarray(values))


@torch.no_grad()
def fill(net: StyleGANEX) -> StyleGANEX:
    """Give every tensor a deterministic value of a magnitude that keeps signals near 1."""
    norms = {name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for key, tensor in net.state_dict().items():
        prefix, _, last = key.rpartition(".")
        if last == "num_batches_tracked":
            continue
        noise = normal(key, tuple(tensor.shape))
        if prefix in norms:
            value = 0.1 * (noise.abs() if last == "running_var" else noise) + (last in ("running_var", "weight"))
        elif ".mapping." in key:
            value = noise * (100.0 if last == "weight" else 10.0)
        elif last == "bias" and prefix.endswith(("modulation", "norm.style")):
            value = 1 + 0.1 * noise
        elif last in ("bias", "activation_bias", "noise_weight"):
            value = 0.1 * noise
        elif key == "latent_avg":
            value = 0.3 * noise
        elif "to_rgb" in key and prefix.endswith(".conv"):
            value = 0.15 * noise
        elif key.startswith("generator.") or prefix.endswith(".linear"):
            value = noise
        elif tensor.ndim == 1:
            value = 0.25 + 0.05 * noise
        else:
            value = noise / math.sqrt(tensor[0].numel())
        tensor.copy_(value)
    return net.eval()


def run(case: Case) -> dict[str, Tensor]:
    """{name: output} of one case."""
    with torch.inference_mode(not case.gradients):
        return _run(case)


def _run(case: Case) -> dict[str, Tensor]:
    config = case.config
    net = fill(StyleGANEX(config)).train(case.train).requires_grad_(False)
    x1 = torch.tanh(normal("x1", (1 if case.variants else 2, config.input_channels, *case.size)))
    aligned = torch.tanh(normal("x2", (1, 3, 256, 256))) if case.aligned else None
    latent = net.invert(x1, aligned, batch_stats=case.batch_stats)
    if case.mix is not None:
        style = 0.7 * net.mapping(normal("z.mix", (1, config.style_dim)))
        layers = range(config.num_styles // 2, config.num_styles)
        latent = latent.mix_layers(style[:, None].expand(-1, config.num_styles, -1), layers, case.mix)
    if case.variants:
        latent = latent._replace(
            wplus=latent.wplus + 0.5 * normal("variants", (case.variants, config.num_styles, config.style_dim))
        )
    edit = None
    if case.edit is not None:
        edit = case.edit * normal("edit", (1, config.num_styles, config.style_dim))
    if case.gradients:
        return _gradients(net, latent, edit)
    z = normal("z", (1, config.style_dim))
    outputs = {
        "wplus": latent.wplus,
        "image": net.synthesize(latent, edit=edit, noise="stored" if case.noise else None),
        "sample": net.sample(z, truncation=0.7),
    }
    if case.train:
        outputs["running_mean"] = net.get_buffer("encoder.body.2.res_layer.4.running_mean")
    return outputs if latent.feature is None else outputs | {"feature": latent.feature}


def _gradients(net: StyleGANEX, latent: Latent, edit: Tensor | None) -> dict[str, Tensor]:
    """Of the mean square error against a fixed picture, in every input of the generator: each divided by its size (root
    mean square), with the loss and the logarithms of the sizes apart.
    """
    assert latent.feature is not None
    wplus, feature = latent.wplus.clone().requires_grad_(), latent.feature.clone().requires_grad_()
    maps = [noise.clone().requires_grad_() for noise in net.generator.stored_noise]
    image = net.synthesize(latent._replace(wplus=wplus, feature=feature), edit=edit, noise=maps)
    loss = (image - torch.tanh(normal("target", tuple(image.shape)))).square().mean()
    found = torch.autograd.grad(loss, [wplus, feature, maps[0], maps[3], maps[-1]])
    names = ("grad.wplus", "grad.feature", "grad.noise_0", "grad.noise_3", "grad.noise_last")
    sizes = [value.square().mean().sqrt() for value in found]
    scaled = {name: value / size for name, value, size in zip(names, found, sizes, strict=True)}
    return scaled | {"sizes": torch.stack([loss.detach(), *(size.log() for size in sizes)])}


def sampled(values: Tensor, count: int = 256) -> np.ndarray:
    """Values at fixed places, with the mean and the standard deviation of all in front."""
    flat = values.flatten().double()
    places = torch.arange(min(count, flat.numel())) * 1000003 % flat.numel()
    return torch.cat([flat.mean()[None], flat.std()[None], flat[places]]).float().numpy()


def main() -> None:
    """Write all cases."""
    arrays: dict[str, np.ndarray] = {}
    for name, case in CASES.items():
        arrays |= {f"{name}/{key}": sampled(value) for key, value in run(case).items()}
    np.savez_compressed(GOLDENS, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
