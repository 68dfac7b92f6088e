"""Whether the pieces of a table have a person in common."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from xstat_ray.roles.bounds import Part
from xstat_ray.util.arrays import run_starts


class NotDisjointError(Exception):
    """Raised when somebody has rows in more than one part."""


class DisjointCheck:
    """Finds out whether parts, which several threads may add, have a person in common."""

    def __init__(self, persons: int) -> None:
        """Start without parts, for `persons` persons."""
        self._met = np.zeros(persons, bool)
        self._turn = threading.Lock()

    def add(self, part: Part) -> None:
        """Take the persons of a part, which is in order.

        Raises:
            NotDisjointError: a person was in a part before.
        """
        present = _persons(part)
        with self._turn:
            if self._met[present].any():
                raise NotDisjointError
            self._met[present] = True


def _persons(part: Part) -> NDArray[np.int32]:
    """List each person who has rows in a part that is in order."""
    person = part.rows.person
    return person[run_starts(person)]
