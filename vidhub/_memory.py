"""Memory that stays with the process."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache


@cache
def keep_memory() -> None:
    """Have the C library (glibc) keep what large tensors leave, for the next ones, as long as the process lives.

    Otherwise it gives such memory back at once, and the system fills it with zeros for the next tensor, which makes
    networks on a CPU up to twice as slow, and clips for them too.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError: Windows
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no mappings of their own
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: none
