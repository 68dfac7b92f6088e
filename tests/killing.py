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
    """Make a server that forks children from a clean process, without this one's threads.

    Args:
        modules: names of modules that the clean process imports.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


class Doom:
    """Counts calls, and kills this process at a given one."""

    def __init__(self, point: int, functions: set[str], system: set[str] = SYSTEM) -> None:
        """Choose the point.

        Args:
            point: the call before which SIGKILL comes, from 1; never with 0.
            functions: names of the package's functions that count.
            system: names of functions written in C that count.
        """
        self._point = point
        self._functions = functions
        self._system = system
        self.passed: list[str] = []

    def watch(self) -> None:
        """Count calls from here on."""
        sys.setprofile(self._called)

    def look_away(self) -> None:
        """Count no calls from here on."""
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and "xstat_ray" in frame.f_code.co_filename:
            name = frame.f_code.co_name
            names = self._functions
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
    """Run `target(*arguments, report)` in a process of its own.

    The target puts the points that it passed into `report`, a queue.

    Returns:
        The exit status, and these points; none if the process did not live to tell them.
    """
    report = server.SimpleQueue()
    process = server.Process(target=target, args=(*arguments, report))
    process.start()
    process.join()
    return process.exitcode, [] if report.empty() else report.get()


def points(passed: list[str], count: int) -> list[int]:
    """Choose `count` of the points that a run passes, evenly spread.

    The last are left out, as other runs pass fewer points.
    """
    return sorted(
        {1 + round(i * 0.97 * (len(passed) - 1) / max(1, count - 1)) for i in range(count)}
    )


def processes_of(folder: Path) -> list[int]:
    """List the processes that name the folder on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                found.append(int(path.parent.name))
    return found
