"""Detects environments that have stopped answering.

Ray notices a process that has ended, but not one that lives and does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray

from xstat_ray.errors import PartyLostError
from xstat_ray.runtime.executor import Ref

LOOK = 1.0
"""Seconds between two looks at what a run waits for."""


class Heartbeat:
    """Asks the environments of a run, while the run waits, whether they are still there."""

    def __init__(self, asks: Sequence[Callable[[], Ref[Any]]], seconds: int) -> None:
        """Take the environments.

        Args:
            asks: for each environment, what sends it a question that it answers at once, whatever
                it works at.
            seconds: how long an answer may take.
        """
        self._asks = asks
        self._seconds = seconds
        self._open: dict[int, tuple[Ref[Any], int]] = {}
        """By environment, the question that is not answered, and how many looks ago it was sent."""

    def look(self) -> None:
        """Look for answers, and ask the environments that have answered again.

        A run that waits calls this every `LOOK` seconds. It counts looks instead of time: a machine
        that has slept has not been silent.

        Raises:
            PartyLostError: an environment has been silent for too long.
        """
        for number, ask in enumerate(self._asks):
            answer, looks = self._open.pop(number) if number in self._open else (ask(), 0)
            # An environment that has ended counts as one that answers: the call that the run waits
            # for reports it.
            if ray.wait([answer], timeout=0)[0]:
                continue
            if looks * LOOK >= self._seconds:
                raise PartyLostError(
                    f"a party's environment has not answered for {self._seconds} s; "
                    "run the same command again"
                )
            self._open[number] = answer, looks + 1
