"""Latents as batches: take one sample out, put samples together, change every tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.encoder import Content
from models.latent import Latent


def map_tensors(latent: Latent, change: Callable[[Tensor], Tensor]) -> Latent:
    """A latent with `change` applied to every tensor in it."""
    feature, rgb = latent.feature, latent.feature_rgb
    return Latent(
        change(latent.wplus),
        None if feature is None else change(feature),
        tuple(change(skip) for skip in latent.skips),
        None if rgb is None else change(rgb),
    )


def row(tensor: Tensor, index: int) -> Tensor:
    """[1, …]: sample `index`, or the only one there is."""
    return tensor if tensor.shape[0] == 1 else tensor[index : index + 1]


def select(latent: Latent, index: int) -> Latent:
    """Sample `index` of a latent, batch size 1; a part of batch size 1 belongs to every sample."""
    return map_tensors(latent, lambda tensor: row(tensor, index))


def cat(tensors: Sequence[Tensor]) -> Tensor:
    """Along the batch; no copy of a single one."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def join(latents: Sequence[Latent]) -> Latent:
    """Latents of the same network and size, one batch. Inverse of `select`."""
    features = [latent.feature for latent in latents if latent.feature is not None]
    rgbs = [latent.feature_rgb for latent in latents if latent.feature_rgb is not None]
    return Latent(
        cat([latent.wplus for latent in latents]),
        cat(features) if features else None,
        tuple(cat(skips) for skips in zip(*(latent.skips for latent in latents), strict=True)),
        cat(rgbs) if rgbs else None,
    )


def join_contents(contents: Sequence[Content]) -> Content:
    """What the encoder gave for several inputs of one size, one batch; no copy of a single one."""
    features = [content.feature for content in contents if content.feature is not None]
    rgbs = [content.feature_rgb for content in contents if content.feature_rgb is not None]
    return Content(
        cat(features) if features else None,
        tuple(cat(skips) for skips in zip(*(content.skips for content in contents), strict=True)),
        cat(rgbs) if rgbs else None,
    )
