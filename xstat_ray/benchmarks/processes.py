"""Memory of this process and all that it started, sampled while something runs."""

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
"""Factor by which resident memory must grow before the shares are counted anew, which takes
milliseconds for each process."""


@dataclass
class Peak:
    """The most memory that was seen."""

    memory: int = 0
    """Bytes resident in all processes together; what several share is counted once (proportional
    set size). It is counted whenever resident memory has grown by a hundredth."""


@contextlib.contextmanager
def peak_of_all() -> Iterator[Peak]:
    """Sample the memory of the process tree from here until the block ends."""
    peak = Peak()
    ended = threading.Event()

    def sample() -> None:
        most = 0.0
        while not ended.wait(_SECONDS):
            processes = tree(os.getpid())
            resident = sum(map(_resident, processes))
            if resident > most * _GROWN:
                most = resident
                peak.memory = max(peak.memory, sum(map(_shares, processes)))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def tree(root: int) -> set[int]:
    """Find a process and its descendants, by their ids."""
    parents = {
        int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()
    }
    found = {root}
    size = 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def _parent(folder: Path) -> int:
    try:
        # The name, in parentheses, may hold anything.
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _resident(process: int) -> int:
    """Resident bytes of a process, those included that it shares with others."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _shares(process: int) -> int:
    """Resident bytes of a process, with its part of shared ones; 0 for one that has ended."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        return int(rollup.partition("\nPss:")[2].split()[0]) << 10
    except (OSError, IndexError):
        return 0
