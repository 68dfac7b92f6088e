"""A dimension of the table: its labels, what they stand for, and coarser groupings of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """A coarser grouping of a dimension, such as municipalities over areas."""

    name: str
    labels: tuple[str, ...]
    parents: tuple[int, ...]
    """The label of this level that each label of the level below belongs to."""


@dataclass(frozen=True)
class Dimension:
    """One dimension of the table: public, ordered labels, and the raw values that map to each."""

    name: str
    column: str
    labels: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    """The raw values (as text) that belong to each label; all disjoint."""
    other: str | None = None
    """Label that takes every value not listed, or None: then such rows are outside the domain and
    dropped."""
    hierarchy: tuple[Level, ...] = ()
    """Coarser levels, from fine to coarse; for row dimensions only."""
    missing: str | None = None
    """Label that takes null, or None: then such rows are outside the domain and dropped."""

    @property
    def size(self) -> int:
        """Number of labels."""
        return len(self.labels)
