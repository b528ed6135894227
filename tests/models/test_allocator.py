"""The allocator keeps large blocks for every user, without their doing."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.allocator import settle_allocator

ROOT = Path(__file__).parents[2]

ON_HEAP = """
import ctypes
allocate = ctypes.CDLL(None).malloc
allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
block = allocate(2**26)
heap = [line.split()[0] for line in open("/proc/self/maps") if line.rstrip().endswith("[heap]")]
bounds = [[int(side, 16) for side in line.split("-")] for line in heap]
print(any(low <= block < high for low, high in bounds))
"""
"""Prints True where a block of 64 MiB comes from the heap, which is kept, and not from a mapping of its own."""

WAYS = {
    "load_checkpoint": "from models.checkpoint import load_checkpoint\n"
    "load_checkpoint('models/weights/lite_toon.safetensors')",
    "command line": "from pipeline.cli import main; main(['explain', '--task', 'none'])",
    "stream": "from pipeline import stream; next(stream('samples/head.png', task='none'))",
}


def test_takes_hold_where_there_is_glibc():
    assert settle_allocator() == (sys.platform == "linux")


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
@pytest.mark.parametrize("way", [None, *WAYS])
def test_every_entrance_settles_it(way: str | None):
    code = "" if way is None else WAYS[way]
    out = subprocess.run(
        [sys.executable, "-c", code + "\n" + ON_HEAP], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert out.stdout.split()[-1] == str(way is not None)
