"""What a run reports while it works: stages with a known amount of work.

The classes here show nothing; displays override them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Planned(Protocol):
    """A plan, as a display sees it."""

    @property
    def name(self) -> str:
        """Name of what is planned."""

    def rows(self) -> list[tuple[str, str]]:
        """Return what a reader is shown: names and values."""

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""


class Stage:
    """A stage under way."""

    def advance(self, units: int = 1) -> None:
        """Report finished units of work."""


class Progress:
    """Times the stages and shows nothing; displays are subclasses."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Seconds that each stage took."""

    def planned(self, plan: Planned) -> None:
        """Show the plan, before anything starts."""

    def warn(self, message: str) -> None:
        """Show a warning that must not be overlooked."""

    def note(self, message: str) -> None:
        """Show something that is good to know."""

    def retried(self, task: str, times: int) -> None:
        """Show that tasks of this name were tried again, or copied because they were late."""

    def worked(self, what: str, count: int) -> None:
        """Show how much a call of the stage under way has worked through.

        Args:
            what: rows, persons or ciphertexts.
            count: how many.
        """

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run and time a stage of `total` units of work."""
        start = time.perf_counter()
        with self.display(name, total) as stage:
            yield stage
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        """Show a stage; subclasses override this."""
        yield Stage()
