"""Memory that stays with the process."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def keep_memory() -> None:
    """Have the C library (glibc) keep what large tensors leave, for the next ones.

    Otherwise it gives such memory back at once, and the system fills it with zeros for the next tensor, which makes
    networks on a CPU up to twice as slow.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no mappings of their own
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
