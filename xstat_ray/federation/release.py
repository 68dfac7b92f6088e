"""The last steps of the row party, or the first: approve the table, unmask it, and publish."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import pack_fields
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.collaboration import COLLABORATION
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.noise_step import RECEIPTS, receipts, receive_key
from xstat_ray.federation.party_facts import note_debit
from xstat_ray.federation.party_state import forget, restored
from xstat_ray.federation.release_manifest import manifest_of
from xstat_ray.federation.roster import columns_of, rows_of
from xstat_ray.model.messages import Coefficients, MaskedTable, RerandomisedTable
from xstat_ray.privacy.places import Place
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import (
    AREAS,
    AREAS_CSV,
    MANIFEST,
    PLAN,
    STATISTICS,
    STATISTICS_CSV,
    Release,
    check_writable,
    put,
    write,
)
from xstat_ray.roles import RowParty
from xstat_ray.roles.noise_share import SHARE
from xstat_ray.roles.opening import digest_of_all, release_id, table_digest
from xstat_ray.roles.row_opening import APPROVED
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import unwritable, write_whole
from xstat_ray.util.location import Location, LocationLike

AUDIT = "audit"
"""Folder of a release with the logs of all domains, and what all of them have approved."""
_COEFFICIENTS = "coefficients.msg"
STAGED = "release"
"""Folder of a run in which a release for an object store is made."""


class PublisherSteps:
    """The last steps of the row party, or of the first: approve, unblind and publish."""

    def __init__(
        self, run: DomainRun, ledger: Place, out: LocationLike, progress: Progress
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._target = Location.of(out)
        # What an object store gets is made whole on the party's own disk.
        self._out = self._target.local if self._target.is_local else run.folder / STAGED
        self._progress = progress
        self._columns = columns_of(run.plan.study)
        self._others = [name for name in rows_of(run.plan.study) if name != run.domain]

    def _party(self) -> RowParty:
        """Make the row party from its secrets on disk."""
        run = self._run
        party = restored(run, self._ledger, partial(RowParty, name=run.domain))
        for link in party.links:
            link.accept_key(receive_key(run.mailbox, run.plan, link.party))
        return party

    def approve(self) -> None:
        """Consent to open the aggregator's tables, if the row party's masks are on them.

        Where there are other row parties they are told what this one, the first, approved.

        Raises:
            BudgetError: the release is not allowed; nothing was approved.
            MessageError: the aggregator shows something else.
            PendingError: a message has not come in time.
        """
        run = self._run
        mailbox = run.mailbox
        kinds = {**dict.fromkeys(self._columns, "approval"), **dict.fromkeys(self._others, "terms")}
        if run.log.finished or all(mailbox.has_sent(*message) for message in kinds.items()):
            return
        if not self._target.is_local:
            check_writable(self._target)
        party = self._party()
        with self._progress.stage("approve", 1) as stage:
            approvals, digest = self._approve(party)
            release = release_id(mailbox.session_with("aggregator"), digest)
            note_debit(run, run.domain, release)
            if not any(run.log.of("approved")):
                run.log.add("approved", release=release, digest=digest.hex())
            for name, approval in zip(self._columns, approvals, strict=True):
                mailbox.send(name, "approval", approval)
            for name in self._others:
                mailbox.send(name, "terms", partial(party.tell_terms, name))
            stage.advance()
        mailbox.publish_log()

    def _approve(self, party: RowParty) -> tuple[Sequence[bytes], bytes]:
        """Have the row party approve the aggregator's tables.

        Returns:
            The approval for each column party, and the digest of all that is opened.
        """
        run = self._run
        study = run.plan.study
        keys = range(len(self._columns))
        plain = list[RerandomisedTable]()
        for key in keys:
            with run.mailbox.receiving("aggregator", "rerandomised", key) as message:
                plain.append(RerandomisedTable.decode(message.payload, study.digest))
        masked = list[MaskedTable]()
        for key in keys:
            with run.mailbox.receiving("aggregator", "masked", key) as message:
                masked.append(MaskedTable.decode(message.payload, study.digest))
                if key == keys[-1]:
                    # Only then is the last one accepted.
                    kept = [receipts(run.folder, run.plan, of_key) for of_key in keys]
                    if study.opens_jointly:
                        approvals = party.approve_tables(plain, masked, kept)
                    else:
                        approvals = [party.approve(plain[0], masked[0], kept[0])]
        return approvals, digest_of_all([table_digest(table, study) for table in masked], study)

    def unblind(self) -> None:
        """Put the noisy coefficients into declared order, in the private folder.

        Raises:
            InputError: nothing was approved.
            MessageError: a message of the key holder is not what it should be.
            PendingError: a message has not come in time.
        """
        run = self._run
        path = run.folder / _COEFFICIENTS
        if run.log.finished or path.exists():
            return
        approved = next((entry.facts["release"] for entry in run.log.of("approved")), None)
        if approved is None:
            raise InputError(
                "no table was approved yet", key="step", remedy="Run step=approve first"
            )
        party = self._party()
        with self._progress.stage("unblind", 1) as stage:
            self._accept_debits(party)
            read = partial(self._read_part, party, approved)
            parts = list(run.mailbox.collect(self._columns[0], "opened", read))
            write_whole(path, party.put_in_order(parts).encode(run.plan.study.digest), mode=0o600)
            stage.advance()

    def _accept_debits(self, party: RowParty) -> None:
        """Record that all column parties but the first have debited the release."""
        _, *others = self._columns
        if not others:
            return
        with ExitStack() as stack:
            told = [
                stack.enter_context(self._run.mailbox.receiving(name, "debited")) for name in others
            ]
            party.accept_debits([message.payload for message in told])

    def _read_part(self, party: RowParty, approved: str, message: Opened) -> Coefficients:
        """Read a message of opened numbers, which must be those of its place in the stream.

        Raises:
            ProtocolError: they are of another part of the table, or of another release.
        """
        head = message.header
        parts = opening_parts(self._run.plan)
        part = parts[head.part] if head.parts == len(parts) else range(0)
        found = party.unmask(message.payload, self._run.plan.packing)
        in_place = (head.first, head.rows, found.first) == (part.start, len(part), part.start)
        if not in_place or len(found.values) != len(part):
            raise ProtocolError("its numbers are not those of its part of the table")
        if found.release != approved:
            raise ProtocolError("its numbers are of another release than was approved")
        return found

    def publish(self) -> None:
        """Refine, suppress, write the release, and show each key holder the masks.

        Once all key holders have checked it, the logs of all domains are added and the secrets
        removed.

        Raises:
            InputError: the output folder holds another release, or cannot be written to; or the
                ledger lacks what the key holder has recorded of it.
            MessageError: a key holder does not tell that it debited what the study costs.
            PendingError: a key holder or the aggregator is not done.
        """
        run = self._run
        path = run.folder / _COEFFICIENTS
        if not run.log.finished:
            if not path.exists():
                raise InputError(
                    "there are no coefficients yet", key="step", remedy="Run step=unblind first"
                )
            coefficients = Coefficients.decode(path.read_bytes(), run.plan.study.digest)
            with self._progress.stage("publish", 1) as stage:
                shown = self._shown(coefficients)
                self._publish(coefficients)
                self._show_masks(shown)
                self._keep_logs()
                stage.advance()
            run.log.add("finished")
        write_whole(self._out / AUDIT / f"{run.domain}.jsonl", run.log.content())
        self._deliver()
        run.mailbox.publish_log()
        path.unlink(missing_ok=True)
        forget(run, APPROVED, SHARE)
        shutil.rmtree(run.folder / RECEIPTS, ignore_errors=True)

    def _deliver(self) -> None:
        """Put the finished release into the object store that it is for, if it is for one."""
        if self._target.is_local:
            return
        made = sorted(path for path in self._out.rglob("*") if path.is_file())
        files = {path.relative_to(self._out).as_posix(): path.read_bytes() for path in made}
        manifest = files.pop(MANIFEST)
        put(self._target, files, manifest)

    def _publish(self, coefficients: Coefficients) -> None:
        run = self._run
        out = self._out
        manifest = manifest_of(run, coefficients.release, self._sessions())
        self._check_folder(manifest["release"])
        try:
            (out / AUDIT).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(out, error) from None
        tables = publish(run.plan, coefficients)
        write(Release(*tables, manifest, run.plan.as_dict(), out), out)
        if not any(run.log.of("published")):
            files = {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in published_files(out)
            }
            run.log.add("published", release=manifest["release"], files=files)

    def _sessions(self) -> dict[str, Any]:
        """The sessions of several parties, which that with the aggregator stands for.

        Those of the only row party are by column party, those of several by row party first.
        """
        study = self._run.plan.study
        if not study.opens_jointly:
            return {}
        sessions = self._party().sessions_by_party()
        return {"sessions": sessions if study.row.parties else sessions[self._run.domain]}

    def _shown(self, coefficients: Coefficients) -> dict[Domain, dict[str, bytes]]:
        """Make what each key holder needs to check the release; nothing if it is out.

        This checks the ledger, so it comes before anything is published.
        """
        if all(self._run.mailbox.has_sent(name, "mask") for name in self._columns):
            return {}
        party = self._party()
        release = coefficients.release
        jointly = self._run.plan.study.opens_jointly
        shown = party.show_masks(release) if jointly else [party.show_mask(release)]
        return {
            link.party: {"shown": mask, "coefficients": link.show_coefficients(coefficients)}
            for link, mask in zip(party.links, shown, strict=True)
        }

    def _show_masks(self, shown: Mapping[Domain, dict[str, bytes]]) -> None:
        """Show each key holder what it needs, with the digests of the published tables."""
        mailbox = self._run.mailbox
        mailbox.publish_log()
        files = next(self._run.log.of("published")).facts["files"]
        names = (STATISTICS, STATISTICS_CSV, AREAS, AREAS_CSV)
        tables = {name: files[name] for name in names}
        for party, fields in shown.items():
            mailbox.send(party, "mask", pack_fields({**fields, "files": canonical(tables)}))

    def _keep_logs(self) -> None:
        """Add to the release the other domains' logs, at their end, and what all have approved."""
        agreed = (self._run.folder / COLLABORATION).read_bytes()
        write_whole(self._out / AUDIT / COLLABORATION, agreed)
        for domain in ("aggregator", *self._others, *self._columns):
            content = self._run.mailbox.log_with(domain, "finished")
            write_whole(self._out / AUDIT / f"{domain}.jsonl", content)

    def _check_folder(self, release: str) -> None:
        """Refuse an output folder that holds another release than the one to publish."""
        if not (self._out / STATISTICS).exists():
            return
        if json.loads((self._out / MANIFEST).read_text())["release"] != release:
            raise InputError(
                "the output folder holds another release",
                file=str(self._out),
                remedy="Choose another out=",
            )


def published_files(out: Path) -> Sequence[Path]:
    """List the files of a release that the row party's log vouches for."""
    return [out / name for name in (STATISTICS, STATISTICS_CSV, AREAS, AREAS_CSV, PLAN, MANIFEST)]
