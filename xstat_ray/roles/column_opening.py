"""The column party's part in opening the table, for which it acts as the key holder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Approval, Coefficients, MaskedTable, MaskSeed, OpenedTable
from xstat_ray.privacy.design import Design
from xstat_ray.roles.consent import Consent, Permit
from xstat_ray.roles.key_holder import KeyHolder
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.opening import proven_key, table_digest
from xstat_ray.roles.row_opening import unmasked
from xstat_ray.roles.seat import Seat

ADMITTED = "admitted"
"""File in the private folder with the table that was admitted."""


class ColumnOpening(NoiseShare):
    """Has the key: makes it, and opens the one table that the row party approved.

    Call `generate_key`, and what `NoiseShare` tells; then `admit` on the table and the row party's
    approval, and `open_part` for every range of nodes; `check_published` once the row party has
    shown its masks.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._key: PrivateKey | None = None

    def generate_key(self, key_bits: int, constant_time: bool = False) -> None:
        """Make the release's Paillier key.

        Args:
            key_bits: bits of the modulus.
            constant_time: whether the time of a decryption may not depend on the key.
        """
        self._key = generate(key_bits, constant_time)

    def public_key(self) -> bytes:
        """Return the encoded public key, with a proof that masks under it hide everything."""
        return proven_key(self._private_key)

    @property
    def _private_key(self) -> PrivateKey:
        if self._key is None:
            raise ProtocolError("the column party has no key yet")
        return self._key

    @property
    def _public(self) -> PublicKey:
        return self._private_key.public

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"paillier": self._private_key.export_bytes()}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._key = PrivateKey.from_bytes(secrets["paillier"])

    def _key_holder(self) -> KeyHolder:
        return KeyHolder(self._study, self._private_key)

    def check_table(self, masked: MaskedTable, packing: Packing) -> None:
        """Check that a table can be decrypted.

        Raises:
            ProtocolError: the table does not have the study's size, or holds something that is not
                a ciphertext.
        """
        self._key_holder().check(masked, packing)

    def admit(self, masked: MaskedTable, approval: bytes, packing: Packing) -> bytes:
        """Check a table and the row party's approval of it, and debit this party's data set.

        Which table it is stands in the private folder before anything is decrypted, and the head of
        the row party's ledger in this party's; another table is refused for the rest of the
        session.

        Args:
            masked: the aggregator's table.
            approval: what the row party's `approve` gave.
            packing: how slots are packed into ciphertexts.

        Returns:
            The permit for `open_part`, sealed for this party's environments.

        Raises:
            BudgetError: the budget does not allow the release; nothing was decrypted.
            InputError: this party's ledger lacks what the row party has recorded of it.
            ProtocolError: the approval is not the row party's, or of another table; or another
                table was admitted before; or the table is none.
        """
        consent = self._consent(approval)
        if consent.digest != table_digest(masked, self._study):
            raise ProtocolError("the row party approved another table than the aggregator's")
        self.check_table(masked, packing)
        self._check_ledger(consent.witnessed)
        self._settle(ADMITTED, consent.terms)
        self._record_head(consent.head)
        self._pay(consent.release)
        sum_bits = packing.sum_modulus.bit_length() - 1
        permit = Permit(*consent[:3], self._head(), self._recorded(), sum_bits)
        return self._within.seal(permit.encode(), "permit")

    def approved_release(self, approval: bytes) -> tuple[str, bytes]:
        """Name the release that an approval is of, with the digest of all that is opened for it.

        Raises:
            ProtocolError: the approval is not the row party's, or of another session.
        """
        consent = self._consent(approval)
        return consent.release, consent.opened

    def _consent(self, approval: bytes) -> Consent:
        """Read an approval; the row party must have formed the same id of the release."""
        return Consent.of(self._open("approval", approval, Approval), self.session())

    def _permit(self, sealed: bytes, masked: MaskedTable) -> Permit:
        """Open a permit, which must be of this table."""
        permit = Permit.decode(self._within.open(sealed, "permit"))
        if permit.digest != table_digest(masked, self._study):
            raise ProtocolError("the table is not the one that was admitted")
        return permit

    def open_part(self, masked: MaskedTable, permit: bytes, part: range, noise: bytes) -> bytes:
        """Decrypt a part of the table that was admitted, add this party's share of the noise.

        Args:
            masked: the whole table.
            permit: what `admit` of the party's first environment gave.
            part: nodes that are decrypted.
            noise: what `noise_of` of the party's first environment gave for them.

        Returns:
            The numbers, sealed for the row party.

        Raises:
            ProtocolError: the table is not the one that was admitted; nothing was decrypted.
        """
        told = self._permit(permit, masked)
        opened = self._key_holder().decrypt(masked, told.release, part)
        n = self._public.n
        decrypted = from_rows(opened.numbers.reshape(-1, self._public.width // 2))
        numbers = masking.add(decrypted, self._noise_in(noise, part), n)
        rows = to_rows(numbers, self._public.width // 2).reshape(opened.numbers.shape)
        sent = replace(opened, numbers=rows, head=told.head, witnessed=told.witnessed)
        return self._seal("opened", sent)

    def read_coefficients(self, sealed: bytes) -> Coefficients:
        """Read the coefficients that the row party says it published.

        Raises:
            ProtocolError: altered, or not the row party's.
        """
        return self._open("coefficients", sealed, Coefficients)

    def check_published(
        self,
        approval: bytes,
        opened: Sequence[bytes],
        shown: bytes,
        published: Coefficients,
        packing: Packing,
    ) -> None:
        """Check that what was published is what this party opened.

        The row party's order of nodes stays unknown, so nodes are compared without their names:
        those of every measured level must be among those that were opened on it. The head of the
        row party's ledger is then recorded in this party's, where the debit is made again: it may
        be another copy than the one that was debited.

        Args:
            approval: what was given to `admit`.
            opened: all parts of the table, as `open_part` sealed them.
            shown: what the row party's `show_mask` gave.
            published: the coefficients in declared order, from which the tables follow.
            packing: how slots are packed into ciphertexts.

        Raises:
            BudgetError: the ledger is not the one that was debited, and has no budget for this.
            ProtocolError: the row party shows other masks than it was bound to, or published other
                figures.
        """
        consent = self._consent(approval)
        self._settle(ADMITTED, consent.terms)
        mask = self._open("mask", shown, MaskSeed)
        seed = mask.seed.tobytes()
        masking.check_commitment(consent.commitment, seed)
        parts = self._read_opened(opened)
        values = np.concatenate([self._values(seed, part, packing) for part in parts])
        design = Design.of_study(self._study)
        if {mask.release, published.release} != {consent.release} or published.values.shape != (
            design.nodes,
            self._study.width,
        ):
            raise ProtocolError("the row party published another release than was opened")
        for level, of_level in zip(design.sections, design.shown_sections, strict=True):
            if not _among(published.values[level], values[of_level]):
                raise ProtocolError("the row party published other figures than were opened")
        self._pay(consent.release)
        self._record_head(mask.head)

    def _read_opened(self, opened: Sequence[bytes]) -> list[OpenedTable]:
        """Read the parts of the table as this party sealed them for the row party."""
        channel = self._channel(self.role)
        digest = self._study.digest
        return [OpenedTable.decode(channel.open(part, "opened"), digest) for part in opened]

    def _values(self, seed: bytes, part: OpenedTable, packing: Packing) -> NDArray[np.int64]:
        """Take the masks off a part of the table that this party opened."""
        return unmasked(seed, self._modulus(packing), part, packing)


def _among(some: NDArray[np.int64], all_of_them: NDArray[np.int64]) -> bool:
    """Tell whether the rows of a table are among those of another, each as often."""
    found, known = (Counter(map(bytes, rows)) for rows in (some, all_of_them))
    return found <= known
