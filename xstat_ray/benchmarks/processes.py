"""The memory of this process and all that it started, sampled while something runs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECONDS = 0.2
_GROWN = 1.01
"""How much more must be resident before the shares are counted anew: that takes milliseconds for
every process."""


@dataclass
class Peak:
    """The most that was seen."""

    memory: int = 0
    """Bytes resident in all processes together; what several share is counted once (proportional
    set size).

    Counted whenever more was resident than before by a hundredth.
    """


@contextlib.contextmanager
def peak_of_all() -> Iterator[Peak]:
    """Sample the memory of the process tree from here until the block ends."""
    peak = Peak()
    ended = threading.Event()

    def sample() -> None:
        most = 0.0
        while not ended.wait(_SECONDS):
            every = tree(os.getpid())
            resident = sum(map(_resident, every))
            if resident > most * _GROWN:
                most = resident
                peak.memory = max(peak.memory, sum(map(_shares, every)))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def tree(root: int) -> set[int]:
    """The process and its descendants."""
    parents = {
        int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()
    }
    found = {root}
    size = 0
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
    """Bytes, those included that others have too."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _shares(process: int) -> int:
    """Bytes, of shared ones its share; 0 for a process that has ended meanwhile."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        return int(rollup.partition("\nPss:")[2].split()[0]) << 10
    except (OSError, IndexError):
        return 0
