"""Small networks of every kind as weight files, pictures to give them, and plain ways to run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import save_checkpoint
from models.config import SIZES
from models.styleganex import StyleGANEX
from pipeline.resources import Loader
from run_pipeline import run
from stages.pixels import ColorTags
from tests.golden.make_model_goldens import fill, normal
from tests.helpers import decode_all, write_clip

Picture = NDArray[np.uint8]

KINDS: dict[str, dict[str, Any]] = {
    "toonify": {},
    "edit": {"attention": 1},
    "plain_edit": {},
    "super_resolution": {"num_skips": 2, "skip_to_rgb": True},
    "sketch_to_face": {"input_channels": 1, "num_skips": 1},
    "mask_to_face": {"input_channels": 19, "num_skips": 2},
    "inversion": {"num_skips": 0},
    "psp": {"has_feature": False, "num_skips": 0},
    "sample": {"has_encoder": False, "has_feature": False, "num_skips": 0},
}
"""What sets each kind of published file apart (spec §1), at the size for tests."""
_TASK = {"plain_edit": "edit", "psp": "inversion"}


def tiny_net(kind: str) -> StyleGANEX:
    """A network of this kind with deterministic weights; those that edit have the directions age and smile."""
    net = fill(StyleGANEX(replace(SIZES["tiny"], **KINDS[kind])))
    with torch.no_grad():  # so that what the encoder sees shows in the picture, and stays between black and white
        if net.encoder is not None and net.config.has_feature:
            net.encoder.feature_layer.weight.mul_(12)
        for fusion in net.fusion:
            fusion.fusion_out.weight.mul_(1.5)  # pyright: ignore
        for to_rgb in (net.generator.to_rgb1, *net.generator.to_rgbs):
            to_rgb.conv.weight.mul_(0.5)  # pyright: ignore
            to_rgb.bias.zero_()  # pyright: ignore
    net.metadata = {"task": _TASK.get(kind, kind)}
    if "edit" in kind:
        net.editing_w = 0.5 * normal("editing_w", (2, net.config.num_styles, net.config.style_dim))
        net.metadata["directions"] = "age,smile"
    return net


def tiny_model(folder: Path, kind: str) -> Path:
    """`tiny_net` as a file, FOLDER/tiny_KIND.safetensors."""
    path = folder / f"tiny_{kind}.safetensors"
    save_checkpoint(tiny_net(kind), path)
    return path


def write_png(path: Path, picture: NDArray[Any]) -> Path:
    """RGB [H, W, 3] or grey [H, W] uint8."""
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
    return path


def read_png(path: Path) -> Picture:
    """[H, W, 3] RGB."""
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def lossless_clip(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> Path:
    """R'G'B', every value as it is."""
    return write_clip(path, pictures, codec="ffv1", pix_fmt="gbrp16le", color=ColorTags(0, 2, 1, 1))


@cache
def shared_loader() -> Loader:
    """Of every `rendered`: what the last one loaded is there for the next."""
    return Loader()


def rendered(source: Path, output: Path, *words: object) -> list[Picture]:
    """Render through the command line without loss, and read the result: one picture, or every frame."""
    argv = [str(source), "-o", str(output), "--quiet", "--set", "report.preview_frames=0", *map(str, words)]
    if output.suffix == ".mkv":
        argv += ["--codec", "ffv1", "--pix-fmt", "gbrp16le"]
    with mock.patch("pipeline.resources.Loader", shared_loader):
        assert run(argv) == 0, argv
    return [read_png(output)] if output.suffix == ".png" else [np.asarray(f) for f in decode_all(output)]


def drawing(size: int = 128, shift: int = 0) -> Picture:
    """A face in a few dark lines on white, grey [size, size]."""
    paper = np.full((size, size), 255, np.uint8)
    middle, unit = (size // 2 + shift, size // 2), size // 8
    cv2.ellipse(paper, middle, (3 * unit, 4 * unit - 2), 0, 0, 360, 0, 2)
    for side in (-1, 1):
        cv2.ellipse(paper, (middle[0] + side * unit, middle[1] - unit), (unit // 2, unit // 3), 0, 0, 360, 0, 2)
    cv2.ellipse(paper, (middle[0], middle[1] + unit), (unit, unit // 2), 0, 20, 160, 0, 2)
    return paper


def labels(size: int = 128, shift: int = 0) -> Picture:
    """The same face as a label map [size, size]: background, skin, hair, eyes, nose, mouth, and a hole of 255."""
    chart = np.zeros((size, size), np.uint8)
    middle, unit = (size // 2 + shift, size // 2), size // 8
    cv2.ellipse(chart, middle, (3 * unit + 4, 4 * unit - 2), 0, 0, 360, 17, -1)
    cv2.ellipse(chart, (middle[0], middle[1] + unit // 2), (2 * unit, 3 * unit), 0, 0, 360, 1, -1)
    for side, label in ((-1, 5), (1, 4)):
        cv2.ellipse(
            chart, (middle[0] + side * unit, middle[1] - unit // 2), (unit // 2, unit // 3), 0, 0, 360, label, -1
        )
    cv2.ellipse(chart, (middle[0], middle[1] + unit // 2), (unit // 3, unit // 2), 0, 0, 360, 10, -1)
    cv2.ellipse(chart, (middle[0], middle[1] + 2 * unit), (unit, unit // 3), 0, 0, 360, 12, -1)
    chart[:4, :4] = 255
    return chart
