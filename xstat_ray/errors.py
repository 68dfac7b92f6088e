"""The errors that a caller may see, with the exit code that the command line gives each.

Messages may name a file, a column, a row number and a key of the configuration. They never hold a
value from a party's table, because they cross from the party's environment to the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

COMMAND_LINE = "the command line"
"""Stands in `InputError.file` for a value that was given on the command line."""


class XstatError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(XstatError):
    """A table or a configuration cannot be used; the message tells where, and what to do."""

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        key: str | None = None,
        column: str | None = None,
        row: int | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ) -> None:
        """Compose the message from its parts.

        Args:
            problem: what is wrong.
            file: path of the file, or `COMMAND_LINE`.
            key: dotted key of the configuration.
            column: name of the column.
            row: number of the row in `file`, from 1; the header of a CSV file is not counted.
            line: number of the line of a file of settings, from 1.
            remedy: what to do about it.
        """
        self.problem = problem
        self.file = file
        self.key = key
        self.column = column
        self.row = row
        self.line = line
        self.remedy = remedy
        place = ("on", file) if file == COMMAND_LINE else ("file", file)
        parts = [place, ("line", line), ("key", key), ("column", column), ("row", row)]
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
            "line": self.line,
            "remedy": self.remedy,
        }
        return partial(type(self), **fields), (self.problem,)


class StudyError(InputError):
    """A study or another configuration value is wrong; `key` names it with dots."""


class PlanError(InputError):
    """The study is well formed but cannot be run safely, or not within the resources.

    The plan refuses it before anything starts.
    """


class BudgetError(XstatError):
    """The privacy budget of a data set would be overspent; nothing was decrypted."""

    exit_code = 3


class ProtocolError(XstatError):
    """A message or a group element from another role is not what the protocol allows."""


class MessageError(ProtocolError):
    """A message from another trust domain was refused."""

    def __init__(self, message: str, reason: str) -> None:
        """Compose the message: `message` names the one refused, `reason` tells why."""
        self.message = message
        self.reason = reason
        super().__init__(f"message {message} is refused: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the fields: an error crosses from a party's process to the driver."""
        return type(self), (self.message, self.reason)


class DepartureError(ProtocolError):
    """A role did not follow the protocol, as a check of its messages shows; `who` names it."""

    def __init__(self, who: str, did: str) -> None:
        """Compose the message.

        Args:
            who: the role, or the two of which it is one.
            did: what it did instead, behind its name.
        """
        self.who = who
        self.did = did
        super().__init__(f"the {who} {did}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the fields: an error crosses from a party's process to the driver."""
        return type(self), (self.who, self.did)


class AttestationError(ProtocolError):
    """Another role's environment is not the one agreed on, so no key is released to it."""


class PendingError(XstatError):
    """A message that a step needs has not arrived in time; rerun the command once it has."""

    exit_code = 4


class ApprovalError(PendingError):
    """Domains have not approved the collaboration of a run, so nothing leaves; names them."""

    def __init__(self, missing: Sequence[str]) -> None:
        """Compose the message: `missing` names the domains whose approvals are not there."""
        self.missing = tuple(missing)
        super().__init__(
            f"nothing leaves before all domains have approved the collaboration; not approved by: "
            f"{', '.join(self.missing)}. Each reads and signs it with: xstat-ray approve"
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the field: an error crosses from a party's process to the driver."""
        return type(self), (self.missing,)


class PartyError(XstatError):
    """An unexpected failure inside a party's environment; only the party's log has the details."""


class PartyLostError(PartyError):
    """A party's environment is gone, with the secrets in its memory; a new one must start."""


class ClusterError(XstatError):
    """The Ray cluster failed for want of nodes, memory or disk; run the same command again."""
