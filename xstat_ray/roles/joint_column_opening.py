"""A column party's part in opening the tables of several column parties.

Each of them decrypts the table under its key, under the consent that all of them have, after it has
debited its ledger. Modulo B, what it reads is a uniform number. All but the first column party send
it to the first, sealed; the first adds up what all have read with its share of the noise, and sends
the row party the sum. So nobody sees what a single party counted: the row party gets the sum alone,
and the numbers that the first column party adds up are uniform and independent but for their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.packing import Packing
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import (
    Debited,
    JointApproval,
    MaskedTable,
    OpenedTable,
    Residues,
)
from xstat_ray.roles.column_links import ColumnLinks
from xstat_ray.roles.consent import Consent, Permit
from xstat_ray.roles.link import Link
from xstat_ray.roles.opening import bytes_below, one_row
from xstat_ray.roles.residue_channel import ResidueChannel
from xstat_ray.roles.seat import Seat


class JointColumnOpening(ColumnLinks):
    """Opens its table where there are several column parties, or several row parties.

    Before anything is emitted the first column party and each other one go through `channel_hello`,
    `channel_agree` and `channel_confirm`. All call `admit` as where there is one; then the others
    `tell_debit`, for the row party, and `open_residues` for every range of nodes, for the first,
    which calls `add_residues` on its own. In the end the first calls `show_sums` for each other
    one, and all call `check_published`.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        names = [terms.name for terms in seat.study.column_parties]
        self._place = names.index(self.party)
        ends = names[1:] if self._place == 0 else [self.party]
        self._residue_channels = {
            name: ResidueChannel(seat.study.digest, name, first=self._place == 0) for name in ends
        }

    def _export(self) -> dict[str, bytes]:
        channels = {
            name: channel.export_bytes() for name, channel in self._residue_channels.items()
        }
        return super()._export() | ({"channels": pack_fields(channels)} if channels else {})

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        for name, exported in unpack_fields(secrets.get("channels", b"")).items():
            self._residue_channels[name].restore(exported)

    # The channel of the first column party and another one, which is named in each call

    def channel_hello(self, other: str) -> bytes:
        """Encode the opening message of the handshake of two column parties."""
        return self._to(other).hello()

    def channel_agree(self, other: str, hello: bytes) -> bytes:
        """Take the other's hello, and return the confirmation to send back.

        Raises:
            ProtocolError: it is of another study, party or software.
        """
        return self._to(other).agree(hello)

    def channel_confirm(self, other: str, confirmation: bytes) -> None:
        """Check that the other holds the same keys.

        Raises:
            ProtocolError: it does not.
        """
        self._to(other).confirm(confirmation)

    def _to(self, other: str) -> ResidueChannel:
        if other not in self._residue_channels:
            raise ProtocolError("these two column parties have nothing to tell each other")
        return self._residue_channels[other]

    # Opening

    def _consent(self, approval: bytes) -> Consent:
        if not self._study.opens_jointly:
            return super()._consent(approval)
        return self._consent_on(self, approval)

    def _consent_on(self, link: Link, approval: bytes) -> Consent:
        """Read the approval of the row party at the other end of a link."""
        read = link._open("approval", approval, JointApproval)
        sessions = [of_row.session() for of_row in self.links]
        return Consent.of_joint(read, sessions, self._place, len(self._study.column_parties))

    def admit(
        self, masked: MaskedTable, approval: bytes, packing: Packing, *consents: bytes
    ) -> bytes:
        """Check a table and the approval of it; see `ColumnOpening.admit`.

        Args:
            masked: the aggregator's table.
            approval: what the row party's `approve` gave, or that of the first.
            packing: how slots are packed into ciphertexts.
            consents: what `consent` of every other row party gave, in the order of the study.
        """
        others = list(self._further.values())
        if len(consents) != len(others):
            raise ProtocolError("not every row party has consented to the opening")
        first = self._consent(approval)
        given = [self._consent_on(*pair) for pair in zip(others, consents, strict=True)]
        for link, consent in zip(others, given, strict=True):
            if consent[:3] != first[:3]:
                raise ProtocolError(f"{link.row_party} consented to another release")
            link._check_ledger(consent.witnessed)
        permit = super().admit(masked, approval, packing)
        for link, consent in zip(others, given, strict=True):
            link._record_head(consent.head)
        return permit

    def tell_debit(self, permit: bytes) -> bytes:
        """Tell the row party that this party's ledger has debited the release, sealed for it.

        Args:
            permit: what `admit` of the party's first environment gave.
        """
        told = Permit.decode(self._within.open(permit, "permit"))
        heads = told.head, told.witnessed
        return self._seal("debited", Debited(told.release, one_row(told.digest), *heads))

    def tell_debit_to_others(self, permit: bytes) -> list[bytes]:
        """Tell all row parties but the first the same, sealed for each.

        Args:
            permit: what `admit` of the party's first environment gave.
        """
        told = Permit.decode(self._within.open(permit, "permit"))
        return [
            link._seal(
                "debited", Debited(told.release, one_row(told.digest), told.head, link._recorded())
            )
            for link in self._further.values()
        ]

    def accept_row_debits(self, approval: bytes, told: Sequence[bytes]) -> None:
        """Record, after publication, that all row parties but the first debited the release.

        Args:
            approval: what was given to `admit`.
            told: what `show_debit` of each gave for this party, in the order of the study.

        Raises:
            ProtocolError: one is missing, or debited another release.
        """
        release = self._consent(approval).release
        for link, sealed in zip(self._further.values(), told, strict=True):
            debited = link._open("debited", sealed, Debited)
            if debited.release != release:
                raise ProtocolError(f"{link.row_party} debited another release than was opened")
            link._record_head(debited.head)

    def open_residues(self, masked: MaskedTable, permit: bytes, part: range) -> bytes:
        """Decrypt a part of this party's table that was admitted, for the first column party.

        Args:
            masked: the whole table under this party's key.
            permit: what `admit` of the party's first environment gave.
            part: nodes that are decrypted.

        Returns:
            The `Residues`, sealed for the first column party.

        Raises:
            ProtocolError: the table is not the one that was admitted; nothing was decrypted.
        """
        told = self._permit(permit, masked)
        rows = self._lay_out(self._residues(masked, told, part), masked, told)
        message = Residues(told.release, told.commitment.hex(), part.start, rows)
        return self._to(self.party).seal(message.encode(self._study.digest), "residues")

    def _residues(self, masked: MaskedTable, told: Permit, part: range) -> list[mpz]:
        """Decrypt nodes of this party's table, modulo B."""
        opened = self._key_holder().decrypt(masked, told.release, part)
        numbers = from_rows(opened.numbers.reshape(-1, self._public.width // 2))
        return [number % told.sum_modulus for number in numbers]

    @staticmethod
    def _lay_out(numbers: list[mpz], masked: MaskedTable, told: Permit) -> NDArray[np.uint8]:
        """(C, blocks, bytes of B) rows of numbers below B."""
        width = bytes_below(told.sum_modulus)
        return to_rows(numbers, width).reshape(-1, masked.ciphertexts.shape[1], width)

    def add_residues(
        self,
        masked: MaskedTable,
        permit: bytes,
        part: range,
        noise: bytes,
        residues: Sequence[bytes],
    ) -> bytes:
        """Add up a part of all column parties' tables and this party's share of the noise.

        Args:
            masked: the whole table under this party's key, which is that of the first.
            permit: what `admit` of the party's first environment gave.
            part: nodes that are decrypted and added up.
            noise: what `noise_of` of the party's first environment gave for them.
            residues: what `open_residues` of all other column parties gave for them, in the order
                of the study.

        Returns:
            The sums modulo B, sealed for the row party.

        Raises:
            ProtocolError: the residues of a column party are missing, or are of other nodes or of
                another release; or the table is not the one that was admitted.
        """
        told = self._permit(permit, masked)
        names = [terms.name for terms in self._study.column_parties[1:]]
        if self._place != 0 or len(residues) != len(names):
            raise ProtocolError("the first column party adds up what all others opened")
        modulus = told.sum_modulus
        blocks = masked.ciphertexts.shape[1]
        sums = self._noise_in(noise, part)
        for name, sealed in zip(names, residues, strict=True):
            sums = masking.add(sums, self._read_residues(name, sealed, told, part, blocks), modulus)
        sums = masking.add(sums, self._residues(masked, told, part), modulus)
        rows = self._lay_out(sums, masked, told)
        heads = told.head, told.witnessed
        return self._seal("opened", OpenedTable(told.release, part.start, rows, *heads))

    def _read_residues(
        self, name: str, sealed: bytes, told: Permit, part: range, blocks: int
    ) -> list[mpz]:
        """Read what another column party opened of these nodes, without trust in it."""
        opened = self._to(name).open(sealed, "residues")
        message = Residues.decode(opened, self._study.digest)
        if (message.release, message.commitment) != (told.release, told.commitment.hex()):
            raise ProtocolError(f"{name} opened another release than this column party")
        shape = len(part), blocks, bytes_below(told.sum_modulus)
        if message.numbers.shape != shape or message.first != part.start:
            raise ProtocolError(f"{name} opened other nodes than this column party")
        numbers = from_rows(message.numbers.reshape(-1, shape[-1]))
        if any(number >= told.sum_modulus for number in numbers):
            raise ProtocolError(f"{name} sent numbers that are not below B")
        return numbers

    # What can be checked after publication

    def show_sums(self, other: str, opened: Sequence[bytes]) -> list[bytes]:
        """Show another column party what this one, the first, sent the row party, sealed for it.

        Args:
            other: the other column party.
            opened: all parts, as `add_residues` sealed them.
        """
        digest = self._study.digest
        channel = self._to(other)
        return [channel.seal(part.encode(digest), "sums") for part in super()._read_opened(opened)]

    def _read_opened(self, opened: Sequence[bytes]) -> list[OpenedTable]:
        if self._place == 0:
            return super()._read_opened(opened)
        channel = self._to(self.party)
        digest = self._study.digest
        return [OpenedTable.decode(channel.open(part, "sums"), digest) for part in opened]
