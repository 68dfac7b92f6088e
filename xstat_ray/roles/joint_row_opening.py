"""The row party's part in opening the tables of several column parties.

There is a table under the key of every column party, and all are masked, approved and paid for
together. What comes back is the sum over all of them, under the sum of the masks: the row party
sees nothing of a single one, and shows nothing of a single mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import masking
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.sum_masks import sum_mask_numbers
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import (
    Coefficients,
    Debited,
    JointApproval,
    MaskedTable,
    MaskSeed,
    RerandomisedTable,
)
from xstat_ray.roles.opening import joint_release_id, one_row, table_digest
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_links import RowLinks
from xstat_ray.roles.row_opening import APPROVED, Masked, rows_of
from xstat_ray.roles.seat import Seat

_DIGEST_BYTES = 32


class JointRowOpening(RowLinks):
    """Masks and approves the tables of several column parties.

    Each of `links` has the key of a column party. Call `mask_tables` for every range of nodes,
    `approve_tables` once all are out, `accept_debits`, `unmask` on what the first column party
    sent, and `show_masks` after publication.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._single_seed = masking.draw_seed()
        """From which all but the sums of the masks follow; never shown."""
        self._debited = len(self.links) == 1
        """Whether all column parties but the first have told their debits."""

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"single masks": self._single_seed}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._single_seed = secrets["single masks"]

    def mask_tables(
        self,
        part: range,
        noise: bytes,
        packing: Packing,
        planned: int,
        constant_time: bool = False,
    ) -> list[Masked]:
        """Encrypt the masks of some nodes under every key, as `mask_table` does under one.

        This party's share of the noise is in the masks for the first column party; `planned` are
        the ciphertexts under each key.

        Returns:
            The masks for every column party, in the order of the study.
        """
        moduli = [link._public.n for link in self.links]
        rows = rows_of(part, packing.blocks)
        seeds = self._mask_seed, self._single_seed
        numbers = sum_mask_numbers(*seeds, moduli, packing.sum_modulus, rows)
        numbers[0] = masking.add(numbers[0], self._noise_in(noise, part), moduli[0])
        return [
            self._encrypt_masks(link, part, of_link, planned, constant_time)
            for link, of_link in zip(self.links, numbers, strict=True)
        ]

    def approve_tables(
        self,
        rerandomised: Sequence[RerandomisedTable],
        masked: Sequence[MaskedTable],
        receipts: Sequence[Sequence[bytes]],
    ) -> list[bytes]:
        """Consent to open the tables of all column parties; see `approve`.

        This party's data set is debited once.

        Args:
            rerandomised: the aggregator's table under every key without masks, in the order of the
                study.
            masked: the same with them.
            receipts: for every key, what came with all masks, in the order of the nodes.

        Returns:
            The `JointApproval`, sealed for each column party.

        Raises:
            BudgetError: the budget does not allow the release; nothing was approved.
            InputError: the ledger lacks what a column party has recorded of it.
            ProtocolError: a masked table is not that, or others were approved before.
        """
        for shown in zip(self.links, rerandomised, masked, receipts, strict=True):
            self._check_masked(*shown)
        for link in self.links:
            link._check_ledger()
        tables = b"".join(table_digest(table, self._study) for table in masked)
        self._settle(APPROVED, tables.hex())
        release = self._release_of(tables)
        self._pay(release)
        terms = release, masking.commitment(self._mask_seed).hex()
        sessions = by_party(self._sessions, len(self.links))
        digests = by_party(tables, len(self.links))
        return [
            link._seal(
                "approval",
                JointApproval(*terms, sessions, digests, self._head(), link._recorded()),
            )
            for link in self.links
        ]

    @property
    def _sessions(self) -> bytes:
        """Names of this party's sessions with all column parties."""
        return b"".join(bytes.fromhex(link.session()) for link in self.links)

    def _release_of(self, tables: bytes) -> str:
        return joint_release_id(self._sessions, tables)

    def _approved(self) -> bytes:
        """Digests of the tables that were approved.

        Raises:
            ProtocolError: none were.
        """
        approved = self._remembered(APPROVED)
        if approved is None:
            raise ProtocolError("no table was approved in this session")
        return bytes.fromhex(approved)

    def accept_debits(self, told: Sequence[bytes]) -> None:
        """Record that all column parties but the first have debited the release.

        Args:
            told: what `tell_debit` of each gave, in the order of the study.

        Raises:
            InputError: this party's ledger lacks what one of them recorded of it.
            ProtocolError: one is missing, or debited another release.
        """
        approved = self._approved()
        release = self._release_of(approved)
        if len(told) != len(self.links) - 1:
            raise ProtocolError("not every column party has told that it debited the release")
        self._record_debits(self.links[1:], told, release, approved[_DIGEST_BYTES:])
        self._debited = True

    @staticmethod
    def _record_debits(
        links: Sequence[RowLink], told: Sequence[bytes], release: str, tables: bytes
    ) -> None:
        """Record what column parties tell of their debits.

        Args:
            links: those with the column parties.
            told: what each sent.
            release: the release that they were to debit.
            tables: the digest of each one's table.
        """
        digests = one_row(tables).reshape(-1, 1, _DIGEST_BYTES)
        for link, sealed, digest in zip(links, told, digests, strict=True):
            debited = link._open("debited", sealed, Debited)
            if debited.release != release or not np.array_equal(debited.digest, digest):
                raise ProtocolError(f"{link.party} debited another release than was approved")
            link._check_ledger(debited.witnessed)
            link._record_head(debited.head)

    def unmask(self, sealed: bytes, packing: Packing) -> Coefficients:
        """Take the masks off a part of the opened table, or of the sum of all; see `RowOpening`."""
        if not self._debited:
            raise ProtocolError("not every column party has told that it debited the release")
        return super().unmask(sealed, packing)

    def show_masks(self, release: str) -> list[bytes]:
        """Show each column party the sums of the masks of a release that is published.

        No single mask follows from them. See `show_mask`.

        Returns:
            The `MaskSeed`, sealed for each.
        """
        for link in self.links:
            link._check_ledger()
        self._pay(self._release_of(self._approved()))
        shown = MaskSeed(release, one_row(self._mask_seed), self._head())
        return [link._seal("mask", shown) for link in self.links]


def by_party(joined: bytes, parties: int) -> NDArray[np.uint8]:
    """(parties, bytes) equal parts of what stands one behind the other, one for each party."""
    return one_row(joined).reshape(parties, -1)
