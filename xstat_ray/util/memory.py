"""Returns memory that is free inside the process to the system.

glibc keeps what large arrays leave behind, in a heap for each thread. A table that threads read day
by day then takes more memory with every day, although each day is held only while it is used.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's function; other C libraries return memory by themselves or not at all."""


_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Files below /sys/fs/cgroup with the memory that a container may use, of either version."""


def memory_bytes() -> int | None:
    """Memory that this process may use at most: the machine's, or its container's if that is less.

    Returns:
        Bytes; None where the system does not tell.
    """
    found = []
    with suppress(ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in _LIMITS:
        with suppress(ValueError, OSError):
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min(found, default=None)


def return_freed() -> None:
    """Return what numpy and Arrow have freed.

    This takes milliseconds, and the next use of the memory has page faults.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)
