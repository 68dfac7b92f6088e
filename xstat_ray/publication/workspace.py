"""The output folder of a cross-tab and, while it is unfinished, what a rerun needs to finish it.

The noise of a release must never be drawn twice, and a session opens one table. The ciphertexts,
with masks and without, are therefore stored before anybody is shown them, beside the secrets of
each party in a folder for that party alone. A rerun of the study finds and replays them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.errors import InputError
from xstat_ray.model.messages import MaskedTable, RerandomisedTable
from xstat_ray.planning.disk import output_bytes
from xstat_ray.planning.plan import Plan
from xstat_ray.publication.output_folder import OutputFolder
from xstat_ray.roles.opening import ToOpen
from xstat_ray.util.files import unwritable, write_whole

_FACTS = "facts.json"
_MASKED = "masked.msg"
_RERANDOMISED = "rerandomised.msg"
_RECEIPTS = "receipts"


@dataclass(frozen=True)
class Resumable:
    """A release whose noise was drawn and that was not published."""

    to_open: ToOpen
    facts: dict[str, Any]
    """The manifest, made when the noise was stored."""


class Workspace(OutputFolder):
    """Exclusive use of an output folder for a cross-tab; a context manager."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Take the folder, before anything expensive starts.

        Args:
            folder: the output folder; it is made if it does not exist.
            plan: the plan of the release.

        Raises:
            InputError: the folder holds a release, has too little room, cannot be written to, or
                another run is using it.
        """
        self._plan = plan
        super().__init__(folder, _MASKED, output_bytes(plan))

    def private_folder(self, role: str) -> Path:
        """Folder where a party keeps what it records of this release for itself."""
        return self.folder / "parties" / role

    def count_view(self) -> int:
        """Record durably that the aggregator is about to see the padded tables of this release.

        A run that fails later and is started again shows them once more, with fresh dummies.

        Returns:
            How often the aggregator has seen them, this time included.

        Raises:
            InputError: the folder cannot be written to.
        """
        place = self.private_folder("pool")
        try:
            place.mkdir(parents=True, exist_ok=True)
            count = 1 + (int((place / "views").read_text()) if (place / "views").exists() else 0)
            write_whole(place / "views", str(count).encode())
        except OSError as error:
            raise unwritable(self.folder, error) from None
        return count

    def party(self, role: str) -> Path:
        """Folder for the secrets of a party while the release is unfinished."""
        return self.unfinished / role

    def keep(self, to_open: ToOpen, facts: dict[str, Any]) -> None:
        """Store the tables and the manifest durably; from here on a rerun replays them.

        Raises:
            InputError: the disk is full; nothing was published or spent.
        """
        study = self._plan.study
        try:
            head = {
                "key_bits": self._plan.key_bits,
                "slot_bits": self._plan.packing.slot_bits,
                "facts": facts,
            }
            contents = {_FACTS: json.dumps(head).encode()}
            # The first masked table comes last: it tells that all is stored.
            for number, shown in reversed(list(enumerate([to_open, *to_open.others]))):
                receipts = {str(place): kept for place, kept in enumerate(shown.receipts)}
                contents[_of_key(_RECEIPTS, number)] = pack_fields(receipts)
                contents[_of_key(_RERANDOMISED, number)] = shown.rerandomised.encode(study.digest)
                contents[_of_key(_MASKED, number)] = shown.masked.encode(study.digest)
            for name, content in contents.items():
                write_whole(self.unfinished / name, content)
        except OSError as error:
            shutil.rmtree(self.unfinished, ignore_errors=True)
            raise unwritable(self.folder, error) from None

    def resumable(self) -> Resumable | None:
        """Read the unfinished release of this study, None if there is none.

        Raises:
            InputError: the folder holds the unfinished release of another study or key size.
        """
        if not self.stored:
            return None
        head = json.loads((self.unfinished / _FACTS).read_text())
        same = (
            head["key_bits"] == self._plan.key_bits
            and head["slot_bits"] == self._plan.packing.slot_bits
        )
        if not same or head["facts"]["study_digest"] != self._plan.study.digest.hex():
            raise InputError(
                "the output folder holds the unfinished release of another study or key size",
                file=str(self.folder),
                remedy="Run that study again to finish it, or choose another out=",
            )
        return Resumable(self._to_open(head["facts"]["release"]), head["facts"])

    def _to_open(self, release: str) -> ToOpen:
        parties = len(self._plan.study.column_parties)
        first, *others = [self._shown(release, number) for number in range(parties)]
        return replace(first, others=others)

    def _shown(self, release: str, number: int) -> ToOpen:
        """Read the tables under the key of one column party, by its place in the study."""
        digest = self._plan.study.digest
        receipts, rerandomised, masked = (
            (self.unfinished / _of_key(name, number)).read_bytes()
            for name in (_RECEIPTS, _RERANDOMISED, _MASKED)
        )
        return ToOpen(
            release,
            RerandomisedTable.decode(rerandomised, digest),
            MaskedTable.decode(masked, digest),
            list(unpack_fields(receipts).values()),
        )


def _of_key(name: str, number: int) -> str:
    """Name of a file of the column party at this place in the study."""
    return f"{name}.{number}" if number else name
