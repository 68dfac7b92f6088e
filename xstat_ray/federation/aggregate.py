"""The aggregator's steps: show evidence, deal for the noise, join and add while encrypted, mask.

The aggregator has the public key of each column party, the pseudonymous rows and the flags. It
refuses to start beside anything that holds a secret of a party.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import InputError
from xstat_ray.federation.aggregator_evidence import show_evidence, told_sessions
from xstat_ray.federation.aggregator_inbox import AggregatorInbox
from xstat_ray.federation.config import AggregatorConfig
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.noise_step import departures_logged
from xstat_ray.federation.outbox import Outbox
from xstat_ray.federation.roster import columns_of, publisher_of, rows_of, sharers_of
from xstat_ray.model.messages import Partial, RerandomisedTable
from xstat_ray.noise.bits import SEED_BYTES
from xstat_ray.noise.checking import AnyRole
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.draw import Dealing
from xstat_ray.planning.disk import check_disk, sent_bytes
from xstat_ray.planning.fit import check_aggregator
from xstat_ray.planning.options import IN_FLIGHT
from xstat_ray.publication.manifest import shown_seconds
from xstat_ray.roles.aggregator import Aggregator
from xstat_ray.roles.opening import digest_of_all, release_id, table_digest
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.reduction import reduce_partials
from xstat_ray.util.files import write_whole
from xstat_ray.util.location import Location

RERANDOMISED = "rerandomised.msg"
DEALER = "dealer"
"""File with the seed of all that is dealt for the noise."""
_MARKS = (
    b"PRIVATE KEY-----",
    *(
        len(name).to_bytes(8, "little") + name
        for name in (b"seed", b"exchange", b"mask", b"paillier", b"share")
    ),
)
"""Bytes in files with secrets: the end of a PEM header, and names of fields that a party saves."""
_LOOK_BYTES = 64 << 10
_PATH_BYTES = 256


class AggregatorSteps:
    """The aggregator's part of a run."""

    def __init__(self, run: DomainRun, executor: Executor, progress: Progress) -> None:
        self._run = run
        self._mailbox = run.mailbox
        self._plan = run.plan
        self._executor = executor
        self._progress = progress
        self._driver = Driver(executor, run.plan, progress)
        self._study = run.plan.study.digest
        self._columns = columns_of(run.plan.study)
        self._publisher = publisher_of(run.plan.study)
        self._sharers = sharers_of(run.plan.study)
        self._inbox = AggregatorInbox(run, executor)

    def run(self) -> None:
        """Do the step, or what is left of it.

        What is dealt for the noise, and the table, are on disk before they leave.

        Raises:
            PendingError: a message has not come in time.
            MessageError: a party's message is not what it should be.
        """
        paths = [self._run.folder / name for name in self._files()]
        if not self._run.log.finished:
            dealing = self._deal()
            if not paths[0].exists():
                # The first comes last: where it is, all are.
                for path, table in reversed(list(zip(paths, self._count(), strict=True))):
                    write_whole(path, table.encode(self._study), mode=0o600)
            if dealing is not None:
                with departures_logged(self._run):
                    self._check_sets(dealing.check)
            self._hand_out(
                [RerandomisedTable.decode(path.read_bytes(), self._study) for path in paths]
            )
            self._run.log.add("finished")
        self._mailbox.publish_log()
        for name in (*self._files(), DEALER):
            (self._run.folder / name).unlink(missing_ok=True)

    def _files(self) -> list[str]:
        """Names of the files of the tables, under the key of each column party."""
        return [f"{number}.{RERANDOMISED}" if number else RERANDOMISED for number in self._keys]

    @property
    def _keys(self) -> range:
        """Numbers of the column parties, whose keys they are, in the order of the study."""
        return range(len(self._columns))

    def _deal(self) -> Dealing | None:
        """Deal what the parties draw the noise with; a repeat deals the same.

        Returns:
            What was dealt, where the parties are still to be shown that; else None.
        """
        plan = self._plan.noise
        self._inbox.keys()
        if plan is None:
            return None
        path = self._run.folder / DEALER
        if not path.exists():
            write_whole(path, os.urandom(SEED_BYTES), mode=0o600)
        sets = self._plan.study.privacy.checked
        secret = path.read_bytes()
        first = self._sharers["column"]
        session = told_sessions(self._run, first)[0]
        dealing = Dealing(plan, session, sets, seed=secret, study_digest=self._study)
        for role, domain in self._sharers.items():
            self._mailbox.send(domain, "dealt", dealing.export_seeds(role))
        to_check = sets > 1 and not self._mailbox.has_sent(first, "sets")
        outbox = Outbox(self._run, self._executor)
        parts = len(dealing.numbers)
        left = self._mailbox.unsent(first, "corrections", parts)
        # A check is of everything that was dealt.
        for number in dealing.numbers if to_check else left:
            outbox.send(first, "corrections", dealing.deal(number), number, parts)
        if not to_check:
            return None
        for domain in self._sharers.values():
            self._mailbox.send(domain, "commitment", dealing.check.commit)
        return dealing

    def _check_sets(self, check: CovertCheck) -> None:
        """Toss with the parties for the set of coins that is used, and show them all others."""
        toss = check.toss(self._told("commitment"))
        for domain in self._sharers.values():
            self._mailbox.send(domain, "toss", toss)
        sets = check.open(self._told("toss"))
        for domain in self._sharers.values():
            self._mailbox.send(domain, "sets", sets)

    def _told(self, kind: str) -> dict[AnyRole, bytes]:
        """What the parties that draw the noise tell, by their roles."""
        return {role: self._take(domain, kind) for role, domain in self._sharers.items()}

    def _take(self, domain: Domain, kind: str) -> bytes:
        with self._mailbox.receiving(domain, kind) as message:
            return message.payload

    def _hand_out(self, tables: Sequence[RerandomisedTable]) -> None:
        """Put the masks on the tables.

        The row party, or the first, is shown all of them with and without masks, each key holder
        its own with them.
        """
        row = self._publisher
        publics = self._inbox.keys()
        of_keys = zip(publics, tables, self._inbox.masks(publics), strict=True)
        masked = [
            self._aggregator(public, row).put_masks(table, masks)
            for public, table, masks in of_keys
        ]
        study = self._plan.study
        digest = digest_of_all([table_digest(table, study) for table in masked], study)
        release = release_id(self._mailbox.session_with(row), digest)
        if not any(self._run.log.of("noise")):
            self._run.log.add("noise", release=release, digest=digest.hex())
        outbox = Outbox(self._run, self._executor)
        for number, table in enumerate(tables):
            outbox.send(row, "rerandomised", table, number, len(tables))
        for number, with_masks in enumerate(masked):
            outbox.send(row, "masked", with_masks, number, len(masked))
        for name, with_masks in zip(self._columns, masked, strict=True):
            outbox.send(name, "masked", with_masks)
        facts = {
            "release": release,
            "kernel": self._plan.kernel,
            "seconds": shown_seconds(self._plan, self._progress.seconds),
        }
        self._mailbox.send(row, "facts", canonical(facts))

    def _aggregator(self, public: PublicKey, row: Domain) -> Aggregator:
        """The aggregator with a key holder's key, as it joins the rows of a row party."""
        most = self._plan.study.rows_per_flag_of(row)
        return Aggregator(public, most, self._plan.design.cells)

    def _count(self) -> list[RerandomisedTable]:
        publics = self._inbox.keys()
        starts = self._inbox.starts()
        rows = len(rows_of(self._plan.study))
        joins = rows * len(publics) * len(self._plan.grid.shards)
        with self._progress.stage("aggregate", joins) as stage:
            counted = [
                reduce_partials(
                    self._executor,
                    [self._aggregator(public, row) for public in publics],
                    batches,
                    in_flight=IN_FLIGHT,
                    stage=stage,
                )
                for row, batches in self._inbox.tables(publics)
            ]
        united = [
            self._united(public, of_rows)
            for public, *of_rows in zip(publics, *counted, strict=True)
        ]
        return self._driver.rerandomise(publics, united, starts)

    def _united(self, public: PublicKey, of_rows: Sequence[Partial]) -> Partial:
        """Add up what was counted of the rows of every row party, under one key."""
        if len(of_rows) == 1:
            return of_rows[0]
        return self._aggregator(public, self._publisher).unite(*of_rows)


def refuse_secrets(places: Sequence[Path], environment: Mapping[str, str], identity: Path) -> None:
    """Refuse to work where a secret of a party lies, as that place is not neutral.

    Args:
        places: folders and files to look through.
        environment: environment variables; their values, and the files that they name, are looked
            through too.
        identity: file of the aggregator's signing key, which may be there.

    Raises:
        InputError: a secret lies there; tells where, not what.
    """
    for name, value in environment.items():
        if _is_secret(value.encode(errors="surrogateescape")):
            raise _refusal(f"the environment variable {name}")
    files = [
        path for place in places for path in (place.rglob("*") if place.is_dir() else (place,))
    ]
    named = [
        Path(value)
        for value in environment.values()
        if value.startswith("/") and len(value) < _PATH_BYTES
    ]
    for path in [*files, *named]:
        if path != identity and path.is_file() and os.access(path, os.R_OK):
            with path.open("rb") as file:
                if path.name == SECRETS or _is_secret(file.read(_LOOK_BYTES)):
                    raise _refusal(f"the file {path}")


def _is_secret(content: bytes) -> bool:
    return any(mark in content for mark in _MARKS)


def _refusal(place: str) -> InputError:
    remedy = "Remove it: the aggregator works with the public key alone"
    return InputError(
        f"a party's secret lies within the aggregator's reach, in {place}", remedy=remedy
    )


def aggregate(config: AggregatorConfig, progress: Progress) -> None:
    """Do the aggregator's job: show the parties what runs here, then all the rest of its part.

    Raises:
        InputError: a party's secret lies within reach, or the exchange has too little room.
        PlanError: the run does not fit into memory.
        XstatError: see `show_evidence` and `AggregatorSteps.run`.
    """
    settings = config.settings
    exchange = Location.of(settings.exchange)
    places = [settings.private, *([exchange.local] if exchange.is_local else [])]
    refuse_secrets([place.absolute() for place in places], os.environ, settings.identity.absolute())
    plan = config.plan()
    check_aggregator(plan, config.options)
    check_disk(exchange, sent_bytes(plan, "aggregator"), "the run", "domain.exchange")
    with DomainRun("aggregator", settings, plan) as run:
        show_evidence(run, config.shown.provider(run.identity))
        if config.step == "attest":
            return
        progress = Recorded(progress, run.folder)
        with open_executor(config.study, {}, config.options, progress) as executor:
            AggregatorSteps(run, executor, progress).run()
