"""What a run reports while it works: stages with a known amount of work.

Silent unless a display is plugged in.
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
        """What is planned."""

    def rows(self) -> list[tuple[str, str]]:
        """For people: what, how much."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""


class Stage:
    """A stage under way; `advance` after every unit of work."""

    def advance(self, units: int = 1) -> None:
        """Report finished units."""


class Progress:
    """Base: measures the stages and shows nothing."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def planned(self, plan: Planned) -> None:
        """Show the plan, before anything starts."""

    def warn(self, message: str) -> None:
        """Show a warning that must not be overlooked."""

    def note(self, message: str) -> None:
        """Say something in passing."""

    def retried(self, task: str, times: int) -> None:
        """Say that tasks of this name were tried again, or copied because they were late."""

    def worked(self, what: str, count: int) -> None:
        """Say how much a finished call of the stage under way has worked through: rows, persons, ciphertexts."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run one stage of `total` units of work."""
        start = time.perf_counter()
        with self.display(name, total) as stage:
            yield stage
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        """How a stage is shown; subclasses override this."""
        yield Stage()
