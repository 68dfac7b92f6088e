"""Environments that stand still: Ray notices a process that has ended, not one that has stopped to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray

from xstat_ray.errors import PartyLostError
from xstat_ray.runtime.executor import Ref

LOOK = 1.0
"""Seconds between two looks at what a run waits for."""


class Heartbeat:
    """Asks the environments of one run whether they are there, as long as the run waits.

    Args:
        asks: for every environment what sends it a question that it answers at once, whatever it
            works at.
        seconds: how long an answer may take.
    """

    def __init__(self, asks: Sequence[Callable[[], Ref[Any]]], seconds: int) -> None:
        self._asks = asks
        self._seconds = seconds
        self._open: dict[int, tuple[Ref[Any], int]] = {}
        """The question that an environment has not answered, and how many looks ago it was sent."""

    def look(self) -> None:
        """Look for answers, and ask anew who has answered.

        To be called every `LOOK` seconds of waiting.

        Looks are counted, not time: after a machine has slept, its processes have not been silent.

        Raises:
            PartyLostError: an environment has been silent for too long.
        """
        for number, ask in enumerate(self._asks):
            answer, looks = self._open.pop(number) if number in self._open else (ask(), 0)
            # That an environment has ended is an answer as well: the call that is waited for tells
            # it.
            if ray.wait([answer], timeout=0)[0]:
                continue
            if looks * LOOK >= self._seconds:
                raise PartyLostError(
                    f"a party's environment has not answered for {self._seconds} s; run the same command again"
                )
            self._open[number] = answer, looks + 1
