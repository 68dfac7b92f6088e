"""Every error a caller may see, with the exit code the command line gives it.

Messages may name a file, a column, a row number and a configuration key. They never hold a value
read from a party's table, because they cross from a party's environment to the driver.
"""

from __future__ import annotations

from functools import partial
from typing import Any


class XstatError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(XstatError):
    """A table or a configuration is not usable; says where, and what to do about it."""

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        key: str | None = None,
        column: str | None = None,
        row: int | None = None,
        remedy: str | None = None,
    ) -> None:
        """`row` counts data rows of `file` from 1 (a CSV header is not counted)."""
        self.problem = problem
        self.file = file
        self.key = key
        self.column = column
        self.row = row
        self.remedy = remedy
        parts = [("file", file), ("key", key), ("column", column), ("row", row)]
        where = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
        text = problem if not where else f"{problem} ({where})"
        super().__init__(text if remedy is None else f"{text}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the fields: an error crosses from a party's process to the driver."""
        fields: dict[str, Any] = {
            "file": self.file,
            "key": self.key,
            "column": self.column,
            "row": self.row,
            "remedy": self.remedy,
        }
        return partial(type(self), **fields), (self.problem,)


class StudyError(InputError):
    """A study or another configuration value is wrong; `key` names it with dots."""


class PlanError(InputError):
    """The study is well formed but cannot be run safely or within the resources.

    Refused before anything starts.
    """


class BudgetError(XstatError):
    """The privacy budget of a data set would be overspent; nothing was decrypted."""

    exit_code = 3


class ProtocolError(XstatError):
    """A message or a group element from the other side is not what the protocol allows."""


class MessageError(ProtocolError):
    """A message from another trust domain was refused; `message` names it, `reason` says why."""

    def __init__(self, message: str, reason: str) -> None:
        self.message = message
        self.reason = reason
        super().__init__(f"message {message} is refused: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the fields."""
        return type(self), (self.message, self.reason)


class AttestationError(ProtocolError):
    """What a counterpart shows of its environment is not what was agreed on.

    No key is released to it.
    """


class PendingError(XstatError):
    """A message that a step needs has not arrived in time; the same command goes on once it has."""

    exit_code = 4


class PartyError(XstatError):
    """An unexpected failure inside a party's environment, redacted: its own log holds the rest."""


class PartyLostError(PartyError):
    """The environment of a party is gone, with the secrets in its memory.

    A new one has to start.
    """


class ClusterError(XstatError):
    """The Ray cluster failed: nodes, memory or disk.

    Nothing is lost that the same command does not make again.
    """
