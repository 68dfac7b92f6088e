"""The last steps: the key holder debits and decrypts, the row party unblinds and publishes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.paillier import PublicKey, check_group
from xstat_ray.errors import InputError, PendingError, ProtocolError
from xstat_ray.federation.audit import read_log
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.party import FACTS
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, NoisyTable
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import (
    AREAS,
    AREAS_CSV,
    MANIFEST,
    PLAN,
    STATISTICS,
    STATISTICS_CSV,
    Release,
    write,
)
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.emission import decrypt_parts
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import unwritable, write_whole

AUDIT = "audit"
"""Folder of a release with the logs of the three domains."""
_COEFFICIENTS = "coefficients.msg"


class KeyHolderSteps:
    """The last step of the column party: decrypt."""

    def __init__(self, run: DomainRun, ledger: Path, progress: Progress) -> None:
        self._run = run
        self._ledger = ledger
        self._progress = progress

    def decrypt(self) -> None:
        """Debit the release, decrypt the noisy table, and remove the secrets.

        The coefficients are sealed for the row party.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
            MessageError: the aggregator's message is not what it should be.
            PendingError: the aggregator's message has not come in time.
        """
        run = self._run
        if not run.log.finished:
            self._decrypt()
            run.log.add("finished")
        run.mailbox.publish_log()
        (run.folder / SECRETS).unlink(missing_ok=True)

    def _decrypt(self) -> None:
        run = self._run
        mailbox = run.mailbox
        plan = run.plan
        facts = read_facts(run.folder)
        party = ColumnParty(plan.study, Source(run.folder, ledger=self._ledger))
        party.load(run.folder)
        parts = decrypt_parts(plan)
        with (
            self._progress.stage("decrypt", len(parts)) as stage,
            mailbox.receiving("aggregator", "noisy") as message,
        ):
            noisy = NoisyTable.decode(message.payload, plan.study.digest)
            if len(noisy.ciphertexts) != message.header.rows:
                raise ProtocolError("it has another number of rows than its header says")
            # Before the debit: nothing is paid for what cannot be decrypted.
            public = PublicKey.decode(party.public_key())
            check_table(public, noisy, plan)
            for number in mailbox.unsent("row", "coefficients", len(parts)):
                part = parts[number]
                sealed = party.release(noisy, plan.packing, part)
                self._note_debit(noisy.release)
                place = {
                    "part": number,
                    "parts": len(parts),
                    "first": part.start,
                    "rows": len(part),
                }
                mailbox.send("row", "coefficients", sealed, **place)
                stage.advance()
        debited = next((entry.facts for entry in run.log.of("debited")), None)
        mailbox.send("row", "facts", canonical({**facts, "debited": debited}))

    def _note_debit(self, release: str) -> None:
        debit = debit_of(self._run.plan.study, self._run.plan.mechanism, release)
        if debit is not None and not any(self._run.log.of("debited")):
            self._run.log.add("debited", **debit)


class PublisherSteps:
    """The last steps of the row party: unblind and publish."""

    def __init__(self, run: DomainRun, out: Path, progress: Progress) -> None:
        self._run = run
        self._out = out
        self._progress = progress

    def unblind(self) -> None:
        """Put the noisy coefficients into declared order, in the private folder.

        Raises:
            MessageError: a message of the key holder is not what it should be.
            PendingError: a message has not come in time.
        """
        run = self._run
        path = run.folder / _COEFFICIENTS
        if run.log.finished or path.exists():
            return
        read_facts(run.folder)
        party = RowParty(run.plan.study, run.folder)
        party.load(run.folder)
        with self._progress.stage("unblind", 1) as stage:
            parts = list(
                run.mailbox.collect(
                    "column", "coefficients", partial(self._read_part, party, set[str]())
                )
            )
            write_whole(path, party.put_in_order(parts).encode(run.plan.study.digest), mode=0o600)
            stage.advance()

    def _read_part(self, party: RowParty, releases: set[str], message: Opened) -> Coefficients:
        """Read a message of coefficients, which must be those of its place in the stream.

        `releases` has the number of the release after the first message.

        Raises:
            ProtocolError: they are of another part of the table, or of another release.
        """
        head = message.header
        parts = decrypt_parts(self._run.plan)
        slots = self._run.plan.study.slots
        part = parts[head.part] if head.parts == len(parts) else range(0)
        found = party.open_coefficients(message.payload)
        releases.add(found.release)
        in_place = (head.first, head.rows, found.first) == (part.start, len(part), part.start)
        if not in_place or found.values.shape != (len(part), slots):
            raise ProtocolError("its coefficients are not those of its part of the table")
        if len(releases) > 1:
            raise ProtocolError("its coefficients are of another release than those before")
        return found

    def publish(self) -> None:
        """Refine, suppress, write the release with the logs of all domains, remove the secrets.

        Raises:
            InputError: the output folder holds another release, or cannot be written to.
            MessageError: the key holder does not tell that it debited what the study costs.
            PendingError: the key holder or the aggregator is not done.
        """
        run = self._run
        path = run.folder / _COEFFICIENTS
        if not run.log.finished:
            if not path.exists():
                raise InputError(
                    "there are no coefficients yet", key="step", remedy="Run step=unblind first"
                )
            with self._progress.stage("publish", 1) as stage:
                self._publish(Coefficients.decode(path.read_bytes(), run.plan.study.digest))
                stage.advance()
            run.log.add("finished")
        write_whole(self._out / AUDIT / "row.jsonl", run.log.content())
        run.mailbox.publish_log()
        for secret in (path, run.folder / SECRETS):
            secret.unlink(missing_ok=True)

    def _publish(self, coefficients: Coefficients) -> None:
        run = self._run
        out = self._out
        manifest = self._manifest(coefficients.release)
        logs = self._logs()
        self._check_folder(manifest["release"])
        try:
            (out / AUDIT).mkdir(parents=True, exist_ok=True)
            for domain, content in logs.items():
                write_whole(out / AUDIT / f"{domain}.jsonl", content)
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

    def _manifest(self, release: str) -> dict[str, Any]:
        run = self._run
        plan = run.plan
        row = read_facts(run.folder)
        debit = debit_of(plan.study, plan.mechanism, release)

        def of_column(message: Opened) -> dict[str, Any]:
            facts = _object(message.payload, "input", "kernel", "debited")
            if facts["debited"] != debit:
                raise ProtocolError("the key holder did not debit what the study costs")
            return facts

        def of_aggregator(message: Opened) -> dict[str, Any]:
            facts = _object(message.payload, "release", "kernel", "seconds")
            if facts["release"] != release:
                raise ProtocolError("the aggregator's release is not the one that was decrypted")
            return facts

        (column,) = run.mailbox.collect("column", "facts", of_column)
        (aggregator,) = run.mailbox.collect("aggregator", "facts", of_aggregator)
        inputs: dict[Role, str] = {"row": row["input"], "column": column["input"]}
        kernels = {
            "aggregator": aggregator["kernel"],
            "row": row["kernel"],
            "column": column["kernel"],
        }
        facts = make_manifest(plan, release, inputs, kernels, aggregator["seconds"])
        if plan.padding is not None:
            # The dummies are drawn once in a run, whatever is interrupted.
            facts["view"]["shown"] = 1
        return facts | {
            "deployment": "federated",
            "run": run.name,
            "session": run.mailbox.session,
            "domains": next(run.log.of("opened")).facts["keys"],
        }

    def _logs(self) -> dict[Domain, bytes]:
        """Read the other domains' logs, which must have come to their end."""
        logs = dict[Domain, bytes]()
        peers = self._run.peers
        for domain in ("column", "aggregator"):
            content = self._run.mailbox.log_of(domain)
            entries = [] if content is None else read_log(content, domain, peers)
            if content is None or not any(entry.event == "finished" for entry in entries):
                raise PendingError(
                    f"the {domain} domain has not finished. The same command goes on once it has"
                )
            logs[domain] = content
        return logs


def check_table(public: PublicKey, noisy: NoisyTable, plan: Plan) -> None:
    """Check that a noisy table has the plan's size and holds ciphertexts under this key.

    Raises:
        ProtocolError: it does not.
    """
    if noisy.ciphertexts.shape != (plan.design.shown, plan.packing.blocks, public.width):
        raise ProtocolError("the noisy table does not have the size of the study's table")
    check_group(public, from_rows(noisy.ciphertexts.reshape(-1, public.width)))


def published_files(out: Path) -> Sequence[Path]:
    """List the files of a release that the row party's log vouches for."""
    return [out / name for name in (STATISTICS, STATISTICS_CSV, AREAS, AREAS_CSV, PLAN, MANIFEST)]


def debit_of(study: Study, mechanism: Mechanism, release: str) -> dict[str, Any] | None:
    """Work out what the key holder must debit for a release; None where noise is off."""
    if mechanism.noise == "off":
        return None
    amounts = {
        "epsilon": str(mechanism.epsilon),
        "delta": str(mechanism.delta),
        "rho": str(mechanism.rho),
    }
    datasets = [study.row.dataset, study.column.dataset]
    return {"release": release, "study": study.digest.hex(), "datasets": datasets, **amounts}


def read_facts(folder: Path) -> dict[str, Any]:
    """Read what the step emit tells of a party for the manifest.

    Raises:
        InputError: the step emit is not over.
    """
    path = folder / FACTS
    if not path.exists():
        raise InputError(
            "the party's rows or flags are not out yet",
            key="step",
            remedy="Run xstat-ray deidentify first",
        )
    return dict(json.loads(path.read_text()))


def _object(payload: bytes, *names: str) -> dict[str, Any]:
    try:
        value = json.loads(payload)
        if set(value) == set(names):
            return dict(value)
    except (ValueError, TypeError, RecursionError):
        pass
    raise ProtocolError("its payload is malformed")
