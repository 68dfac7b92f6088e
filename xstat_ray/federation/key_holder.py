"""The last steps of a column party: open the table that was approved, and check the release.

Where there are several, each decrypts its own table; the first adds up what all have decrypted, and
opens the sum alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from xstat_ray.errors import ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical, fields_of
from xstat_ray.federation.party_facts import note_debit
from xstat_ray.federation.party_state import forget, restored, told_facts
from xstat_ray.federation.roster import columns_of, rows_of
from xstat_ray.model.messages import Coefficients, MaskedTable
from xstat_ray.privacy.places import Place
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import table_files
from xstat_ray.roles import ColumnParty
from xstat_ray.roles.column_opening import ADMITTED
from xstat_ray.roles.noise_share import SHARE
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.progress import Progress, Stage


class KeyHolderSteps:
    """The last steps of a column party: decrypt and check."""

    def __init__(self, run: DomainRun, ledger: Place, progress: Progress) -> None:
        self._run = run
        self._ledger = ledger
        self._progress = progress
        self._first, *self._others = columns_of(run.plan.study)
        self._publisher, *self._consenters = rows_of(run.plan.study)

    def _party(self) -> ColumnParty:
        """Make the column party from its secrets on disk."""
        return restored(self._run, self._ledger, partial(ColumnParty, party=self._run.domain))

    def decrypt(self) -> None:
        """Debit the release and decrypt the table that the row party approved, for it alone.

        Of several column parties the first does so for the row party, with what the others decrypt
        for it. Of several row parties the first gets it, once all have consented.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
            MessageError: the aggregator's table, the row party's approval, or what another column
                party decrypted is not what it should be.
            PendingError: one of these messages has not come in time.
        """
        run = self._run
        mailbox = run.mailbox
        if run.log.finished or mailbox.has_sent(self._publisher, "facts"):
            return
        party = self._party()
        parts = opening_parts(run.plan)
        with self._progress.stage("decrypt", len(parts)) as stage:
            with mailbox.receiving("aggregator", "masked") as message:
                masked = self._read_table(party, message)
            with ExitStack() as stack:
                approval, *consents = [
                    stack.enter_context(mailbox.receiving(name, "approval")).payload
                    for name in (self._publisher, *self._consenters)
                ]
                permit = party.admit(masked, approval, run.plan.packing, *consents)
            self._note(party, approval)
            self._open(party, masked, permit, stage)
        mailbox.send(self._publisher, "facts", told_facts(run))
        mailbox.publish_log()

    def _read_table(self, party: ColumnParty, message: Opened) -> MaskedTable:
        masked = MaskedTable.decode(message.payload, self._run.plan.study.digest)
        if len(masked.ciphertexts) != message.header.rows:
            raise ProtocolError("it has another number of rows than its header says")
        party.check_table(masked, self._run.plan.packing)
        return masked

    def _note(self, party: ColumnParty, approval: bytes) -> None:
        """Note in the log what was debited, and then which table is opened."""
        run = self._run
        release, digest = party.approved_release(approval)
        note_debit(run, run.domain, release)
        if not any(run.log.of("admitted")):
            run.log.add("admitted", release=release, digest=digest.hex())

    def _open(self, party: ColumnParty, masked: MaskedTable, permit: bytes, stage: Stage) -> None:
        """Hand out what this party opens, part by part."""
        run = self._run
        mailbox = run.mailbox
        parts = opening_parts(run.plan)
        sums_up = run.domain == self._first
        receiver, kind = (self._publisher, "opened") if sums_up else (self._first, "residues")
        if not sums_up:
            mailbox.send(self._publisher, "debited", partial(party.tell_debit, permit))
        self._tell_consenters(party, permit)
        for number in mailbox.unsent(receiver, kind, len(parts)):
            part = parts[number]
            if sums_up:
                sealed = self._opened(party, masked, permit, number)
            else:
                sealed = party.open_residues(masked, permit, part)
            place = {"part": number, "parts": len(parts), "first": part.start}
            mailbox.send(receiver, kind, sealed, **place, rows=len(part))
            stage.advance()

    def _tell_consenters(self, party: ColumnParty, permit: bytes) -> None:
        """Tell all row parties but the first that this party has debited the release."""
        mailbox = self._run.mailbox
        if all(mailbox.has_sent(name, "debited") for name in self._consenters):
            return
        told = party.tell_debit_to_others(permit)
        for name, debit in zip(self._consenters, told, strict=True):
            mailbox.send(name, "debited", debit)

    def _opened(self, party: ColumnParty, masked: MaskedTable, permit: bytes, number: int) -> bytes:
        """Open a part of the table, or of the sum of all column parties' tables."""
        part = opening_parts(self._run.plan)[number]
        noise = party.noise_of(part, self._run.plan.packing)
        if not self._run.plan.study.opens_jointly:
            return party.open_part(masked, permit, part, noise)
        with ExitStack() as stack:
            messages = [
                stack.enter_context(self._run.mailbox.receiving(name, "residues", number))
                for name in self._others
            ]
            residues = [message.payload for message in messages]
            return party.add_residues(masked, permit, part, noise, residues)

    def check(self) -> None:
        """Check that what the row party published is what was opened; remove the secrets.

        Raises:
            MessageError: it is not, or the row party shows other masks than it was bound to.
            PendingError: the row party has not published in time, or the first column party has not
                shown the sum that it opened; or another row party has not shown its debit.
        """
        run = self._run
        if not run.log.finished:
            with self._progress.stage("check", 1) as stage:
                self._check()
                stage.advance()
            run.log.add("finished")
        run.mailbox.publish_log()
        forget(run, ADMITTED, SHARE)

    def _check(self) -> None:
        run = self._run
        mailbox = run.mailbox
        party = self._party()
        with mailbox.receiving(self._publisher, "approval") as message:
            approval = message.payload
        opened = self._seen()
        with mailbox.receiving(self._publisher, "mask") as message:
            fields = fields_of(message.payload, "shown", "coefficients", "files")
            coefficients = party.read_coefficients(fields["coefficients"])
            packing = run.plan.packing
            party.check_published(approval, opened, fields["shown"], coefficients, packing)
            files = self._check_files(coefficients, fields["files"])
        if not any(run.log.of("checked")):
            run.log.add("checked", release=coefficients.release, files=files)
        if run.domain == self._first:
            self._show_sums(party, opened)
        self._accept_debits(party, approval)

    def _accept_debits(self, party: ColumnParty, approval: bytes) -> None:
        """Record that the ledgers of all row parties but the first hold the debit still."""
        with ExitStack() as stack:
            told = [
                stack.enter_context(self._run.mailbox.receiving(name, "debited")).payload
                for name in self._consenters
            ]
            party.accept_row_debits(approval, told)

    def _seen(self) -> list[bytes]:
        """Read again what was sent to the row party, as this party did, or as it is shown it."""
        mailbox = self._run.mailbox
        if self._run.domain != self._first:
            return list(mailbox.collect(self._first, "sums", lambda message: message.payload))
        parts = range(len(opening_parts(self._run.plan)))
        return [mailbox.sent_again(self._publisher, "opened", part) for part in parts]

    def _show_sums(self, party: ColumnParty, opened: Sequence[bytes]) -> None:
        """Show the other column parties what the row party was sent."""
        for name in self._others:
            sums = party.show_sums(name, opened)
            for number, part in enumerate(sums):
                self._run.mailbox.send(name, "sums", part, part=number, parts=len(sums))

    def _check_files(self, coefficients: Coefficients, published: bytes) -> Mapping[str, str]:
        """Make the tables of the release again; returns the digests of their files.

        Args:
            coefficients: those that were opened.
            published: what the row party says of its files.

        Raises:
            ProtocolError: the row party published other ones.
        """
        tables = publish(self._run.plan, coefficients)
        files = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in table_files(tables.cells, tables.areas).items()
        }
        if published != canonical(files):
            raise ProtocolError("the row party published other tables than follow from this")
        return files
