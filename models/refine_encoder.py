"""Tokens of one picture, for better inversion (RefineStyle, arXiv 2410.06104): grouped transformer blocks.

Sees the aligned face and what the network made of it, says how the kernels should change for this face. Layers are in
groups by size, coarse to fine, each with its own blocks; a query per layer and token looks at the picture and at the
other queries of its group and becomes a row of P. Q is learned and the same for all pictures, which keeps it small.
What comes out are tokens like any others: `models.refine.save_refine` writes them, `load_refine` lays them over a net.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.config import ALIGNED_SIZE
from models.digest import network_sha256
from models.errors import CheckpointError
from models.refine import ENCODER_KIND, Tokens, modulated, write_safetensors
from models.styleganex import StyleGANEX

PATCH = 16
"""Pixels of the aligned crop per image token, along each axis."""
GROUPS = 3
"""Groups of layers: coarse, middle, fine."""


class RefineEncoder(nn.Module):
    """(aligned, its reconstruction) → tokens of every modulated convolution, per picture.

    At the start P is zero for every picture: nothing changes.

    Args:
        net: whose shapes the tokens get.
        rank: tokens per set.
        width: channels of the transformer.
        blocks: transformer blocks per group.
    """

    def __init__(self, net: StyleGANEX, rank: int, width: int = 64, blocks: int = 1) -> None:
        super().__init__()
        self.rank, self.width, self.blocks = rank, width, blocks
        shapes = {name: conv.weight.shape for name, conv in modulated(net).items()}
        self.names = tuple(shapes)
        side = ALIGNED_SIZE // PATCH
        self.patches = nn.Conv2d(6, width, PATCH, stride=PATCH)
        self.places = nn.Parameter(0.02 * torch.randn(side * side, width))
        heads = max(1, width // 32)
        self.groups = nn.ModuleList(
            nn.ModuleList(
                nn.TransformerDecoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
                for _ in range(blocks)
            )
            for _ in range(GROUPS)
        )
        self.queries = nn.Parameter(0.5 * torch.randn(len(shapes), rank, width))
        self.to_p = nn.ModuleList(nn.Linear(width, shape[0]) for shape in shapes.values())
        self.q = nn.ParameterList(torch.randn(rank, shape[1:].numel()) for shape in shapes.values())
        for layer in self.to_p:
            nn.init.zeros_(layer.get_parameter("weight"))
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, aligned: Tensor, drawn: Tensor) -> list[dict[str, Tokens]]:
        """Tokens by layer, one table per picture.

        Args:
            aligned: [B, 3, 256, 256] in [−1, 1].
            drawn: the same faces as the network draws them, [B, 3, 256, 256].
        """
        seen = self.patches(torch.cat([aligned, drawn], dim=1)).flatten(2).transpose(1, 2) + self.places
        tables: list[dict[str, Tokens]] = [{} for _ in range(aligned.shape[0])]
        bounds = [round(i * len(self.names) / GROUPS) for i in range(GROUPS + 1)]
        for blocks, start, end in zip(self.groups, bounds[:-1], bounds[1:], strict=True):
            asked = self.queries[start:end].flatten(0, 1).expand(aligned.shape[0], -1, -1)
            for block in blocks.children():
                asked = block(asked, seen)
            asked = asked.unflatten(1, (end - start, self.rank))
            for place in range(start, end):
                p = self.to_p[place](asked[:, place - start])
                for table, rows in zip(tables, p, strict=True):
                    table[self.names[place]] = Tokens(rows, self.q[place])
        return tables


def reconstruction(net: StyleGANEX, aligned: Tensor) -> Tensor:
    """[B, 3, 256, 256]: what the network makes of aligned faces."""
    drawn = net.synthesize(net.invert(aligned, aligned))
    return nn.functional.interpolate(drawn, (ALIGNED_SIZE, ALIGNED_SIZE), mode="area").clamp(-1, 1)


def save_refine_encoder(
    net: StyleGANEX, encoder: RefineEncoder, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write an encoder of tokens as safetensors. The file appears under its name only when it is complete.

    It holds the digest of the network that it was trained on: it corrects what that one draws.

    Raises:
        CheckpointError: it cannot be written.
    """
    sizes = {name: str(getattr(encoder, name)) for name in ("rank", "width", "blocks")}
    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    own = sizes | {"kind": ENCODER_KIND, "network_sha256": network_sha256(net)}
    write_safetensors(Path(path), state, dict(metadata or {}) | own)


def load_refine_encoder(net: StyleGANEX, path: str | Path) -> RefineEncoder:
    """Read an encoder of tokens for this network; eval mode, on the CPU.

    Raises:
        CheckpointError: missing, damaged or foreign file, or one for a network of another shape or other weights.
    """
    remedy = "give a file that `train` wrote with recipe refine and kind picture, for this network"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != ENCODER_KIND:
                raise CheckpointError(f"{path}: a safetensors file, but no encoder of tokens", remedy)
            encoder = RefineEncoder(net, *(int(metadata[name]) for name in ("rank", "width", "blocks")))
            encoder.load_state_dict({key: file.get_tensor(key).clone() for key in file.keys()})  # noqa: SIM118
    except CheckpointError:
        raise
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{path}: no encoder of tokens for this network ({reason})", remedy) from error
    if metadata.get("network_sha256") != network_sha256(net):
        raise CheckpointError(
            f"{path}: trained on other weights than this network's", "use the model that `init` named in its training"
        )
    return encoder.requires_grad_(False).eval()
