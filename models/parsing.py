"""Face parsing: BiSeNet (Yu et al., ECCV 2018, arXiv 1808.00897) with 19 classes, in the public face-parsing variant.

A ResNet-18 context path, and no spatial path of its own: the ResNet's feature at 1/8 stands in for it. Module names are
the keys of the public files (`faceparsing.pth`, a plain state dict), so that they load without a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import CheckpointError
from models.torch_file import read_torch

CLASSES = (
    *("background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear"),
    *("earring", "nose", "inner mouth", "upper lip", "lower lip", "neck", "necklace", "clothes", "hair", "hat"),
)
"""Label → part; left and right are the subject's own (the subject's left eye lies right in the picture)."""

WIDTH = 64
"""Channels of the first convolution in the published file."""
FETCH = "run `python run_pipeline.py models fetch faceparsing`"

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of pictures in [0, 1]."""


class ConvBNReLU(nn.Module):
    """Convolution without bias, batch norm, ReLU; size kept (kernel 1 or 3, stride 1)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    """ResNet's block of two 3×3 convolutions (He et al. 2016, Figure 2), [B, in, H, W] → [B, out, H/s, W/s]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """ResNet-18 without its classifier: [B, 3, H, W] → features at 1/8 (2·width), 1/16 (4·width), 1/32 (8·width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(BasicBlock(width, width, 1), BasicBlock(width, width, 1))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2), BasicBlock(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(BasicBlock(4 * width, 8 * width, 2), BasicBlock(8 * width, 8 * width, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        at8 = self.layer2(self.layer1(x))
        at16 = self.layer3(at8)
        return at8, at16, self.layer4(at16)


class AttentionRefinement(nn.Module):
    """Attention refinement module (§3.2, Figure 2b): channels weighed by their global mean."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(in_channels, out_channels)
        self.conv_atten = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y * torch.sigmoid(self.bn_atten(self.conv_atten(_global_mean(y))))


class ContextPath(nn.Module):
    """Context path (§3.2): ResNet-18, global mean at the tail, both refined on the way up from 1/32 to 1/8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 2 * width
        self.resnet = ResNet18(width)
        self.arm16 = AttentionRefinement(4 * width, inner)
        self.arm32 = AttentionRefinement(8 * width, inner)
        self.conv_head32 = ConvBNReLU(inner, inner)
        self.conv_head16 = ConvBNReLU(inner, inner)
        self.conv_avg = ConvBNReLU(8 * width, inner, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """→ the ResNet's feature at 1/8, the context at 1/8 and the context at 1/16, [B, 2·width, …] each."""
        at8, at16, at32 = self.resnet(x)
        context32 = self.arm32(at32) + self.conv_avg(_global_mean(at32))
        context16 = self.conv_head32(_enlarge(context32, at16))
        context8 = self.conv_head16(_enlarge(self.arm16(at16) + context16, at8))
        return at8, context8, context16


class FeatureFusion(nn.Module):
    """Feature fusion module (§3.3, Figure 2c) of detail and context: x + x · attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convblk = ConvBNReLU(channels, channels, kernel_size=1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        y = self.convblk(torch.cat([detail, context], dim=1))
        return y + y * torch.sigmoid(self.conv2(F.relu(self.conv1(_global_mean(y)))))


class Head(nn.Module):
    """[B, in, H, W] → [B, classes, H, W] logits."""

    def __init__(self, in_channels: int, inner: int, num_classes: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(in_channels, inner)
        self.conv_out = nn.Conv2d(inner, num_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class FaceParser(nn.Module):
    """BiSeNet. The heads at 1/16 and at the second 1/8 served training; they are kept so that files load strictly.

    Args:
        width: channels of the first convolution (published: 64).
        num_classes: labels.
    """

    def __init__(self, width: int = WIDTH, num_classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.cp = ContextPath(width)
        self.ffm = FeatureFusion(4 * width)
        self.conv_out = Head(4 * width, 4 * width, num_classes)
        self.conv_out16 = Head(2 * width, width, num_classes)
        self.conv_out32 = Head(2 * width, width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W], normalised as for ImageNet → logits [B, classes, H, W]."""
        detail, context, _ = self.cp(x)
        logits = self.conv_out(self.ffm(detail, context))
        return F.interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=True)

    @torch.inference_mode()
    def parse(self, rgb: Tensor) -> Tensor:
        """The part that every pixel belongs to, as the published scripts do it: on the picture enlarged ×2 (bilinear).

        Puts the network in eval mode. One picture at a time, so that a label does not depend on the batch.

        Args:
            rgb: [B, 3, H, W] float in [−1, 1], a face at about 64 px between the eyes.

        Returns:
            [B, H, W] uint8, 0 … num_classes − 1, on the network's device.
        """
        self.eval()
        first = next(self.parameters())
        mean, std = (torch.tensor(v, device=first.device, dtype=first.dtype)[:, None, None] for v in (_MEAN, _STD))
        labels: list[Tensor] = []
        for picture in rgb.to(first).split(1):
            x = F.interpolate((picture * 0.5 + 0.5 - mean) / std, scale_factor=2, mode="bilinear")
            # Every second pixel of the labels is their nearest reduction by 2.
            labels.append(self(x)[:, :, ::2, ::2].argmax(dim=1).to(torch.uint8))
        return torch.cat(labels)


def load_parser(path: str | Path, device: str | torch.device = "cpu") -> FaceParser:
    """Read a face-parsing file: the published `.pth`, or the same tensors as `.safetensors`.

    Returns:
        The network in float32 and eval mode, its parameters frozen. Its width is the file's.

    Raises:
        CheckpointError: missing, foreign, damaged or hostile file; keys or shapes that differ, and which.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: the face-parsing network is not here", FETCH)
    return _build(path, _read(path)).to(device)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error})", FETCH) from error
    content = read_torch(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: not a plain table of tensors", FETCH)
    return content


def _build(path: Path, state: Mapping[str, Tensor]) -> FaceParser:
    first = state.get("cp.resnet.conv1.weight")
    with torch.device("meta"):
        net = FaceParser(WIDTH if first is None or first.ndim != 4 or not len(first) else len(first))
    wanted = net.state_dict()
    wrong = [
        f"{key} {list(state[key].shape)} instead of {list(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    found = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "wrong shape": wrong,
    }
    faults = [f"{name}: {_some(keys)}" for name, keys in found.items() if keys]
    if faults:
        raise CheckpointError(f"{path}: the keys do not fit the face-parsing network; {'; '.join(faults)}", FETCH)
    tensors = {key: value.clone() if value.dtype == torch.long else value.float() for key, value in state.items()}
    net.load_state_dict(tensors, assign=True)
    return net.requires_grad_(False).eval()


def _some(keys: list[str], limit: int = 4) -> str:
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(keys[:limit]) + more


def _global_mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="nearest")
