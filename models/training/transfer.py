"""From one network to another: starting weights, and layers of two generators in one (Pinkney & Adler 2020).

`python -m models.training.transfer COARSE FINE SIZE OUTPUT` takes the layers up to SIZE from COARSE, the rest from
FINE: a toonified generator with its own shapes and the original's texture, or the other way round.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys

import torch
from torch import nn

from models.checkpoint import load_checkpoint, save_checkpoint
from models.errors import ModelError, UserError
from models.fusion import SkipFusion
from models.styleganex import StyleGANEX


def take_fitting(net: StyleGANEX, init: StyleGANEX) -> list[str]:
    """Give `net` every tensor of `init` that it has under the same name in the same shape; returns their names.

    Raises:
        UserError: there is none.
    """
    wanted, found = net.state_dict(), init.state_dict()
    fitting = {key: value for key, value in found.items() if key in wanted and value.shape == wanted[key].shape}
    if not any(key.endswith(".weight") and value.ndim == 4 for key, value in fitting.items()):
        raise UserError("init: no convolution of the file fits the network", "set model to the size that the file has")
    net.load_state_dict(fitting, strict=False)
    return sorted(fitting)


def take_generator(net: StyleGANEX, source: StyleGANEX) -> None:
    """Give `net` the whole generator of `source`, mapping network and noise maps included; w̄ stays.

    Raises:
        UserError: generators of different shapes.
    """
    theirs = source.generator.state_dict()
    shapes = {key: value.shape for key, value in theirs.items()}
    if shapes != {key: value.shape for key, value in net.generator.state_dict().items()}:
        raise UserError("data.toonified: its generator does not fit the network", "set model to the size that it has")
    net.generator.load_state_dict(theirs)


@torch.no_grad()
def open_attention(net: StyleGANEX) -> None:
    """Set the skip connections' attention to about 1 everywhere, so that weights trained without it draw as they did.

    As it is initialised it hides half of every skip feature and shrinks the rest: a run that begins from an inversion
    would first spend its steps on learning to invert again, and edits of strength 0 would differ from no edit.
    """
    for fusion in net.fusion:
        if isinstance(fusion, SkipFusion) and fusion.attention:
            fusion.conv.weight.mul_(0.1)
            assert fusion.conv.bias is not None
            fusion.conv.bias.fill_(2.0)  # tanh(2) = 0.96, and not yet flat


def attention_parameters(net: StyleGANEX) -> list[nn.Parameter]:
    """Of the skip connections' attention (StyleGANEX §4.2); [] without it."""
    found = [fusion for fusion in net.fusion if isinstance(fusion, SkipFusion) and fusion.attention]
    return [p for fusion in found for part in (fusion.linear, fusion.norm, fusion.conv) for p in part.parameters()]


def native_size(key: str) -> int | None:
    """Size at which a generator's tensor works in StyleGAN2; None: it belongs to no layer (the mapping network)."""
    if re.match(r"(constant$|conv1\.|to_rgb1\.)", key):
        return 4
    if match := re.match(r"convs\.(\d+)\.", key):
        return 8 << int(match[1]) // 2
    if match := re.match(r"to_rgbs\.(\d+)\.", key):
        return 8 << int(match[1])
    return None


@torch.no_grad()
def swap_layers(coarse: StyleGANEX, fine: StyleGANEX, size: int) -> StyleGANEX:
    """A copy of `coarse` whose synthesis layers above native size `size` are those of `fine`.

    Mapping network, noise maps and latent_avg stay those of `coarse`.

    Raises:
        ModelError: generators of different shapes, or a size that they do not have.
    """
    if coarse.config.generator_channels != fine.config.generator_channels:
        raise ModelError("swap_layers: generators of different sizes", "take two of the same ModelConfig")
    if size not in coarse.config.sizes:
        raise ModelError(f"swap_layers: no layers of size {size}", f"choose from {coarse.config.sizes}")
    mixed = copy.deepcopy(coarse)
    theirs = fine.generator.state_dict()
    for key, value in mixed.generator.state_dict().items():
        native = native_size(key)
        if native is not None and native > size:
            value.copy_(theirs[key])
    return mixed


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 written, 2 the user's mistake (two lines say what and what to do)."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.transfer", description="Layers of two generators in one."
    )
    parser.add_argument("coarse")
    parser.add_argument("fine")
    parser.add_argument("size", type=int, help="largest native size that comes from the first")
    parser.add_argument("output")
    asked = parser.parse_args(arguments)
    try:
        coarse, fine = load_checkpoint(asked.coarse), load_checkpoint(asked.fine)
        save_checkpoint(swap_layers(coarse, fine, asked.size), asked.output)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
