"""Messages that a party's environments compute, a few ahead of the one that is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.model.encoding import Message
from xstat_ray.runtime.executor import Executor, Ref

AHEAD = 4
"""Most messages that are computed while one is handed out."""
T = TypeVar("T")


class Outbox:
    """Hands out what the environments of a domain compute."""

    def __init__(self, run: DomainRun, executor: Executor) -> None:
        self._run = run
        self._executor = executor

    def send(
        self, receiver: Domain, kind: str, message: Message, part: int = 0, parts: int = 1
    ) -> None:
        """Hand out a message of the format's tables, unless that has been done."""
        rows = len(getattr(message, next(iter(message.ITEMS))))
        digest = self._run.plan.study.digest
        self._run.mailbox.send(
            receiver, kind, lambda: message.encode(digest), part=part, parts=parts, rows=rows
        )

    def missing(
        self, receiver: Domain, kind: str, calls: Sequence[Callable[[], Ref[T]]]
    ) -> Iterator[tuple[int, T]]:
        """Yield the results of the calls whose messages are not out yet, computing a few ahead."""
        left = self._run.mailbox.unsent(receiver, kind, len(calls))
        refs: dict[int, Ref[T]] = {}
        for place, number in enumerate(left):
            for ahead in left[place : place + AHEAD]:
                if ahead not in refs:
                    refs[ahead] = calls[ahead]()
            yield number, self._executor.get(refs.pop(number))
