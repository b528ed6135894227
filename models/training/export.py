"""From the averaged weights of a run to the file that ships: half precision, and an average latent that is one.

    python -m models.training.export output/train_lite_edit/weights.safetensors models/weights/lite_edit.safetensors \\
        --recipe configs/train_lite_edit.yaml --set data.folder=output/heads

writes the file, and with --recipe its record beside it (record.py): how it came to be, from the run's own log.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import ALIGNED_SIZE
from models.errors import UserError
from models.styleganex import StyleGANEX
from models.training.batches import as_tensor
from models.training.data import load_portraits, make_example
from models.training.pictures import PictureSettings, PictureSource
from models.training.record import RECORDS, new_record, put_record
from models.training.samples import open_samples


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


def sample_crops(folder: Path, count: int) -> Tensor:
    """[≤ count, 3, 256, 256]: aligned faces of a folder of samples."""
    samples = open_samples(folder, count)
    source = PictureSource(samples, PictureSettings(folder=folder), ALIGNED_SIZE, seed=0)
    return as_tensor([source.picture(index) for index in range(len(samples))])


def export(source: Path, target: Path, heads: Path | None = None, metadata: Mapping[str, str] | None = None) -> None:
    """Write `target` from the weights.safetensors of a finished run.

    Args:
        heads: samples whose mean w+ becomes `latent_avg`, where it is zero still; None: the training portraits.
        metadata: beside what the file has.
    """
    net = load_checkpoint(source)
    begun = net.latent_avg is not None and bool(net.latent_avg.any())  # from a shipped model, whose centre it shares
    if net.encoder is not None and net.config.input_channels == 3 and not begun:
        centre_latents(net, portrait_crops(32) if heads is None else sample_crops(heads, 32))
    halve(net)
    save_checkpoint(net, target, {**net.metadata, "licence": "Apache-2.0", **(metadata or {})})


def processor() -> str:
    """What this machine calls its CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pack trained weights for shipping.")
    parser.add_argument("source", type=Path, help="weights.safetensors in the folder of a finished run")
    parser.add_argument("target", type=Path)
    parser.add_argument("--heads", type=Path, help="samples for the mean w+; default: the training portraits")
    kept = parser.add_argument_group("the record")
    kept.add_argument("--recipe", type=Path, help="YAML that the run was trained with; writes the record")
    kept.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="as it was given to train")
    kept.add_argument("--hardware", help="what it was trained on; default: this CPU")
    kept.add_argument("--records", type=Path, help="default: records.json beside the target")
    return parser.parse_args(arguments)


def _write_record(asked: argparse.Namespace) -> None:
    overrides = {}
    for text in asked.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: no value", "write it as --set SETTING=VALUE")
        overrides[name.strip()] = yaml.safe_load(value)
    heads = "" if asked.heads is None else " --heads output/heads"
    weights = f"output/{asked.recipe.stem}/weights.safetensors"
    record = new_record(
        asked.target,
        asked.source.parent,
        asked.recipe,
        overrides,
        hardware=asked.hardware or processor(),
        torch=torch.__version__,
        export=f"python -m models.training.export {weights} {asked.target}{heads}",
    )
    put_record(asked.records or asked.target.with_name(RECORDS.name), asked.target.stem, record)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 written, 2 the user's mistake (two lines say what and what to do)."""
    asked = _parse(arguments)
    try:
        export(asked.source, asked.target, asked.heads, {"model": asked.target.stem})
        if asked.recipe is not None:
            _write_record(asked)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
