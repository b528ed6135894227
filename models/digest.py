"""Which numbers made a w+."""

from __future__ import annotations

import hashlib

import torch

from models.styleganex import StyleGANEX


def encoder_sha256(net: StyleGANEX) -> str:
    """Hexadecimal digest of what `encode_style` depends on: the encoder's tensors and latent_avg, names included.

    Networks that differ in their generator alone (toonified ones with a common encoder) have the same.
    """
    digest = hashlib.sha256()
    state = {} if net.encoder is None else dict(net.encoder.state_dict())
    if net.latent_avg is not None:
        state["latent_avg"] = net.latent_avg
    for name in sorted(state):
        tensor = state[name].detach().to("cpu").contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
