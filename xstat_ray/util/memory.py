"""Returns memory that is free inside the process to the system.

glibc keeps what large arrays leave behind, in a heap for each thread. A table that threads read day
by day then takes more memory with every day, although each day is held only while it is used.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's function; other C libraries return memory by themselves or not at all."""


def return_freed() -> None:
    """Return what numpy and Arrow have freed.

    This takes milliseconds, and the next use of the memory has page faults.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)
