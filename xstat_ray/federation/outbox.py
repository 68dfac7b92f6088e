"""Messages that a party's environments compute, a few ahead of the one that is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.model.encoding import Message
from xstat_ray.runtime.executor import Executor, Ref

AHEAD = 4
"""Messages that are computed while one is handed out: so many, or one for each environment."""
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
        self,
        receiver: Domain,
        kind: str,
        calls: Mapping[int, Callable[[], Ref[T]]],
        each: int = 1,
    ) -> Iterator[tuple[int, T]]:
        """Yield the results of the calls whose messages are not out yet, computing a few ahead.

        Args:
            receiver: to whom the messages go.
            kind: of the messages.
            calls: what computes each message, by its number, in the order in which they are made.
            each: messages that a call computes; its number is that of the first of them.
        """
        unsent = set(self._run.mailbox.unsent(receiver, kind, each * len(calls)))
        left = [number for number in calls if number + each - 1 in unsent]
        environments = max(map(len, self._executor.parties.values()))
        refs: dict[int, Ref[T]] = {}
        for place, number in enumerate(left):
            for ahead in left[place : place + max(AHEAD, environments + 1)]:
                if ahead not in refs:
                    refs[ahead] = calls[ahead]()
            yield number, self._executor.get(refs.pop(number))
