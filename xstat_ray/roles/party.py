"""What the row party and the column party have in common.

A `Party` has a `Session` with the other party and is a `Payer`. It also reads its table, exchanges
its persons for person keys, sends dummies where the study pads, and records what became of its
rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.oprf import PERSON_KEY_BYTES
from xstat_ray.crypto.tags import tags
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.model.encoding import Message
from xstat_ray.model.messages import Choices, Matrix, Offer
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.padding import Padding
from xstat_ray.privacy.views import count_view
from xstat_ray.roles.dummies import Dummies
from xstat_ray.roles.id_exchange import IdExchange, Shape
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.intake_record import IntakeRecord
from xstat_ray.roles.payer import Payer

_SEED_BYTES = 32
_COUNT_BYTES = 8
MessageT = TypeVar("MessageT", bound=Message)


class Party(Payer):
    """One party inside its isolated environment, where the party itself runs every method.

    Where a party has several environments, each surveys the whole table and holds all persons; they
    divide the bins of the ID exchange, and what they emit.

    Call the handshake of `Session` first; then `intake`; then `offer_columns`, `choose_columns` and
    `accept_choices`; then, for every bin, `hide` and `evaluate`; then `prepare` and `emit` of the
    subclass.
    """

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
        super().__init__(study, source, os.urandom(_SEED_BYTES) if seed is None else seed)
        self._record = IntakeRecord(self.role)
        self._exchange = IdExchange(self.role, os.urandom(_SEED_BYTES))
        self._drawn: bytes | None = None

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows, as far as this environment has read them."""
        return self._record.counts

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"exchange": self._exchange.seed}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._exchange.seed = secrets["exchange"]

    # ID exchange

    def offer_columns(self) -> bytes:
        """Announce this party's persons, rounded up, sealed for the other party.

        The offer also asks for what this party has recorded of the other's ledger. Called in the
        party's first environment, as are `choose_columns`, `accept_choices` and `share_exchange`.

        Raises:
            InputError: the ledger cannot be used.
        """
        offer = self._exchange.offer()
        return self._seal("offer", replace(offer, witnessed=self._ask_heads()))

    def choose_columns(self, sealed: bytes) -> bytes:
        """Take the other party's offer, and choose among its columns, sealed for it.

        Raises:
            InputError: this party's ledger lacks what the other has recorded of it.
            ProtocolError: the message was altered, or is no offer.
        """
        theirs = self._open("offer", sealed, Offer)
        self._check_ledger(theirs.witnessed)
        mine = self._exchange.offer()
        return self._seal("choices", self._exchange.choose(mine, theirs, self._agreed.view))

    def accept_choices(self, sealed: bytes) -> Shape:
        """Take the other party's choices.

        Returns:
            The public figures of the exchange, which is ready to work through its bins.

        Raises:
            ProtocolError: the message was altered, or holds no choices.
        """
        self._exchange.accept(self._open("choices", sealed, Choices), self._agreed.view)
        return self._exchange.shape

    def share_exchange(self) -> bytes:
        """Seal what the choices gave for the party's other environments."""
        return self._within.seal(self._exchange.share(), "exchange")

    def join_exchange(self, sealed: bytes) -> None:
        """Take what `share_exchange` of the party's first environment gave."""
        self._exchange.join(self._within.open(sealed, "exchange"))

    def hide(self, number: int) -> bytes:
        """Hide the persons of a bin, sealed for the other party.

        Raises:
            ProtocolError: the bin is fuller than its public capacity.
        """
        matrix = self._exchange.hide(number, self._agreed.salt)
        return self._seal(f"matrix {number}", matrix)

    def evaluate(self, sealed: bytes, number: int) -> None:
        """Give the persons of a bin their keys, by the other party's matrix.

        Raises:
            ProtocolError: the message was altered, or holds another matrix.
        """
        theirs = self._open(f"matrix {number}", sealed, Matrix)
        if theirs.bin != number:
            raise ProtocolError("the other party sent the matrix of another bin")
        self._exchange.evaluate(theirs, self._agreed.salt)

    def keys_of(self, number: int) -> bytes:
        """Seal the keys of a bin for the party's other environments.

        The driver, which hands them on, sees the size of a full bin.
        """
        keys = self._exchange.keys_of(number)
        capacity = self._exchange.shape.capacity(self.role)
        packed = len(keys).to_bytes(_COUNT_BYTES, "little") + keys.tobytes()
        filled = packed.ljust(_COUNT_BYTES + capacity * PERSON_KEY_BYTES, b"\0")
        return self._within.seal(filled, f"keys {number}")

    def put_keys(self, sealed: bytes, number: int) -> None:
        """Take the keys of a bin that another environment worked out."""
        opened = self._within.open(sealed, f"keys {number}")
        count = int.from_bytes(opened[:_COUNT_BYTES], "little")
        keys = np.frombuffer(opened, np.uint8, count * PERSON_KEY_BYTES, _COUNT_BYTES)
        self._exchange.put(number, keys.reshape(count, PERSON_KEY_BYTES))

    def _seal(self, purpose: str, message: Message) -> bytes:
        return self._channel(self.role).seal(message.encode(self._study.digest), purpose)

    def _open(self, purpose: str, sealed: bytes, kind: type[MessageT]) -> MessageT:
        opened = self._channel(self.other).open(sealed, purpose)
        return kind.decode(opened, self._study.digest)

    def view(self) -> str:
        """Name the view that the pool gets: the handshake's, as each shows one."""
        return self._agreed.view

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
        side = self._study.row if self.role == "row" else self._study.column
        count_view(self._source.ledger, side.dataset, self._study, self._agreed.view)

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
            InputError: the folder cannot be written to, or environments surveyed different tables.
        """
        return self._record.write(folder, self._within, reports)

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
        """Keyed hash of all that was read; after the intake equal in all of the party's."""
        return self._record.digests.digest()


def _numbers_of(grid: ShardGrid) -> str:
    return f"numbers of dummies for {len(grid.regions)} regions and {len(grid.batches)} batches"
