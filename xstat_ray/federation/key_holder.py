"""The last steps of the column party: open the table that was approved, and check the release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from xstat_ray.errors import ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical, fields_of
from xstat_ray.federation.release import note_debit, read_facts
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, MaskedTable
from xstat_ray.privacy.places import Place
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import table_files
from xstat_ray.roles import ColumnParty
from xstat_ray.roles.column_opening import ADMITTED
from xstat_ray.roles.noise_share import SHARE
from xstat_ray.roles.opening import release_id, table_digest
from xstat_ray.roles.payer import ASKED, DEMANDED
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.progress import Progress


class KeyHolderSteps:
    """The last steps of the column party: decrypt and check."""

    def __init__(self, run: DomainRun, ledger: Place, progress: Progress) -> None:
        self._run = run
        self._ledger = ledger
        self._progress = progress

    def _party(self) -> ColumnParty:
        """Make the column party from its secrets on disk."""
        run = self._run
        read_facts(run.folder)
        party = ColumnParty(run.plan.study, Source(run.folder, ledger=self._ledger))
        party.load(run.folder)
        return party

    def decrypt(self) -> None:
        """Debit the release and decrypt the table that the row party approved, for it alone.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
            MessageError: the aggregator's table or the row party's approval is not what it should
                be.
            PendingError: one of these messages has not come in time.
        """
        run = self._run
        mailbox = run.mailbox
        if run.log.finished or mailbox.has_sent("row", "facts"):
            return
        party = self._party()
        parts = opening_parts(run.plan)
        with self._progress.stage("decrypt", len(parts)) as stage:
            with mailbox.receiving("aggregator", "masked") as message:
                masked = self._read_table(party, message)
            with mailbox.receiving("row", "approval") as message:
                permit = party.admit(masked, message.payload, run.plan.packing)
            self._note(party, masked)
            for number in mailbox.unsent("row", "opened", len(parts)):
                part = parts[number]
                noise = party.noise_of(part, run.plan.packing)
                sealed = party.open_part(masked, permit, part, noise)
                place = {"part": number, "parts": len(parts), "first": part.start}
                mailbox.send("row", "opened", sealed, **place, rows=len(part))
                stage.advance()
        debited = next((entry.facts for entry in run.log.of("debited")), None)
        facts = {**read_facts(run.folder), "debited": debited}
        mailbox.send("row", "facts", canonical(facts))
        mailbox.publish_log()

    def _read_table(self, party: ColumnParty, message: Opened) -> MaskedTable:
        masked = MaskedTable.decode(message.payload, self._run.plan.study.digest)
        if len(masked.ciphertexts) != message.header.rows:
            raise ProtocolError("it has another number of rows than its header says")
        party.check_table(masked, self._run.plan.packing)
        return masked

    def _note(self, party: ColumnParty, masked: MaskedTable) -> None:
        """Note in the log what was debited, and then which table is opened."""
        run = self._run
        digest = table_digest(masked, run.plan.study)
        release = release_id(party.session(), digest)
        note_debit(run, "column", release)
        if not any(run.log.of("admitted")):
            run.log.add("admitted", release=release, digest=digest.hex())

    def check(self) -> None:
        """Check that what the row party published is what this party opened; remove the secrets.

        Raises:
            MessageError: it is not, or the row party shows other masks than it was bound to.
            PendingError: the row party has not published in time.
        """
        run = self._run
        if not run.log.finished:
            with self._progress.stage("check", 1) as stage:
                self._check()
                stage.advance()
            run.log.add("finished")
        run.mailbox.publish_log()
        for name in (SECRETS, ADMITTED, SHARE, ASKED, DEMANDED):
            (run.folder / name).unlink(missing_ok=True)

    def _check(self) -> None:
        run = self._run
        mailbox = run.mailbox
        party = self._party()
        with mailbox.receiving("row", "approval") as message:
            approval = message.payload
        parts = range(len(opening_parts(run.plan)))
        opened = [mailbox.sent_again("row", "opened", part) for part in parts]
        with mailbox.receiving("row", "mask") as message:
            fields = fields_of(message.payload, "shown", "coefficients", "files")
            coefficients = party.read_coefficients(fields["coefficients"])
            packing = run.plan.packing
            party.check_published(approval, opened, fields["shown"], coefficients, packing)
            files = self._check_files(coefficients, fields["files"])
        if not any(run.log.of("checked")):
            run.log.add("checked", release=coefficients.release, files=files)

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
