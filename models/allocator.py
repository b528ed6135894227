"""Make the C allocator keep what it has: a network asks for the same large blocks at every frame."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1


def settle_allocator() -> bool:
    """Tell glibc to reuse large blocks instead of mapping fresh pages each time; a quarter of a small model's time.

    Returns:
        False where there is no glibc, and nothing was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST))
