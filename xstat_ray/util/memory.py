"""Memory that is free inside the process goes back to the system.

glibc keeps what large arrays leave behind in one heap for every thread. Read window by window in
threads, a table then takes more memory with every day, although no day is held for longer than its
turn.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of glibc alone; other libraries return memory by themselves or not at all."""


def return_freed() -> None:
    """Return what has been freed, by numpy and Arrow alike.

    Takes milliseconds, and the next use of it page faults.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)
