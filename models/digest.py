"""Which numbers made a w+, or a picture."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from models.styleganex import StyleGANEX


def encoder_sha256(net: StyleGANEX) -> str:
    """Hexadecimal digest of what `encode_style` depends on: the encoder's tensors and latent_avg, names included.

    Networks that differ in their generator alone (toonified ones with a common encoder) have the same.
    """
    state = {} if net.encoder is None else dict(net.encoder.state_dict())
    if net.latent_avg is not None:
        state["latent_avg"] = net.latent_avg
    return _digest(state)


def network_sha256(net: StyleGANEX) -> str:
    """Hexadecimal digest of what inversion and synthesis depend on: every tensor but the editing directions.

    The same whatever kind of file the weights came from.
    """
    return _digest({name: tensor for name, tensor in net.state_dict().items() if name != "editing_w"})


def _digest(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().to("cpu").contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
