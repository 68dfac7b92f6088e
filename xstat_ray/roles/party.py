"""What the row party and the column party have in common.

A `Party` is a `Session` with the other party that also reads its table, exchanges its persons for
person keys, sends dummies where the study pads, and records what became of its rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import group
from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.tags import tags
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Points
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.padding import Padding
from xstat_ray.privacy.views import count_view
from xstat_ray.roles import kept_keys
from xstat_ray.roles.dummies import Dummies
from xstat_ray.roles.id_exchange import IdExchange
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.intake_record import IntakeRecord
from xstat_ray.roles.session import Session

_SEED_BYTES = 32


class Party(Session):
    """One party inside its isolated environment, where the party itself runs every method.

    Call the handshake of `Session` first; then `intake`; then `blind`, the other party's `evaluate`
    and `finalize`; then `prepare` and `emit` of the subclass.
    """

    divided: ClassVar[bool]
    """Whether several environments divide the persons among them; otherwise each holds all."""
    padded: ClassVar[type[Dummies]]
    """The kind of dummies that this party sends where the study asks for padding."""

    def __init__(
        self, study: Study, source: Source | Path | str, *, seed: bytes | None = None
    ) -> None:
        """Take the study and remember where the table lies; nothing is read yet.

        Args:
            study: what both parties have agreed to count.
            source: the party's table and its lists of people to leave out.
            seed: 32 secret bytes from which the party derives what it draws at random; fresh ones
                if none are given.
        """
        super().__init__(study, os.urandom(_SEED_BYTES) if seed is None else seed)
        self._source = Source.of(source)
        self._record = IntakeRecord(self.role)
        self._exchange = IdExchange(group.random_scalar())
        self._drawn: bytes | None = None

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows of this environment's persons, as far as they have been read."""
        return self._record.counts

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"scalar": self._exchange.scalar}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._exchange.scalar = secrets["scalar"]

    # ID exchange

    @property
    def persons(self) -> int:
        """Number of distinct persons of this environment; the other party learns it."""
        return self._exchange.persons

    def recall(self, folder: Path) -> int:
        """Take up the keys that `finalize` kept in the party's private folder.

        Returns:
            The number of persons that are still to be exchanged.

        Raises:
            ProtocolError: a file is of another release, or was altered.
        """
        self._exchange.recall(*kept_keys.read(folder, self._memory, self._exchange.ids))
        return self._exchange.left

    def blind(self, part: range) -> bytes:
        """Blind a part of the persons that are left: points, sealed for the other party."""
        return self._seal(self._exchange.blind(part, self._agreed.salt), f"blinded {part}")

    def evaluate(self, sealed: bytes, part: range) -> bytes:
        """Multiply the other party's blinded points by this party's scalar, in their order.

        Raises:
            ProtocolError: the message was altered, or a point is invalid or the identity.
        """
        points = self._open(sealed, f"blinded {part}")
        return self._seal(self._exchange.evaluate(points), f"evaluated {part}")

    def finalize(
        self, sealed: Sequence[bytes], parts: Sequence[range], folder: Path | None = None
    ) -> None:
        """Take back this party's points, multiplied by both scalars: they become person keys.

        Args:
            sealed: what the other party returned.
            parts: parts of the persons, as they were blinded; the others may follow later.
            folder: the party's private folder, where the keys are kept, sealed, for a run that
                resumes this release.

        Raises:
            ProtocolError: a message was altered, points are invalid, or their number is another
                than was sent.
            InputError: the folder cannot be written to.
        """
        finalized = [
            self._exchange.finalize(self._open(message, f"evaluated {part}"), part)
            for message, part in zip(sealed, parts, strict=True)
        ]
        if folder is not None and finalized:
            ids = np.concatenate([ids for ids, _ in finalized])
            keys = np.concatenate([keys for _, keys in finalized])
            kept_keys.write(folder, self._memory, ids, keys)
        self._exchange.forget_ids()

    def _seal(self, points: NDArray[np.uint8], purpose: str) -> bytes:
        return self._channel(self.role).seal(Points(points).encode(self._study.digest), purpose)

    def _open(self, sealed: bytes, purpose: str) -> NDArray[np.uint8]:
        opened = self._channel(self.other).open(sealed, purpose)
        return Points.decode(opened, self._study.digest).points

    def _tags(self, person: NDArray[np.int32], period: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """(N, 16) tags of persons, by number, in periods."""
        keys = self._exchange.person_keys
        return tags(self._agreed.tag_key, keys, person, period)

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
            self._drawn = self._channel(self.role).seal(drawn.tobytes(), _numbers_of(grid))
        return self._drawn

    def count_view(self, view: str) -> None:
        """Record in the party's ledger that the pool is about to see its padded table.

        Nothing is recorded where the study has no padding.

        Raises:
            BudgetError: the pool has learnt as much as it may; nothing is to be handed out.
        """
        if self._study.privacy.padding != "dp":
            return
        if self._source.ledger is None:
            raise ProtocolError(f"the {self.role} party has no ledger to count the view in")
        count_view(self._source.ledger, self._study, view)

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
        numbers = self._channel(self.role).open(drawn, _numbers_of(grid))
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
        return self._record.report(self._channel(self.role))

    def record(self, folder: Path, reports: Sequence[bytes]) -> str:
        """Write the intake counts of all environments into the party's private folder.

        Args:
            folder: the party's private folder.
            reports: what `report` of every environment gave.

        Returns:
            Keyed hash, in hex, of all that was read of the party's table and lists; only the party
            can check it.

        Raises:
            InputError: the folder cannot be written to, or environments read different tables.
        """
        return self._record.write(folder, self._channel(self.role), reports)

    def damaged_files(self) -> int:
        """Count the files of the table that were left out; the party's record names them."""
        return len(self._record.set_aside)

    def _start_reading(self) -> ReadDigests:
        """Return what compares all that is read from here on with what was read before."""
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
        """Keyed hash of all that was read; equal where environments of the party read the same."""
        return self._record.digests.digest()


def _numbers_of(grid: ShardGrid) -> str:
    return f"numbers of dummies for {len(grid.regions)} regions and {len(grid.batches)} batches"
