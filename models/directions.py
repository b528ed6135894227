"""Editing directions found in a generator without labels.

Closed form: Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa), CVPR 2021, arXiv 2007.06600.
Principal components of w: Härkönen et al., "GANSpace", NeurIPS 2020, arXiv 2004.02546.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from models.errors import CheckpointError, ModelError
from models.generator import Generator
from models.layers import ModulatedConv
from models.styleganex import StyleGANEX

_CHUNK = 1024
"""z mapped at once for the principal components. It bounds the memory and belongs to what a seed means."""


class Directions(NamedTuple):
    """Editing directions of one model, strongest first."""

    vectors: Tensor
    """[N, L, style_dim] float32 on the CPU, to be added to w+ times a strength; zero outside `layers`.

    Strength 1 is a step of length 1 in w (closed form), or of one standard deviation of w (principal components).
    """
    values: Tensor
    """[N] float64, falling: eigenvalues of AᵀA (closed form), standard deviations of w (principal components)."""
    names: tuple[str, ...]
    layers: tuple[int, ...]
    """The style inputs that they move."""
    method: str
    """sefa or pca."""


def closed_form_directions(net: StyleGANEX, layers: Iterable[int] | None = None, count: int = 10) -> Directions:
    """The unit steps in w that change the modulation of `layers` most: first eigenvectors of AᵀA (SeFa §3.2).

    A stacks the affine weights of every layer that reads w there (ToRGB too), each row brought to length 1. No samples
    and no trained mapping are needed. Computed in float64; the largest component of each vector is positive.

    Args:
        layers: style inputs, 0 … L − 1; None: all.
        count: 1 to style_dim.

    Raises:
        ModelError: layers or a count that the model does not have.
    """
    chosen = _chosen(net, layers)
    _check_count(count, net.config.style_dim, f"this model's w has {net.config.style_dim} dimensions")
    readers = _readers(net.generator)
    weights = [conv.modulation.weight.detach().cpu().double() for i in chosen for conv in readers[i]]
    rows = torch.cat(weights)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
    values, vectors = _leading(rows.T @ rows, count)
    return Directions(_at_layers(vectors, chosen, net), values, _names("sefa", count), chosen, "sefa")


def principal_directions(
    net: StyleGANEX, samples: int = 10_000, seed: int = 0, count: int = 10, layers: Iterable[int] | None = None
) -> Directions:
    """The principal components of w = mapping(z), z ~ N(0, 1), times their standard deviations (GANSpace §3.1).

    Mean and covariance are summed in float64 over chunks, so memory does not grow with `samples`. The largest component
    of each vector is positive.

    Args:
        samples: z drawn; more than `count`.
        seed: of NumPy's legacy generator, whose numbers never change between versions.
        count: 1 to style_dim.
        layers: style inputs that the directions move; None: all.

    Raises:
        ModelError: layers, a count or a number of samples that cannot be.
    """
    chosen, dim = _chosen(net, layers), net.config.style_dim
    _check_count(count, dim, f"this model's w has {dim} dimensions")
    if samples <= count:
        raise ModelError(f"directions: {samples} samples for {count} components", "draw many more, e.g. 10000")
    device = next(net.parameters()).device
    random = np.random.RandomState(seed)
    shift: Tensor | None = None  # near the mean, so that nothing cancels
    total, products = torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dim, dtype=torch.float64)
    for start in range(0, samples, _CHUNK):
        z = torch.from_numpy(random.randn(min(_CHUNK, samples - start), dim)).float().to(device)
        with torch.inference_mode():
            w = net.mapping(z).cpu().double()
        shift = w.mean(dim=0) if shift is None else shift
        total += (w - shift).sum(dim=0)
        products += (w - shift).T @ (w - shift)
    covariance = (products - torch.outer(total, total) / samples) / (samples - 1)
    variances, vectors = _leading(covariance, count)
    deviations = variances.clamp_min(0).sqrt()
    return Directions(
        _at_layers(vectors * deviations[:, None], chosen, net), deviations, _names("pca", count), chosen, "pca"
    )


def save_directions(path: str | Path, directions: Directions, metadata: Mapping[str, str] | None = None) -> None:
    """Write a .safetensors file: `directions` [N, L, style_dim] and `values` [N]; names, layers and method as metadata.

    Args:
        metadata: more of it, e.g. model and model_sha256. The same directions and metadata give the same bytes, and
            the file appears under its name only when it is complete.

    Raises:
        CheckpointError: it cannot be written there.
    """
    path = Path(path)
    text = dict(metadata or {}) | {
        "names": json.dumps(directions.names),
        "layers": json.dumps(directions.layers),
        "method": directions.method,
    }
    state = {"directions": directions.vectors.contiguous(), "values": directions.values.contiguous()}
    data = _in_order(save(state, text))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror or error})", "choose a folder that can be written"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _in_order(data: bytes) -> bytes:
    """The same safetensors file with its header sorted: the library writes metadata in a random order."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _readers(generator: Generator) -> list[list[ModulatedConv]]:
    """For each style input, the convolutions that it modulates (spec §2: conv1 w_0, to_rgb1 w_1, block k from 2k+1)."""
    readers = [[generator.conv1.conv], [generator.to_rgb1.conv]]
    readers += [[] for _ in generator.convs]
    for i, styled in enumerate(generator.convs):
        readers[i + 1].append(styled.conv)  # pyright: ignore[reportArgumentType]
    for k, to_rgb in enumerate(generator.to_rgbs):
        readers[2 * k + 3].append(to_rgb.conv)  # pyright: ignore[reportArgumentType]
    return readers


def _chosen(net: StyleGANEX, layers: Iterable[int] | None) -> tuple[int, ...]:
    count = net.config.num_styles
    chosen = tuple(range(count)) if layers is None else tuple(sorted(set(layers)))
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < count:
        raise ModelError(f"directions: layers {list(chosen)} for this model", f"choose from 0 to {count - 1}")
    return chosen


def _check_count(count: int, most: int, reason: str) -> None:
    if not 1 <= count <= most:
        raise ModelError(f"directions: {count} asked for, {reason}", f"ask for 1 to {most}")


def _leading(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues [N], falling, and their unit eigenvectors as rows [N, D] of a symmetric matrix."""
    values, columns = torch.linalg.eigh(matrix)
    vectors = columns.T.flip(0)[:count]
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return values.flip(0)[:count], vectors * largest.sign()


def _at_layers(vectors: Tensor, layers: tuple[int, ...], net: StyleGANEX) -> Tensor:
    placed = torch.zeros(len(vectors), net.config.num_styles, net.config.style_dim)
    placed[:, list(layers)] = vectors.float()[:, None]
    return placed


def _names(method: str, count: int) -> tuple[str, ...]:
    return tuple(f"{method}{i}" for i in range(count))
