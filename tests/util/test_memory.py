"""Freed memory goes back to the system, which it would not do by itself."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from xstat_ray.util.memory import return_freed

MEGABYTES = 100


def anonymous() -> int:
    """Bytes of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) << 10


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc"
)
def test_what_was_freed_goes_back_to_the_system():
    # Small enough for the heap, with something alive behind every tenth piece, so that the heap
    # cannot shrink by itself.
    pieces = [np.ones(12 << 10) for _ in range(MEGABYTES * 10)]
    kept = pieces[9::10]
    held = anonymous()
    del pieces
    before = anonymous()
    return_freed()
    assert held - before < MEGABYTES << 18, "it went back unasked: this test shows nothing here"
    assert before - anonymous() > MEGABYTES << 19
    assert len(kept) == MEGABYTES
