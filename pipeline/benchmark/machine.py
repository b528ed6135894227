"""The machine's name, so that a figure can be read by someone else."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def machine(devices: tuple[str, ...]) -> dict[str, object]:
    """cpu, cores, memory, GPUs, torch."""
    gpus = sorted({torch.cuda.get_device_name(device) for device in devices if device.startswith("cuda")})
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "gpus": gpus,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def cpu_name() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # not every system tells
        return None
