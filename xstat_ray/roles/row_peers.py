"""What row parties do together where several supply the rows of one table.

All send their rows in one secret order of cells, which the first draws. The first masks the table,
has a share of its noise, approves and un-blinds it, as where there is one; the others debit their
data sets and consent to what it approved, and without the consent of all nothing is opened. None is
told anything of another's persons or rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xstat_ray.crypto import masking
from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.derive import derive
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Debited, JointApproval
from xstat_ray.roles.joint_row_opening import JointRowOpening, by_party
from xstat_ray.roles.opening import joint_digest, joint_release_id, joint_session, one_row
from xstat_ray.roles.row_channel import RowChannel
from xstat_ray.roles.seat import Seat

_DIGEST_BYTES = 32
_RELEASE_DIGITS = 32
CONSENTED = "consented"
"""File in the private folder with the release to which this party consented."""


class RowPeers(JointRowOpening):
    """One of several row parties; where there is one, nothing of this is called.

    Before anything is emitted the first row party and each other one go through
    `row_channel_hello`, `row_channel_agree` and `row_channel_confirm`; each other one calls
    `tell_sessions` once it has them with all column parties, and `accept_order`. When the first has
    approved, it calls `tell_terms` for each other one, which calls `consent`, then
    `accept_all_debits`, and `show_debit` after publication.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        names = [terms.name for terms in seat.study.row_parties]
        self._row_place = names.index(self.row_party)
        ends = names[1:] if self._row_place == 0 else [self.row_party]
        self._row_channels = {
            end: RowChannel(seat.study.digest, end, first=self._row_place == 0) for end in ends
        }
        self._order = b""
        """From which the order of cells follows, once the first row party has told it."""
        self._sessions_of: dict[str, bytes] = {}
        """Names of the sessions of the other row parties, which these told the first."""

    def _export(self) -> dict[str, bytes]:
        exported = super()._export()
        if self._row_channels:
            channels = {name: one.export_bytes() for name, one in self._row_channels.items()}
            exported |= {
                "row channels": pack_fields(channels),
                "row sessions": pack_fields(self._sessions_of),
                "order of cells": self._order,
            }
        return exported

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        for name, exported in unpack_fields(secrets.get("row channels", b"")).items():
            self._row_channels[name].restore(exported)
        self._sessions_of = dict(unpack_fields(secrets.get("row sessions", b"")))
        self._order = secrets.get("order of cells", b"")

    # The channel of the first row party and another one, which is named in each call

    def row_channel_hello(self, other: str) -> bytes:
        """Encode the opening message of the handshake of two row parties."""
        return self._to(other).hello()

    def row_channel_agree(self, other: str, hello: bytes) -> bytes:
        """Take the other's hello, and return the confirmation to send back.

        Raises:
            ProtocolError: it is of another study, party or software.
        """
        return self._to(other).agree(hello)

    def row_channel_confirm(self, other: str, confirmation: bytes) -> None:
        """Check that the other holds the same keys.

        Raises:
            ProtocolError: it does not.
        """
        self._to(other).confirm(confirmation)

    def _to(self, other: str) -> RowChannel:
        if other not in self._row_channels:
            raise ProtocolError("these two row parties have nothing to tell each other")
        return self._row_channels[other]

    # One order of cells, one release

    def share_order(self, other: str) -> bytes:
        """Tell another row party the order of cells, sealed for it."""
        return self._to(other).seal(self._blinding_secret, "order of cells")

    def accept_order(self, sealed: bytes) -> None:
        """Take the order of cells that the first row party drew.

        Raises:
            ProtocolError: it was altered.
        """
        self._order = self._to(self.row_party).open(sealed, "order of cells")

    @property
    def _blinding_secret(self) -> bytes:
        """The secret from which the order of cells follows.

        Raises:
            ProtocolError: the first row party has not told it.
        """
        if not self._study.row.parties:
            return self._seed
        if self._row_place == 0:
            return derive(self._seed, "order of cells of all row parties", len(self._seed))
        if not self._order:
            raise ProtocolError("the first row party has not told the order of cells")
        return self._order

    def tell_sessions(self) -> bytes:
        """Tell the first row party the names of the sessions with all column parties, sealed."""
        return self._to(self.row_party).seal(self._sessions, "sessions")

    def accept_sessions(self, other: str, sealed: bytes) -> None:
        """Take what another row party's `tell_sessions` gave.

        Raises:
            ProtocolError: it was altered, or is of another number of sessions.
        """
        told = self._to(other).open(sealed, "sessions")
        if len(told) != _DIGEST_BYTES * len(self.links):
            raise ProtocolError(f"{other} told another number of sessions than of column parties")
        self._sessions_of[other] = told

    @property
    def _sessions(self) -> bytes:
        """Names of this party's sessions with all column parties.

        The first row party has those of all row parties with the first column party, then those
        with the second.
        """
        mine = super()._sessions
        if self._row_place:
            return mine
        if set(self._sessions_of) != set(self._row_channels):
            raise ProtocolError("not every row party has told its sessions")
        told = [self._sessions_of[name] for name in self._row_channels]
        of_rows = [by_party(sessions, len(self.links)) for sessions in (mine, *told)]
        return np.concatenate(of_rows, axis=1).tobytes()

    def session_of_release(self) -> str:
        """Name what all sessions of a release are together, in hex; asked of the first row party.

        Raises:
            ProtocolError: not every row party has told its sessions.
        """
        return joint_session(self._sessions)

    def sessions_by_party(self) -> dict[str, dict[str, str]]:
        """The names of all sessions, in hex, by row party and column party.

        Raises:
            ProtocolError: not every row party has told its sessions.
        """
        rows = [terms.name for terms in self._study.row_parties]
        columns = [link.party for link in self.links]
        shape = len(columns), len(rows), _DIGEST_BYTES
        sessions = one_row(self._sessions).reshape(shape)
        return {
            row: {
                column: of_rows[place].tobytes().hex()
                for column, of_rows in zip(columns, sessions, strict=True)
            }
            for place, row in enumerate(rows)
        }

    # Consent

    def tell_terms(self, other: str) -> bytes:
        """Tell another row party what this one, the first, approved, sealed for it.

        Raises:
            ProtocolError: nothing was approved.
        """
        tables = self._approved()
        commitment = masking.commitment(self._mask_seed).hex()
        parties = len(self.links)
        digests = by_party(self._sessions, parties), by_party(tables, parties)
        terms = JointApproval(self._release_of(tables), commitment, *digests)
        return self._to(other).seal(terms.encode(self._study.digest), "terms")

    def consent(self, sealed: bytes) -> list[bytes]:
        """Consent to what the first row party approved; this party's data set is debited for it.

        Args:
            sealed: what its `tell_terms` gave.

        Returns:
            The `JointApproval`, sealed for each column party.

        Raises:
            BudgetError: the budget does not allow the release; nothing was consented to.
            InputError: the ledger lacks what a column party has recorded of it.
            ProtocolError: the terms are of other sessions or another study, or this party consented
                to others before.
        """
        opened = self._to(self.row_party).open(sealed, "terms")
        terms = JointApproval.decode(opened, self._study.digest)
        self._check_terms(terms)
        for link in self.links:
            link._check_ledger()
        self._settle(CONSENTED, terms.release + terms.tables.tobytes().hex())
        self._pay(terms.release)
        return [
            link._seal("approval", replace(terms, head=self._head(), witnessed=link._recorded()))
            for link in self.links
        ]

    def _check_terms(self, terms: JointApproval) -> None:
        columns = len(self.links)
        rows = len(self._study.row_parties)
        shapes = terms.sessions.shape, terms.tables.shape
        if shapes != ((columns, rows * _DIGEST_BYTES), (columns, _DIGEST_BYTES)):
            raise ProtocolError("the first row party approved a release of other parties")
        start = self._row_place * _DIGEST_BYTES
        mine = terms.sessions[:, start : start + _DIGEST_BYTES].tobytes()
        formed = joint_release_id(terms.sessions.tobytes(), terms.tables.tobytes())
        if mine != self._sessions or terms.release != formed:
            raise ProtocolError("the first row party approved a release of other sessions")

    def _consented(self) -> tuple[str, bytes]:
        """The release to which this party consented, and the digests of its tables."""
        kept = self._remembered(CONSENTED)
        if kept is None:
            raise ProtocolError("this row party has consented to nothing in this session")
        return kept[:_RELEASE_DIGITS], bytes.fromhex(kept[_RELEASE_DIGITS:])

    def consented_release(self) -> tuple[str, bytes]:
        """Name the release to which this party consented, with the digest of all that is opened.

        Raises:
            ProtocolError: it has consented to nothing.
        """
        release, tables = self._consented()
        return release, joint_digest(tables)

    def accept_all_debits(self, told: Sequence[bytes]) -> None:
        """Record that all column parties have debited the release; of a party but the first.

        Args:
            told: what `tell_debit_to_others` of each gave for this party, in the order of the
                study.

        Raises:
            InputError: this party's ledger lacks what one of them recorded of it.
            ProtocolError: one is missing, or debited another release.
        """
        if len(told) != len(self.links):
            raise ProtocolError("not every column party has told that it debited the release")
        self._record_debits(self.links, told, *self._consented())

    def show_debit(self) -> list[bytes]:
        """Tell each column party, after publication, the head of this party's ledger, sealed.

        It may be another copy than was debited before: the debit is made again, and where it is
        there, nothing changes.

        Raises:
            BudgetError: the ledger has no budget for the release.
            InputError: it lacks what a column party has recorded of it.
        """
        release, tables = self._consented()
        for link in self.links:
            link._check_ledger()
        self._pay(release)
        digests = by_party(tables, len(self.links))
        return [
            link._seal("debited", Debited(release, one_row(digest.tobytes()), self._head()))
            for link, digest in zip(self.links, digests, strict=True)
        ]
