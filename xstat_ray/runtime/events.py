"""The event log: what a run went through, as lines of JSON beside the release.

It may be published with the release, so it tells no size or count that depends on a party's table
and no message; only names of stages and tasks, times, and types of errors. How long a stage took
hints at sizes: where the run hides these, times are told to the minute, here as in the manifest.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xstat_ray.errors import XstatError
from xstat_ray.runtime.progress import Planned, Progress, Stage

NAME = "events.jsonl"


class Recorded(Progress):
    """Passes everything on to another display, and writes the events to a file."""

    def __init__(self, shown: Progress, folder: Path, *, hides_sizes: bool = False) -> None:
        """Write to the log in `folder`; a run that is resumed adds to it.

        Args:
            shown: the display that everything is passed on to.
            folder: where the log lies.
            hides_sizes: whether times are told to the minute, and durations not at all.
        """
        super().__init__()
        self._shown = shown
        self._hides_sizes = hides_sizes
        self.folder = folder
        self._path = folder / NAME

    def planned(self, plan: Planned) -> None:
        """Show the plan; it is not logged, as `plan.json` holds it."""
        self._shown.planned(plan)

    def warn(self, message: str) -> None:
        """Show a warning; it is not logged."""
        self._shown.warn(message)

    def note(self, message: str) -> None:
        """Show a note; it is not logged."""
        self._shown.note(message)

    def retried(self, task: str, times: int) -> None:
        """Show and log that tasks were tried again: event `retry`."""
        self._shown.retried(task, times)
        self._event("retry", task=task, times=times)

    def worked(self, what: str, count: int) -> None:
        """Show how much was worked through; it is not logged, as it depends on the tables."""
        self._shown.worked(what, count)

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        """Show and log a stage: events `start`, and `end` or `failed`.

        An error is logged by its type; types that are not this package's as `Exception`.
        """
        start = time.perf_counter()
        self._event("start", stage=name)
        try:
            with self._shown.display(name, total) as stage:
                yield stage
        except BaseException as error:
            kind = (
                type(error).__name__
                if isinstance(error, XstatError | KeyboardInterrupt)
                else "Exception"
            )
            self._event("failed", stage=name, error=kind)
            raise
        seconds = round(time.perf_counter() - start, 3)
        self._event("end", stage=name, **({} if self._hides_sizes else {"seconds": seconds}))

    def _event(self, kind: str, **fields: object) -> None:
        """Append a line; a log that cannot be written does not end a run."""
        precision = "minutes" if self._hides_sizes else "milliseconds"
        now = dt.datetime.now(dt.UTC).isoformat(timespec=precision)
        line = json.dumps({"time": now, "event": kind, **fields}) + "\n"
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(line)
