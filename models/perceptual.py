"""How far two pictures are apart to the eye: LPIPS where its weights are at hand, else a stated fallback.

LPIPS (Zhang et al. 2018) needs two files, both read without running anything in them: the backbone as torchvision
publishes it and the linear heads as package `lpips` ships them (`pip install --no-deps lpips`, or the file alone).
Nothing is ever downloaded here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import CheckpointError
from models.torch_file import read_torch

Backbone = Literal["vgg", "alex"]


class Distance(Protocol):
    """A perceptual distance, differentiable in both pictures."""

    @property
    def name(self) -> str:
        """For logs and reports."""
        ...

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """[B, 3, H, W] and [1 or B, 3, H, W] in [−1, 1] → [B], 0 for equal pictures."""
        ...


class MultiscaleDistance:
    """The fallback: L1 of pixels and of their differences along both axes, mean over scales 1, ½, ¼, ⅛."""

    name = "multi-scale L1 + gradient (no LPIPS weights found)"
    scales = 4

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`. Scales below 8 pixels are left out."""
        total, used = a.new_zeros(a.shape[0]), 0
        error = a - b
        for scale in range(self.scales):
            if scale:
                if min(error.shape[2:]) < 16:
                    break
                error = F.avg_pool2d(error, 2)
            gradients = (error.diff(dim=axis) for axis in (2, 3))
            total = total + sum((part.abs().mean(dim=(1, 2, 3)) for part in (error, *gradients)), 0)
            used += 1
        return total / used


class _Layout(NamedTuple):
    """A backbone: (in, out, kernel, stride, padding) per convolution, "tap" after a ReLU, (kernel, stride) to pool."""

    file: str
    layers: tuple[tuple[int, ...] | str, ...]


def _vgg16() -> tuple[tuple[int, ...] | str, ...]:
    layers: list[tuple[int, ...] | str] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers.append((channels, width, 3, 1, 1))
            channels = width
        layers += ["tap", (2, 2)]
    return tuple(layers[:-1])


_LAYOUTS: dict[Backbone, _Layout] = {
    "vgg": _Layout("vgg16-397923af.pth", _vgg16()),
    "alex": _Layout(
        "alexnet-owt-7be5be79.pth",
        (
            *((3, 64, 11, 4, 2), "tap", (3, 2), (64, 192, 5, 1, 2), "tap", (3, 2)),
            *((192, 384, 3, 1, 1), "tap", (384, 256, 3, 1, 1), "tap", (256, 256, 3, 1, 1), "tap"),
        ),
    ),
}
"""File names are torchvision's own."""


class Lpips(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018, eq. 1) with VGG-16 or AlexNet, frozen.

    Args:
        net: the backbone.

    `features` has torchvision's key names (`features.0.weight` …); `heads` are [1, C, 1, 1], one per tap.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Backbone = "vgg") -> None:
        super().__init__()
        self.name = f"LPIPS ({net})"
        self.features = nn.Sequential()
        self.taps: list[int] = []
        widths: list[int] = []
        channels = 3
        for layer in _LAYOUTS[net].layers:
            if isinstance(layer, str):
                self.taps.append(len(self.features) - 1)
                widths.append(channels)
            elif len(layer) == 2:
                self.features.append(nn.MaxPool2d(*layer))
            else:
                before, channels, kernel, stride, padding = layer
                self.features.append(nn.Conv2d(before, channels, kernel, stride, padding))
                self.features.append(nn.ReLU())
        self.heads = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in widths)
        # Inputs in [−1, 1] to the backbone's normalisation; the numbers are LPIPS's own.
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)
        self.requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`."""
        total = a.new_zeros(a.shape[0])
        for head, x, y in zip(self.heads, self._taps(a), self._taps(b), strict=True):
            total = total + F.conv2d((x - y).square(), head).mean(dim=(1, 2, 3))
        return total

    def _taps(self, picture: Tensor) -> list[Tensor]:
        x = (picture - self.shift) / self.scale
        taps: list[Tensor] = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                # vector_norm, not sqrt: its gradient is finite where no channel is active.
                taps.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10))
        return taps


def load_lpips(backbone: Path, heads: Path, net: Backbone = "vgg") -> Lpips:
    """LPIPS from torchvision's backbone file and the `lpips` package's heads (weights/v0.1/vgg.pth or alex.pth).

    Raises:
        CheckpointError: a file that is missing, not made of tensors alone, or of another network.
    """
    model = Lpips(net)
    body = _read(backbone)
    found = {key: value for key, value in body.items() if key.startswith("features.")}
    wanted = {f"features.{key}": value for key, value in model.features.state_dict().items()}
    _check(backbone, wanted, found)
    model.features.load_state_dict({key.removeprefix("features."): value.float() for key, value in found.items()})
    keys = {f"lin{i}.model.1.weight": head for i, head in enumerate(model.heads)}
    lines = _read(heads)
    _check(heads, keys, {key: lines[key] for key in keys if key in lines})
    with torch.no_grad():
        for key, head in keys.items():
            head.copy_(lines[key])
    return model.eval()


def find_distance(
    device: str | torch.device = "cpu", net: Backbone = "vgg", folders: tuple[Path, ...] = ()
) -> Distance:
    """LPIPS where both of its files are found, else the fallback; `name` says which.

    Args:
        folders: searched first; then torch's hub cache for the backbone and the `lpips` package for the heads.
            The heads' file is called vgg.pth or alex.pth, in a folder of ours also lpips_vgg.pth, lpips_alex.pth.

    Raises:
        CheckpointError: the files are there and are not what they should be.
    """
    places = [*folders, Path(torch.hub.get_dir()) / "checkpoints"]
    backbone = next((p for folder in places if (p := folder / _LAYOUTS[net].file).is_file()), None)
    named = [folder / name for folder in places for name in (f"lpips_{net}.pth", f"{net}.pth")]
    spec = importlib.util.find_spec("lpips")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        named.append(Path(folder) / "weights" / "v0.1" / f"{net}.pth")
    heads = next((path for path in named if path.is_file()), None)
    if backbone is None or heads is None:
        return MultiscaleDistance()
    return load_lpips(backbone, heads, net).to(device)


def _read(path: Path) -> Mapping[str, Tensor]:
    content = read_torch(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: not a table of tensors", "give the file that torchvision or lpips publishes")
    return content


def _check(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for key, tensor in wanted.items():
        if key not in found or found[key].shape != tensor.shape:
            got = list(found[key].shape) if key in found else "nothing"
            raise CheckpointError(
                f"{path}: {key} should be {list(tensor.shape)}, found {got}",
                "the backbone is torchvision's vgg16 or alexnet, the heads are lpips v0.1 of the same name",
            )
