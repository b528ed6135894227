"""RefineStyle (PRCV 2024, arXiv 2410.06104): a low-rank residual ΔW = PᵀQ on the kernels of the modulated convolutions.

P and Q are two small sets of tokens; how many there are is the rank. The idea is the paper's, everything else ours:
tokens of a domain are optimised alone (models/training/refine.py) and live in a safetensors file of a few hundred KB
that goes on top of any checkpoint of the same shape. A residual is added to the weights, so that a refined network is
an ordinary one and costs nothing at run time. Tokens of one picture, for better inversion, are such a file too:
models/refine_encoder.py finds them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.errors import CheckpointError
from models.layers import ModulatedConv
from models.safetensors_file import sort_metadata
from models.styleganex import StyleGANEX

Weights = Mapping[str, Tensor]
"""Name of a modulated convolution within the generator → its whole kernel [out, in, k, k]."""
KIND, ENCODER_KIND = "refine", "refine_encoder"
"""Metadata `kind` of a file of tokens, and of an encoder of tokens (models/refine_encoder.py)."""


class Tokens(NamedTuple):
    """The tokens of one modulated convolution."""

    p: Tensor
    """[rank, out]."""
    q: Tensor
    """[rank, in·k·k]."""

    def residual(self, shape: torch.Size) -> Tensor:
        """ΔW = PᵀQ, as [out, in, k, k]."""
        return (self.p.T @ self.q).view(shape)


class Refinement(nn.Module):
    """Tokens for every modulated convolution of a generator, ToRGB layers included.

    At the start P is zero: a network with fresh tokens is bit for bit the one without.

    Args:
        net: whose shapes they get.
        rank: tokens per set; 0: none at all.
    """

    def __init__(self, net: StyleGANEX, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.names = tuple(modulated(net))
        shapes = [conv.weight.shape for conv in modulated(net).values()]
        self.p = nn.ParameterList(torch.zeros(rank, shape[0]) for shape in shapes)
        self.q = nn.ParameterList(torch.randn(rank, shape[1:].numel()) for shape in shapes)

    def tokens(self) -> dict[str, Tokens]:
        """By the name of the convolution."""
        return {name: Tokens(p, q) for name, p, q in zip(self.names, self.p, self.q, strict=True)}

    def weights(self, net: StyleGANEX) -> dict[str, Tensor]:
        """W + ΔW of every layer; gradients reach the tokens."""
        return add_residuals(net, self.tokens())


def modulated(net: StyleGANEX) -> dict[str, ModulatedConv]:
    """Name within the generator → modulated convolution, in the order of the layers."""
    return {name: module for name, module in net.generator.named_modules() if isinstance(module, ModulatedConv)}


def add_residuals(net: StyleGANEX, tokens: Mapping[str, Tokens]) -> dict[str, Tensor]:
    """W + ΔW of the layers that `tokens` names."""
    layers = modulated(net)
    return {name: layers[name].weight + pair.residual(layers[name].weight.shape) for name, pair in tokens.items()}


@contextmanager
def refined(net: StyleGANEX, weights: Weights) -> Iterator[StyleGANEX]:
    """Within: the network computes with these kernels, which may carry gradients. Not thread-safe."""
    layers = modulated(net)
    held = {name: layers[name].weight for name in weights}
    try:
        for name, weight in weights.items():
            # Into the table itself, as torch.func.functional_call does it: whoever watches parameters sees the change.
            layers[name]._parameters["weight"] = weight  # pyright: ignore[reportArgumentType]
        yield net
    finally:
        for name, weight in held.items():
            layers[name]._parameters["weight"] = weight


@torch.no_grad()
def bake(net: StyleGANEX, weights: Weights) -> StyleGANEX:
    """Write kernels into the network, in place; returns it."""
    layers = modulated(net)
    for name, weight in weights.items():
        layers[name].weight.copy_(weight)
    return net


def save_refine(tokens: Mapping[str, Tokens], path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tokens by layer as safetensors in half precision. The file appears under its name only when it is complete.

    Raises:
        CheckpointError: it cannot be written.
    """
    state: dict[str, Tensor] = {}
    for name, (p, q) in tokens.items():
        # Each pair is balanced, so that neither side leaves the range of float16; ΔW stays the same.
        scale = (q.detach().abs().amax(1) / p.detach().abs().amax(1).clamp_min(1e-8)).clamp(1e-6, 1e6).sqrt()[:, None]
        state[f"{name}.p"], state[f"{name}.q"] = ((p.detach() * scale), (q.detach() / scale))
    state = {key: value.cpu().half().contiguous() for key, value in state.items()}
    write_safetensors(Path(path), state, dict(metadata or {}) | {"kind": KIND})


def write_safetensors(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """The same tensors and metadata give the same bytes. The file appears under its name only when it is complete.

    Raises:
        CheckpointError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.touch()
        mode = part.stat().st_mode
        save_file(dict(state), part, metadata=dict(metadata))
        part.chmod(mode)  # the library makes files that only their owner can read
        sort_metadata(part)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be written ({error})", "choose a folder that can be written") from error
    finally:
        part.unlink(missing_ok=True)


def read_refine(path: str | Path) -> tuple[dict[str, Tokens], dict[str, str]]:
    """(tokens by layer in float32, metadata) of a file that `save_refine` wrote.

    Raises:
        CheckpointError: missing, damaged, or another kind of file.
    """
    remedy = "give a file that `train` (recipe refine) or the command `refine` wrote"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a readable refinement ({error})", remedy) from error
    if metadata.get("kind") == ENCODER_KIND:
        raise CheckpointError(
            f"{path}: an encoder of tokens, which finds them for one face; it is not tokens itself",
            f"make them: `run_pipeline.py refine FACE.png --encoder {path} --model NAME -o tokens.safetensors`",
        )
    if metadata.get("kind") != KIND:
        raise CheckpointError(f"{path}: a safetensors file, but no refinement", remedy)
    names = sorted({key.rpartition(".")[0] for key in state})
    if set(state) != {f"{name}.{side}" for name in names for side in "pq"}:
        raise CheckpointError(f"{path}: tokens without their other half", remedy)
    return {name: Tokens(state[f"{name}.p"], state[f"{name}.q"]) for name in names}, metadata


def load_refine(net: StyleGANEX, path: str | Path, strength: float = 1.0) -> StyleGANEX:
    """Add a file's residual, times `strength`, to the network's kernels, in place; returns the network.

    Raises:
        CheckpointError: missing, damaged or foreign file, or tokens that are not of this network's shapes.
    """
    tokens, _ = read_refine(path)
    layers = modulated(net)
    for name, (p, q) in tokens.items():
        if name not in layers:
            raise CheckpointError(f"{path}: tokens for {name}, which this network has not", _OTHER)
        weight = layers[name].weight
        if p.ndim != 2 or q.ndim != 2 or p.shape[0] != q.shape[0] or (p.shape[1], q.shape[1]) != _sides(weight):
            found = f"{list(p.shape)} and {list(q.shape)} for a kernel {list(weight.shape)}"
            raise CheckpointError(f"{path}: tokens of {name}: {found}", _OTHER)
    if missing := sorted(set(layers) - set(tokens)):
        raise CheckpointError(f"{path}: no tokens for {missing[0]}", _OTHER)
    scaled = {name: Tokens(strength * p, q) for name, (p, q) in tokens.items()}
    on_device = {name: Tokens(*(t.to(layers[name].weight.device) for t in pair)) for name, pair in scaled.items()}
    bake(net, add_residuals(net, on_device))
    net.metadata["refine"] = Path(path).name
    return net


_OTHER = "use the checkpoint size that the refinement was trained on"


def _sides(weight: Tensor) -> tuple[int, int]:
    return weight.shape[0], weight.shape[1:].numel()
