"""`kill -9` at a chosen point of a child process, for tests of what a crash leaves behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType
from typing import Any

SYSTEM = {"open", "write", "flush", "fsync", "replace", "unlink", "rmdir", "mkdir", "execute"}
"""Functions of files and of SQLite."""


def clean_server(*modules: str) -> ForkServerContext:
    """Children are forked from a clean process that has imported these, not from this one with its threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


class Doom:
    """Counts calls of the package's functions `own` and of those written in C `system`.

    Before number `point`, if there
    is one, SIGKILL comes."""

    def __init__(self, point: int, own: set[str], system: set[str] = SYSTEM) -> None:
        self._point = point
        self._own = own
        self._system = system
        self.passed: list[str] = []

    def watch(self) -> None:
        """From here on calls count."""
        sys.setprofile(self._called)

    def look_away(self) -> None:
        """From here on they do not."""
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and "xstat_ray" in frame.f_code.co_filename:
            name = frame.f_code.co_name
            names = self._own
        elif event == "c_call":
            name = argument.__name__
            names = self._system
        else:
            return
        if name in names:
            self.passed.append(name)
            if len(self.passed) == self._point:
                os.kill(os.getpid(), signal.SIGKILL)


def child(
    server: ForkServerContext, target: Callable[..., None], *arguments: Any
) -> tuple[int, list[str]]:
    """Run `target(*arguments, report)` in a process of its own, which puts the points that it passed into `report`.

    Returns:
        Its exit status, and these points; none if it did not live to tell them.
    """
    report = server.SimpleQueue()
    process = server.Process(target=target, args=(*arguments, report))
    process.start()
    process.join()
    return process.exitcode, [] if report.empty() else report.get()


def points(passed: list[str], count: int) -> list[int]:
    """`count` of the points that a run passes, evenly spread from the first to nearly the last: others pass fewer."""
    return sorted(
        {1 + round(i * 0.97 * (len(passed) - 1) / max(1, count - 1)) for i in range(count)}
    )


def processes_of(folder: Path) -> list[int]:
    """Those that name the folder on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                found.append(int(path.parent.name))
    return found
