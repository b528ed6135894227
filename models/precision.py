"""Reduced precision: convolutions in bfloat16, float16 or TF32, what needs float32 kept there.

float32 stay the styles, the demodulation, the running RGB image (models/layers.py) and everything that makes w+. On a
GPU "fp32" is IEEE arithmetic, which PyTorch's own default for convolutions is not: it rounds factors to TF32's 10 bits.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import torch

from models.errors import ModelError

Precision = Literal["fp32", "tf32", "bf16", "fp16"]


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise what a device cannot do.

    Raises:
        ModelError: float16 on a CPU, whose kernels do not accumulate in float32; TF32 anywhere but on a GPU.
    """
    if precision == "tf32" and device.type != "cuda":
        raise ModelError(f"precision: tf32 on {device.type}", "use fp32, or --device cuda")
    if precision == "fp16" and device.type == "cpu":
        raise ModelError("precision: fp16 on a CPU", "use bf16 or fp32, or --device cuda")


def arithmetic(precision: Precision, device: torch.device) -> torch.autocast | nullcontext[None]:
    """Within: convolutions and products of matrices in this precision."""
    choose_float32(precision, device)
    if precision in ("fp32", "tf32"):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def choose_float32(precision: Precision, device: torch.device) -> None:
    """What float32 means on a GPU from now on: TF32 where that is the precision, IEEE for every other.

    The flags are the process's and stay as they are set: the threads of several networks would undo each other's.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def has_units(precision: Precision, device: torch.device) -> bool:
    """Whether the device computes in this precision at more than float32's rate; False: correct, but slower."""
    if precision == "fp32":
        return True
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= ((7, 0) if precision == "fp16" else (8, 0))
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
