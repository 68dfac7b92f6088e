"""A party's own record of its intake: what became of its rows. It is shared with nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import InputError
from xstat_ray.model.study import Role
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.private_file import write_private
from xstat_ray.util.secrecy import Secret

INTAKE_RECORD = "intake.json"
"""File in the party's private folder that tells what became of the rows of its table."""
_PURPOSE = "intake counts"
_REPORT_BYTES = 1024
"""Size of every report, as the driver sees it and must not learn how many digits counts have."""


class IntakeRecord(Secret):
    """What one environment of a party notes of its intake.

    The environments of a party seal their counts to each other, and one of them writes the sum.
    """

    def __init__(self, role: Role) -> None:
        """Start a record in which nothing is noted yet."""
        self._role = role
        self.taken = IntakeCounts()
        """What became of the rows before any was read for an emission."""
        self.emitted: dict[range, IntakeCounts] = {}
        """What became of the rows in each range of periods that was read for an emission."""
        self.set_aside = tuple[InputError, ...]()
        """Errors of the files of the table that were left out."""
        self.unsorted: list[str] | None = None
        """Names of the files that are not sorted by id; None where the order does not matter."""

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows of this environment's persons, as far as they have been read."""
        return self.taken.with_parts(self.emitted.values())

    def report(self, channel: Channel) -> bytes:
        """Seal the counts of this environment for the environment that writes the record."""
        counts = json.dumps(self.counts.as_dict()).encode()
        return channel.seal(counts.ljust(_REPORT_BYTES), _PURPOSE)

    def write(self, folder: Path, channel: Channel, reports: Sequence[bytes]) -> None:
        """Write the counts of all environments into the party's private folder.

        Args:
            folder: the party's private folder.
            channel: opens the reports.
            reports: what `report` of every environment gave.

        Raises:
            InputError: the folder cannot be written to.
        """
        opened = [json.loads(channel.open(report, _PURPOSE)) for report in reports]
        record: dict[str, Any] = {"party": self._role}
        record |= {name: sum(report[name] for report in opened) for name in opened[0]}
        record["set_aside"] = [
            {"file": error.file, "problem": str(error)} for error in self.set_aside
        ]
        if self.unsorted is not None:
            record["unsorted"] = self.unsorted
        write_private(folder, INTAKE_RECORD, (json.dumps(record, indent=2) + "\n").encode())
