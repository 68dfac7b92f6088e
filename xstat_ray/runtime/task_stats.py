"""Sizes and times of tasks, which the pool that runs them sees in any case.

None of them depends on what a ciphertext encrypts or on which tags match.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles.join import Joined


@dataclass(frozen=True)
class TaskStats:
    """Sizes and time of a task that has ended well."""

    node: str
    """Ray's id of the node that ran it."""
    attempt: int
    """Number of tries before this one."""
    seconds: float
    """How long it ran."""
    rows: int = 0
    """Rows of the row party among its arguments."""
    flags: int = 0
    """Flags of the column party among its arguments."""
    partials: int = 0
    """Partials among its arguments and its result."""
    bytes: int = 0
    """Bytes of the rows and flags among its arguments."""


def measure(node: str, attempt: int, seconds: float, messages: Iterable[Any]) -> TaskStats:
    """Measure a task.

    Args:
        node: Ray's id of the node that ran it.
        attempt: number of tries before this one.
        seconds: how long it ran.
        messages: its arguments and its result; other than messages of the protocol are ignored.
    """
    rows = flags = partials = size = 0
    for message in messages:
        match message:
            case Rows():
                rows = rows + len(message.tags)
                size = size + message.tags.nbytes + message.cells.nbytes
            case Flags():
                flags = flags + len(message.tags)
                size = size + message.tags.nbytes + message.ciphertexts.nbytes
            case Joined() | Partial():
                # Their sizes tell which tags match.
                partials = partials + 1
    return TaskStats(node, attempt, seconds, rows, flags, partials, size)
