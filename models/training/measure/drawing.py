"""What a network draws of held-out heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from models.config import ALIGNED_SIZE
from models.styleganex import StyleGANEX
from models.training.batches import Batch, as_tensor, mask_tensor, sketch_tensor
from models.training.degrade import degrade_image
from models.training.encoder import render
from models.training.measure.held_out import PX, Head, Picture
from models.training.palette import palette_code
from models.training.views import aligned_view, take

AT_ONCE = 4
"""Pictures in one batch."""


@torch.inference_mode()
def draw(
    net: StyleGANEX, heads: Sequence[Head], direction: int = 0, strength: float = 0.0, factor: float | None = None
) -> list[Picture]:
    """uint8 [256, 256, 3] of each head, drawn from its image, sketch or parsing, whichever the network takes.

    Args:
        direction, strength: an edit by `net.editing_w`.
        factor: of super-resolution, by which the image is degraded first; None: it is not.
    """
    if net.config.input_channels != 3:
        return _from_drawing(net, heads, None)
    inputs, crops = [head.image for head in heads], [head.aligned for head in heads]
    if factor is not None:
        inputs = [degrade_image(picture, factor) for picture in inputs]
        views = [aligned_view(head.face(), 1.0) for head in heads]
        crops = [take(picture, view, ALIGNED_SIZE, "linear") for picture, view in zip(inputs, views, strict=True)]
    return draw_pictures(net, inputs, crops, direction, strength)


@torch.inference_mode()
def draw_pictures(
    net: StyleGANEX, inputs: Sequence[Picture], aligned: Sequence[Picture], direction: int = 0, strength: float = 0.0
) -> list[Picture]:
    """As `draw`, from pictures [h, w, 3] of one size and their style crops [256, 256, 3].

    An edit model draws strength 0 as the task does, as an edit by zeros: its skip connections attend.
    """
    drawn: list[Picture] = []
    for start in range(0, len(inputs), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        batch = Batch(as_tensor(inputs[part]), as_tensor(inputs[part]), as_tensor(aligned[part]))
        if strength or (net.config.attention and net.editing_w is not None):
            count = batch.x.shape[0]
            batch = batch._replace(
                direction=torch.full((count,), direction), strength=torch.full((count,), float(strength))
            )
        drawn += to_pictures(render(net, batch, net.editing_w).image, inputs[0].shape[0])
    return drawn


@torch.inference_mode()
def draw_with_palette(net: StyleGANEX, heads: Sequence[Head]) -> list[Picture]:
    """As `draw`, of a sketch or mask model whose z tells the colours of the true picture, as in training."""
    rng = np.random.default_rng(0)
    codes = [palette_code(head.image, head.arrays["parsing"], net.config.style_dim, rng) for head in heads]
    return _from_drawing(net, heads, codes)


def _from_drawing(net: StyleGANEX, heads: Sequence[Head], codes: Sequence[np.ndarray] | None) -> list[Picture]:
    name, encode = ("sketch", sketch_tensor) if net.config.input_channels == 1 else ("parsing", mask_tensor)
    drawn: list[Picture] = []
    for start in range(0, len(heads), AT_ONCE):
        part = heads[start : start + AT_ONCE]
        code = None if codes is None else torch.from_numpy(np.stack(codes[start : start + AT_ONCE]))
        batch = Batch(encode([head.arrays[name] for head in part]), as_tensor([head.image for head in part]), code=code)
        drawn += to_pictures(render(net, batch).image, PX)
    return drawn


def to_pictures(image: torch.Tensor, side: int) -> list[Picture]:
    """[B, 3, h, w] in [−1, 1] → uint8 pictures of `side` pixels a side."""
    if image.shape[2] != side:
        image = torch.nn.functional.interpolate(image, (side, side), mode="area")
    rounded = ((image.clamp(-1, 1) + 1) * 127.5).round().byte()
    return list(np.ascontiguousarray(rounded.permute(0, 2, 3, 1).numpy()))
