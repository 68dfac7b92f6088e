"""A party's own record of its intake: what became of its rows. It is shared with nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.model.study import Role
from xstat_ray.roles.dropped_forms import DroppedForms
from xstat_ray.roles.intake import ExcludeList, IntakeCounts, different_tables
from xstat_ray.roles.private_file import write_private
from xstat_ray.util.secrecy import Secret

INTAKE_RECORD = "intake.json"
"""File in the party's private folder that tells what became of the rows of its table."""
_PURPOSE = "intake record"
_REPORT_BYTES = 4096
"""Size of every report, as the driver sees it and must not learn how many digits counts have."""


class IntakeRecord(Secret):
    """What one environment of a party notes of its intake.

    The environments of a party seal what they note to each other, and one of them writes it all.
    """

    def __init__(self, role: Role) -> None:
        """Start a record in which nothing is noted yet."""
        self._role = role
        self.taken = IntakeCounts()
        """What became of the rows before any was read for an emission."""
        self.emitted: dict[range, IntakeCounts] = {}
        """What became of the rows in each range of periods that was read for an emission."""
        self.dropped = DroppedForms(())
        """Forms of ids and values that were dropped before any was read for an emission."""
        self.emitted_dropped: dict[range, DroppedForms] = {}
        """Forms of values that were dropped in each of these ranges."""
        self.lists = tuple[ExcludeList, ...]()
        """What was read of the lists of people to leave out."""
        self.values = list[dict[str, str | int]]()
        """What became of the values of each measure, of rows that take part."""
        self.set_aside = tuple[InputError, ...]()
        """Errors of the files of the table that were left out."""
        self.unsorted: list[str] | None = None
        """Names of the files that are not sorted by id; None where the order does not matter."""

        self.expected: tuple[bytes, bool] | None = None
        """What an earlier step has read, and whether the files lie where they lay."""
        self._digests: ReadDigests | None = None
        self._surveyed = ""
        """Digest of what was read before any row was read for an emission."""

    def start_reading(self, key: bytes) -> ReadDigests:
        """Return what compares all that is read from here on with what was read before.

        Args:
            key: 16 secret bytes, the same in all environments and steps of the party.
        """
        self._digests = ReadDigests(key)
        if self.expected is not None:
            self._digests.expect(*self.expected)
        return self._digests

    def end_survey(self) -> None:
        """Note what was read before any row is read for an emission.

        Raises:
            InputError: a file of an earlier step is gone.
        """
        self.digests.check_all_listed()
        self._surveyed = self.digests.digest()

    @property
    def digests(self) -> ReadDigests:
        """What was read of the party's table and lists of people to leave out.

        Raises:
            ProtocolError: nothing was.
        """
        if self._digests is None:
            raise ProtocolError("the intake has not taken place")
        return self._digests

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows, as far as this environment has read them."""
        return self.taken.with_parts(self.emitted.values())

    def report(self, channel: Channel) -> bytes:
        """Seal what this environment notes for the environment that writes the record.

        Raises:
            InputError: a file has changed since it was read.
        """
        self.digests.check_unchanged()
        emitted = self.dropped.empty()
        for part in self.emitted_dropped.values():
            emitted.take(part.export())
        noted = {
            "taken": self.taken.as_dict(),
            "emitted": IntakeCounts().with_parts(self.emitted.values()).as_dict(),
            "dropped": self.dropped.export(),
            "emitted_dropped": emitted.export(),
            "surveyed": self._surveyed,
            "read": self.digests.digest(),
        }
        text = json.dumps(noted, ensure_ascii=False).encode()
        assert len(text) <= _REPORT_BYTES
        return channel.seal(text.ljust(_REPORT_BYTES), _PURPOSE)

    def write(self, folder: Path, channel: Channel, reports: Sequence[bytes]) -> str:
        """Write the counts of all environments into the party's private folder.

        Each has the survey of the whole table, and has read the batches that it emitted.

        Args:
            folder: the party's private folder.
            channel: opens the reports.
            reports: what `report` of every environment gave.

        Returns:
            Keyed hash of all that the environments have read, in hex.

        Raises:
            InputError: the folder cannot be written to, or environments read different tables.
        """
        opened = [json.loads(channel.open(report, _PURPOSE)) for report in reports]
        if len({part["surveyed"] for part in opened}) > 1:
            raise different_tables(self._role)
        dropped = self.dropped.empty()
        for forms in (opened[0]["dropped"], *(part["emitted_dropped"] for part in opened)):
            dropped.take(forms)
        record: dict[str, Any] = {"party": self._role}
        emitted = [IntakeCounts(**part["emitted"]) for part in opened]
        record |= IntakeCounts(**opened[0]["taken"]).with_parts(emitted).as_dict()
        record["forms"] = dropped.as_dict()
        record["exclude"] = [listed.as_dict() for listed in self.lists]
        record["set_aside"] = [
            {"file": error.file, "problem": str(error)} for error in self.set_aside
        ]
        if self.values:
            record["measures"] = self.values
        if self.unsorted is not None:
            record["unsorted"] = self.unsorted
        write_private(folder, INTAKE_RECORD, (json.dumps(record, indent=2) + "\n").encode())
        return self.digests.digest_of_all([part["read"] for part in opened])
