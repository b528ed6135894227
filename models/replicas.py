"""Several devices as one setting: `cuda:0,1`, and the network on each of them."""

from __future__ import annotations

import copy

import torch

from models.errors import ModelError
from models.styleganex import StyleGANEX


def parse_devices(text: str) -> tuple[str, ...]:
    """`cuda:0,1` → cuda:0, cuda:1; `cpu` → cpu; a part without a kind takes the one before it.

    Raises:
        ModelError: a part without a name.
    """
    devices: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if name.isdecimal() and devices:
            name = f"{devices[-1].partition(':')[0]}:{name}"
        if not name or name.isdecimal():
            raise ModelError(f"device: {text}: {name or 'nothing'} between the commas", "write cuda:0,1")
        devices.append(name)
    return tuple(devices)


def replicate(net: StyleGANEX, devices: tuple[str, ...]) -> tuple[StyleGANEX, ...]:
    """The network once per device, itself first where it already is; precision and mode are kept."""
    copies = [copy.deepcopy(net).to(torch.device(device)) for device in devices[1:]]
    return net, *copies
