"""Find editing directions in a generator, and draw what each of them does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from tqdm import tqdm

from models.directions import Directions, closed_form_directions, principal_directions, save_directions
from models.latent import Latent
from models.sampling import Sampler, check_mapping
from models.styleganex import Noise, StyleGANEX
from models.zoo import LoadedModel
from pipeline.errors import ConfigError
from stages.contact_sheet import Picture, contact_sheet
from stages.output import disk_errors
from stages.pixels import to_uint8
from stages.reference import reference_latent
from stages.track import TrackConfig, load_detector

STRENGTHS = {"sefa": (-5.0, -2.5, 0.0, 2.5, 5.0), "pca": (-3.0, -1.5, 0.0, 1.5, 3.0)}
"""By method: steps of length 1 in w, and standard deviations of w."""
WINDOW_PX = 320
"""Side of what the network sees of an image, at face scale: the head, with the eyes 64 px apart."""
CELL_PX, MAX_CELLS = 192, 4096


class Base(NamedTuple):
    """Something to edit."""

    label: str
    latent: Latent
    """Of batch size 1."""
    noise: Noise


def find(net: StyleGANEX, method: str, count: int, layers: Sequence[int], samples: int, seed: int) -> Directions:
    """`count` directions that move `layers`; samples and seed are for pca alone.

    Raises:
        ModelError: the model does not have so many, or (pca) no mapping network that was trained.
    """
    if method == "sefa":
        return closed_form_directions(net, layers, count)
    check_mapping(net)
    return principal_directions(net, samples, seed, count, layers)


def bases_from_seeds(net: StyleGANEX, seeds: Sequence[int], truncation: float) -> list[Base]:
    """What the generator draws from seeds, with the file's noise maps."""
    sampler = Sampler(net, truncation)
    return [Base(f"seed {seed}", Latent(sampler.wplus(seed)), "stored") for seed in seeds]


def base_from_image(net: StyleGANEX, image: Path) -> Base:
    """The largest face of a picture (or of a clip's first frame), inverted as a render would, in a window around it.

    Raises:
        UserError: no picture, no face in it, or a model that takes no pictures of faces.
    """
    if net.config.input_channels != 3 or not net.config.has_encoder:
        raise ConfigError(
            f"image {image}: this model does not take pictures of faces", "leave --image out, and give --seeds 0"
        )
    latent = reference_latent(image, net, load_detector(TrackConfig()), WINDOW_PX)
    return Base(image.stem, latent, None)


def check_sheet(pictures: int) -> None:
    """Raise ConfigError where there would be more pictures than anyone could look at."""
    if pictures > MAX_CELLS:
        raise ConfigError(
            f"sheet: {pictures} pictures", f"ask for fewer directions, seeds or strengths: {MAX_CELLS} at most"
        )


def draw(
    net: StyleGANEX, directions: Directions, bases: Sequence[Base], strengths: Sequence[float], progress: bool = False
) -> tuple[list[list[Picture]], list[str]]:
    """One row per direction and base, one column per strength; and the rows' labels.

    Pictures are reduced to `CELL_PX` as they are made. Strength 0 is 0·v, not "no edit": where the skip connections
    attend to edits these differ, and the row is continuous only so (StyleGANEX §4.4).
    """
    count = len(directions.names) * len(bases) * len(strengths)
    rows: list[list[Picture]] = []
    labels: list[str] = []
    device = next(net.parameters()).device
    with tqdm(total=count, unit="picture", disable=not (progress and sys.stderr.isatty()), dynamic_ncols=True) as bar:
        for name, vectors in zip(directions.names, directions.vectors.to(device), strict=True):
            for base in bases:
                row: list[Picture] = []
                for strength in strengths:
                    with torch.inference_mode():
                        image = net.synthesize(base.latent, edit=strength * vectors[None], noise=base.noise)
                    row.append(_cell(image))
                    bar.update()
                rows.append(row)
                labels.append(name if len(bases) == 1 else f"{name}, {base.label}")
    return rows, labels


def save(
    path: Path,
    directions: Directions,
    model: LoadedModel,
    sheet: Path | None,
    pictures: tuple[list[list[Picture]], list[str]],
    strengths: Sequence[float],
    title: str,
) -> None:
    """Write the direction file, and the sheet where one is wanted."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_directions(path, directions, {"model": model.name, "model_sha256": model.sha256})
    if sheet is not None:
        columns = [f"{strength:+g}" if strength else "0" for strength in strengths]
        contact_sheet(sheet, pictures[0], column_labels=columns, row_labels=pictures[1], title=title, cell_px=CELL_PX)


def parse_strengths(text: str | None, method: str) -> tuple[float, ...]:
    """ "-3,0,3" → numbers; None: those of the method.

    Raises:
        ConfigError: not a list of finite numbers.
    """
    if text is None:
        return STRENGTHS[method]
    try:
        strengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        strengths = ()
    if not strengths or not np.isfinite(strengths).all():
        raise ConfigError(f"strengths {text!r}: not numbers", "write them as --strengths=-3,0,3")
    return strengths


def _cell(image: torch.Tensor) -> Picture:
    """[1, 3, H, W] → uint8 [h, w, 3] of at most CELL_PX."""
    picture = to_uint8(image[0]).permute(1, 2, 0).cpu().numpy()
    height, width = picture.shape[:2]
    shrink = CELL_PX / max(height, width)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(picture, np.uint8)
