"""The row party's part in opening the table: masks, the approval, and what takes the masks off.

Without its masks the key holder would see who is where through the noise; without its approval
nothing is opened at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.sums import divide
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import (
    Approval,
    Coefficients,
    MaskedTable,
    Masks,
    MaskSeed,
    OpenedTable,
    RerandomisedTable,
)
from xstat_ray.privacy.design import Design
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.opening import bytes_below, one_row, release_id, table_digest
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.seat import Seat

_NODE_BYTES = 8
APPROVED = "approved"
"""File in the private folder with the table that was approved."""


class Masked(NamedTuple):
    """Masks of some nodes, and what this party keeps of them."""

    masks: Masks
    """For the aggregator alone."""
    receipt: bytes
    """Digest of the masks, sealed for the environment that approves the table."""


class RowOpening(RowLink, NoiseShare):
    """Masks the table and takes the masks off what was opened.

    Call `accept_key`, and what `NoiseShare` tells; then `mask_table` for every range of nodes,
    `approve` once all are out, and `unmask` on what the key holder opened; `show_mask` after
    publication.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._mask_seed = masking.draw_seed()
        self._encryptors: dict[str, masking.MaskEncryptor] = {}
        self._told: tuple[str, str] | None = None
        """What the key holder told last of its ledger, and asked for of this party's."""

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"mask": self._mask_seed}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._mask_seed = secrets["mask"]

    def mask_table(
        self,
        part: range,
        noise: bytes,
        packing: Packing,
        planned: int,
        constant_time: bool = False,
    ) -> Masked:
        """Encrypt the masks of some nodes, with this party's share of the noise in them.

        They must be sent to the aggregator alone. A repeat encrypts the same numbers anew, which
        has another receipt.

        Args:
            part: nodes.
            noise: what `noise_of` of the party's first environment gave for them.
            packing: how slots are packed into ciphertexts.
            planned: ciphertexts that this environment masks in all; with many, tables pay.
            constant_time: encrypt without memory addresses that depend on the randomness.
        """
        n = self._public.n
        masks = masking.mask_numbers(self._mask_seed, n, rows_of(part, packing.blocks))
        numbers = masking.add(masks, self._noise_in(noise, part), n)
        return self._encrypt_masks(self, part, numbers, planned, constant_time)

    def _encrypt_masks(
        self, link: RowLink, part: range, numbers: Sequence[mpz], planned: int, constant_time: bool
    ) -> Masked:
        """Encrypt the masks of some nodes under the key of a column party, with a receipt."""
        public = link._public
        if link.party not in self._encryptors:
            encryptor = masking.MaskEncryptor(public, planned, constant_time)
            self._encryptors[link.party] = encryptor
        encrypted = self._encryptors[link.party].encrypt(numbers)
        made = Masks(part.start, encrypted.reshape(len(part), -1, public.width))
        seen = b"".join(node.to_bytes(_NODE_BYTES, "little") for node in (part.start, part.stop))
        return Masked(made, self._within.seal(seen + _digest(encrypted), _receipt_for(link)))

    def approve(
        self, rerandomised: RerandomisedTable, masked: MaskedTable, receipts: Sequence[bytes]
    ) -> bytes:
        """Consent to open a table, which must be the aggregator's with this party's masks on it.

        This party's data set is debited for it, and the key holder told the head of the ledger. The
        consent is in the private folder before this returns; another table is refused for the rest
        of the session.

        Args:
            rerandomised: the aggregator's table without masks.
            masked: the same with them.
            receipts: what came with all masks, in the order of the nodes.

        Returns:
            The `Approval`, sealed for the key holder.

        Raises:
            BudgetError: the budget does not allow the release; nothing was approved.
            InputError: the ledger lacks what the key holder has recorded of it.
            ProtocolError: the masked table is not that, or another one was approved before.
        """
        self._check_masked(self, rerandomised, masked, receipts)
        self._check_ledger()
        digest = table_digest(masked, self._study)
        self._settle(APPROVED, digest.hex())
        commitment = masking.commitment(self._mask_seed)
        release = release_id(self.session(), digest)
        self._pay(release)
        terms = (one_row(digest), one_row(commitment))
        approval = Approval(release, *terms, self._head(), self._recorded())
        return self._seal("approval", approval)

    def _check_masked(
        self,
        link: RowLink,
        rerandomised: RerandomisedTable,
        masked: MaskedTable,
        receipts: Sequence[bytes],
    ) -> None:
        """Check that a masked table is the product of the other one and the masks for a party."""
        public = link._public
        before = rerandomised.ciphertexts
        after = masked.ciphertexts
        shown = Design.of_study(self._study).shown
        if before.shape != after.shape or before.shape[::2] != (shown, public.width):
            raise ProtocolError("the masked table does not have the size of the study's table")
        known = [self._receipt(link, receipt) for receipt in receipts]
        ends = [0, *(part.stop for part, _ in known)]
        if [part.start for part, _ in known] != ends[:-1] or ends[-1] != shown:
            raise ProtocolError("the receipts are not those of the masks of the whole table")
        for part, digest in known:
            rows = (
                ciphertexts[part.start : part.stop].reshape(-1, public.width)
                for ciphertexts in (after, before)
            )
            if _digest(divide(public, *rows)) != digest:
                raise ProtocolError("the masked table does not have the row party's masks on it")

    def _receipt(self, link: RowLink, sealed: bytes) -> tuple[range, bytes]:
        opened = self._within.open(sealed, _receipt_for(link))
        start, stop = (
            int.from_bytes(opened[at : at + _NODE_BYTES], "little") for at in (0, _NODE_BYTES)
        )
        return range(start, stop), opened[2 * _NODE_BYTES :]

    def unmask(self, sealed: bytes, packing: Packing) -> Coefficients:
        """Take the masks off a part of the opened table.

        The head of the key holder's ledger is recorded in this party's before this returns.

        Returns:
            The noisy coefficients of these nodes, in blinded order.

        Raises:
            InputError: this party's ledger lacks what the key holder recorded of it.
            ProtocolError: altered, or a number that cannot have come of this party's masks.
        """
        opened = self._open("opened", sealed, OpenedTable)
        modulus = self._modulus(packing)
        nodes, *shape = opened.numbers.shape
        if shape != [packing.blocks, bytes_below(modulus)]:
            raise ProtocolError("the opened numbers do not have the shape of the study's table")
        part = range(opened.first, opened.first + nodes)
        # All parts of a table tell the same.
        told = (opened.head, opened.witnessed)
        if told != self._told:
            self._check_ledger(opened.witnessed)
            self._record_head(opened.head)
            self._told = told
        values = unmasked(self._mask_seed, modulus, opened, packing)
        return Coefficients(release=opened.release, first=part.start, values=values)

    def show_mask(self, release: str) -> bytes:
        """Show the key holder the masks of a release that is published, sealed for it.

        It is told the head of this party's ledger too, which may be another copy than the one that
        was debited before: the debit is made again, and where it is there, nothing changes.

        Raises:
            BudgetError: the ledger has no budget for the table that was approved.
            InputError: the ledger lacks what the key holder has recorded of it.
            ProtocolError: no table was approved.
        """
        approved = self._remembered(APPROVED)
        if approved is None:
            raise ProtocolError("no table was approved in this session")
        self._check_ledger()
        self._pay(release_id(self.session(), bytes.fromhex(approved)))
        return self._seal("mask", MaskSeed(release, one_row(self._mask_seed), self._head()))


def unmasked(seed: bytes, modulus: mpz, opened: OpenedTable, packing: Packing) -> NDArray[np.int64]:
    """Take masks off opened numbers.

    Args:
        seed: seed of the masks, or of the sums of masks under several keys.
        modulus: n, or B where there are several keys.
        opened: numbers of consecutive nodes.
        packing: how slots are packed into numbers.

    Returns:
        (nodes, columns) coefficients.

    Raises:
        ProtocolError: something is left outside the slots: these were other masks, or other
            plaintexts than a table has.
    """
    nodes, blocks, width = opened.numbers.shape
    part = range(opened.first, opened.first + nodes)
    masks = masking.mask_numbers(seed, modulus, rows_of(part, blocks))
    numbers = from_rows(opened.numbers.reshape(-1, width))
    return packing.unpack_signed(masking.subtract(numbers, masks, modulus), modulus)


def _receipt_for(link: RowLink) -> str:
    return f"receipt of masks for {link.party}"


def rows_of(part: range, blocks: int) -> range:
    """Rows of the ciphertexts of nodes, counted over all blocks."""
    return range(part.start * blocks, part.stop * blocks)


def _digest(ciphertexts: NDArray[np.uint8]) -> bytes:
    return sha256(np.ascontiguousarray(ciphertexts).data).digest()
