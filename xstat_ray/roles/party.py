"""What the row party and the column party have in common.

A `Party` has a `Link` with the other party. It also reads its table, sends dummies where the study
pads, and records what became of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.model.shards import ShardGrid
from xstat_ray.privacy.padding import Padding
from xstat_ray.privacy.views import count_view
from xstat_ray.roles.dummies import Dummies
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.intake_record import IntakeRecord
from xstat_ray.roles.link import Link
from xstat_ray.roles.seat import Seat


class Party(Link):
    """One party inside its isolated environment, where the party itself runs every method.

    It is its own end of the link with the other party, or with the first of several.

    Where a party has several environments, each holds all persons; they divide the bins of the ID
    exchange and what they emit, and those of the row party the survey of the table (`RowIntake`).

    Call the handshake of `Session` first; then `intake`; then the ID exchange of `Link`; then
    `prepare` and `emit` of the subclass.
    """

    padded: ClassVar[type[Dummies]]
    """The kind of dummies that this party sends where the study asks for padding."""

    def __init__(self, seat: Seat) -> None:
        """Remember where the table lies; nothing is read yet."""
        super().__init__(seat)
        self._record = IntakeRecord(self.role)
        self._drawn: bytes | None = None

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows, as far as this environment has read them."""
        return self._record.counts

    # Padding

    def draw_dummies(self, grid: ShardGrid) -> bytes | None:
        """Draw how many dummies there are, sealed for all environments of this party.

        They are drawn once in a release, by one environment, as two draws for the same count could
        be averaged. A repeat returns the numbers that were drawn.

        Returns:
            The sealed numbers; None where the study has no padding.
        """
        padding = Padding.of_study(self._study, grid)
        if padding is not None and self._drawn is None:
            drawn = self.padded.draw(padding).astype("<i8")
            self._drawn = self._within.seal(drawn.tobytes(), _numbers_of(grid))
        return self._drawn

    def count_view(self) -> None:
        """Record in the party's ledger that the pool is about to see its padded table.

        The view is counted once, however often this is called. Nothing is recorded where the study
        has no padding.

        Raises:
            BudgetError: the pool has learnt as much as it may; nothing is to be handed out.
        """
        if self._study.privacy.padding != "dp":
            return
        if self._source.ledger is None:
            raise ProtocolError(f"the {self.role} party has no ledger to count the view in")
        dataset = self._dataset(self.role)
        count_view(self._source.ledger, dataset, self._study, self._agreed.view)

    def _dummies_drawn(
        self, grid: ShardGrid, drawn: bytes | None
    ) -> tuple[Padding, NDArray[np.int64]] | None:
        """Open what `draw_dummies` gave; returns the padding with it, or None without padding.

        Raises:
            ProtocolError: it is missing, altered, or was drawn for another cut into shards.
        """
        padding = Padding.of_study(self._study, grid)
        if padding is None:
            return None
        if drawn is None:
            raise ProtocolError("the study's padding was not drawn")
        numbers = self._within.open(drawn, _numbers_of(grid))
        return padding, np.frombuffer(numbers, "<i8")

    # The party's own record

    def kernel(self) -> str:
        """Return the name of the kernel that computes in this environment."""
        return kernel().name

    def report(self) -> bytes:
        """Seal what this environment notes of its intake for the one that writes the record.

        Raises:
            InputError: a file has changed since it was read.
        """
        return self._record.report(self._within)

    def record(self, folder: Path, reports: Sequence[bytes]) -> str:
        """Write the intake counts of all environments into the party's private folder.

        Args:
            folder: the party's private folder.
            reports: what `report` of every environment gave.

        Returns:
            Keyed hash, in hex, of all that was read of the party's table and lists; only the party
            can check it.

        Raises:
            InputError: the folder cannot be written to, or environments have read different tables.
        """
        return self._record.write(folder, self._within, reports)

    def damaged_files(self) -> int:
        """Count the files of the table that were left out; the party's record names them."""
        return len(self._record.set_aside)

    def _start_reading(self) -> ReadDigests:
        """Return what compares all that is read from here on with what was read before.

        Raises:
            InputError: this environment would write ids, periods or values otherwise than one of
                the party's before.
        """
        self._check_libraries()
        return self._record.start_reading(derive(self._seed, "what was read"))

    def expect_input(self, read: bytes, stamps: bool) -> None:
        """Demand, before the intake, that the input is that of an earlier step of the run.

        Args:
            read: what `input_read` gave in the earlier step.
            stamps: whether this environment reads the files at the same place as it did.
        """
        self._record.expected = (read, stamps)

    def input_read(self) -> bytes:
        """Write down, as keyed digests, what this environment has read; for the party alone."""
        return self._record.digests.export()

    def replica_digest(self) -> str:
        """Keyed hash of all that was read; after the intake equal in all of the party's."""
        return self._record.digests.digest()


def _numbers_of(grid: ShardGrid) -> str:
    return f"numbers of dummies for {len(grid.regions)} regions and {len(grid.batches)} batches"
