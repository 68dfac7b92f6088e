"""The memory of this process and all that it started, sampled while something runs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 0.2


@dataclass
class Peak:
    """The most that was seen."""

    memory: int = 0
    """Bytes resident in all processes together; what several share is counted once (proportional set size)."""


@contextlib.contextmanager
def peak_of_all() -> Iterator[Peak]:
    """Sample the memory of the process tree from here until the block ends."""
    peak, ended = Peak(), threading.Event()

    def sample() -> None:
        while not ended.wait(_SECONDS):
            peak.memory = max(peak.memory, sum(_resident(one) for one in _tree(os.getpid())))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _tree(root: int) -> set[int]:
    """The process and its descendants."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, size = {root}, 0
    while len(found) > size:
        size = len(found)
        found |= {one for one, parent in parents.items() if parent in found}
    return found


def _parent(folder: Path) -> int:
    try:
        # The name, in parentheses, may hold anything.
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _resident(process: int) -> int:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        return int(rollup.partition("\nPss:")[2].split()[0]) << 10
    except (OSError, IndexError):
        # It has ended meanwhile.
        return 0
