"""How close a trained model comes to what it learned, on pictures that training never saw.

    python -m models.training.evaluate models/weights/lite_toon.safetensors
    python -m models.training.evaluate models/weights/lite_toon3d.safetensors --samples heads --target toon3d

print agreement with the target alone;

    python -m models.training.evaluate models/weights/lite_inversion.safetensors --samples heads \\
        --encoder output/train_lite_refine_inversion/refine_encoder.safetensors

the same, and that of the network under each face's own tokens (RefineStyle): what they gain;

    python -m models.training.evaluate models/weights/lite_edit.safetensors --samples heads --report edit.json --record

measures all that the card states (models/training/measure), writes it as JSON, prints it as Markdown, and puts the
figures into the file's record (models/training/record.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import yaml

from models.checkpoint import load_checkpoint
from models.errors import UserError
from models.refine_encoder import RefineEncoder, load_refine_encoder
from models.styleganex import StyleGANEX
from models.training.batches import Batch, as_tensor
from models.training.data import HELD_OUT, load_photographs, make_example
from models.training.encoder import render
from models.training.losses import psnr, ssim
from models.training.measure.report import Material, measure
from models.training.pairs import PairSettings, PairSource
from models.training.proportions import Proportions
from models.training.record import RECORDS, put_measured
from models.training.refine import render_with_tokens
from models.training.samples import open_samples

HEADS_HELD_OUT = 40
"""As in the recipes."""


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


@torch.no_grad()
def compare(net: StyleGANEX, batch: Batch, encoder: RefineEncoder | None = None) -> dict[str, Score]:
    """Scores against batch.y: of the network; where the source is a picture, of it and of its bilateral filter too.

    Args:
        encoder: also of the network under the tokens that this one finds for each scene.
    """
    candidates = {"network": render(net, batch).image}
    if encoder is not None:
        candidates["with tokens"] = render_with_tokens(net, encoder, batch).image
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


class Asked(NamedTuple):
    """What a recipe asks for, as far as its model is measured by it."""

    units: dict[str, float]
    """What strength 1 of each edit means."""
    proportions: Proportions | None = None
    """How much of the toon's; None: all."""
    backdrop: bool = False
    """The background is a wall of its median colour."""


def recipe_data(recipe: Path) -> Asked:
    """Section `data` of a recipe.

    Raises:
        UserError: no such recipe.
    """
    try:
        data = yaml.safe_load(recipe.read_text(encoding="utf-8"))["data"]
        units = {name: float(settings.get("unit", 1.0)) for name, settings in data.get("edits", {}).items()}
        asked = data.get("proportions")
        proportions = None if asked is None else Proportions.model_validate(asked)
        return Asked(units, proportions, bool(data.get("backdrop", False)))
    except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{recipe}: cannot be read ({error!r})", "give the recipe of the model") from error


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare a trained model with the pictures it learned.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--count", type=int, default=16, help="photographs")
    parser.add_argument("--samples", help="folder of samples instead of photographs; its last ones are held out")
    parser.add_argument("--input", default="image", choices=["image", "sketch", "parsing"])
    parser.add_argument("--target", default="image")
    parser.add_argument("--factor", type=float, help="super-resolution: degrade the input, 4 to 48 as the task does")
    parser.add_argument("--encoder", type=Path, metavar="FILE", help="of tokens (RefineStyle): what do they gain?")
    full = parser.add_argument_group("everything that a card states")
    full.add_argument("--report", type=Path, metavar="JSON", help="measure all and write it here")
    full.add_argument("--held-out", type=int, default=HEADS_HELD_OUT, help="the last so many samples are measured on")
    full.add_argument("--test", type=Path, metavar="DIR", help="… or all of this set, which no training saw")
    full.add_argument("--clip", type=Path, action="append", metavar="NPZ", help="default: those in clips/ of the sets")
    full.add_argument("--recipe", type=Path, help="default: configs/train_NAME.yaml, where there is one")
    full.add_argument(
        "--record", type=Path, nargs="?", const=RECORDS, metavar="RECORDS", help="put the figures into this file"
    )
    asked = parser.parse_args(arguments)
    if asked.report is not None and asked.samples is None:
        parser.error("--report needs --samples")
    if asked.report is not None and asked.encoder is not None:
        parser.error("--encoder is compared alone: leave --report out")
    return asked


def _report(asked: argparse.Namespace) -> None:
    sets = [Path(asked.samples), *([asked.test] if asked.test is not None else [])]
    clips = asked.clip or sorted(path for folder in sets for path in (folder / "clips").glob("*.npz"))
    recipe = asked.recipe or Path("configs") / f"train_{asked.weights.stem}.yaml"
    wanted = recipe_data(recipe) if asked.recipe or recipe.exists() else Asked({})
    material = Material(sets[0], asked.held_out, asked.test, tuple(clips), *wanted)
    report = measure(asked.weights, material)
    report.write(asked.report)
    print(report.markdown())
    if asked.record is not None:
        put_measured(asked.record, report.to_dict())


def _compare(asked: argparse.Namespace) -> None:
    net = load_checkpoint(asked.weights)
    if asked.samples is None:
        batch = held_out_batch(asked.count, 256)
    else:
        degrade = None if asked.factor is None else (asked.factor, asked.factor)
        settings = PairSettings(input=asked.input, target=asked.target, degrade=degrade, held_out=6)
        batch = sample_batch(net, asked.samples, settings)
    encoder = None if asked.encoder is None else load_refine_encoder(net, asked.encoder)
    for name, score in compare(net, batch, encoder).items():
        print(f"{name:18} PSNR {score.psnr:6.2f} dB   SSIM {score.ssim:.4f}")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 measured, 2 the user's mistake (two lines say what and what to do)."""
    asked = _parse(arguments)
    try:
        (_compare if asked.report is None else _report)(asked)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
