"""What is measured of a task: sizes and times, which is what the pool that runs it sees anyway, and nothing else.

No figure depends on what a ciphertext encrypts or on which tags match.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xstat_ray.model.messages import Flags, Partial, Rows


@dataclass(frozen=True)
class TaskStats:
    """One task that has ended well."""

    node: str
    """Ray's id of the node that ran it."""
    attempt: int
    """How many tries came before this one."""
    seconds: float
    rows: int = 0
    """Rows of the row party that went in."""
    flags: int = 0
    """Flags of the column party that went in."""
    partials: int = 0
    """Partials that went in or came out."""
    bytes: int = 0
    """Bytes of tags, cells and ciphertexts that went in or came out."""


def measure(node: str, attempt: int, seconds: float, messages: Iterable[Any]) -> TaskStats:
    """TaskStats of a task whose arguments and result are `messages`.

    What is none of our messages is left out.
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
            case Partial():
                partials = partials + 1
                size = size + message.cells.nbytes + message.ciphertexts.nbytes
    return TaskStats(node, attempt, seconds, rows, flags, partials, size)
