"""The aggregator's steps: show evidence, deal for the noise, join and add while encrypted, mask.

The aggregator has the public key, the pseudonymous rows and the flags. It refuses to start beside
anything that holds a secret of a party.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.paillier import PublicKey, check_group
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.aggregator_evidence import show_evidence
from xstat_ray.federation.config import AggregatorConfig
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical
from xstat_ray.federation.noise_step import departures_logged
from xstat_ray.federation.outbox import Outbox
from xstat_ray.model.messages import Flags, Masks, RerandomisedTable, Rows, Tree
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Role
from xstat_ray.noise.bits import SEED_BYTES
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.draw import Dealing
from xstat_ray.planning.disk import check_disk, sent_bytes
from xstat_ray.planning.fit import check_aggregator
from xstat_ray.planning.options import IN_FLIGHT
from xstat_ray.publication.manifest import shown_seconds
from xstat_ray.roles.aggregator import Aggregator
from xstat_ray.roles.opening import checked_key, release_id, table_digest
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.executor import ROLES, Executor
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.reduction import BatchMessages, reduce_partials
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
        self._view = ""
        """Name of the view that the first message belongs to."""

    def run(self) -> None:
        """Do the step, or what is left of it.

        What is dealt for the noise, and the table, are on disk before they leave.

        Raises:
            PendingError: a message has not come in time.
            MessageError: a party's message is not what it should be.
        """
        path = self._run.folder / RERANDOMISED
        if not self._run.log.finished:
            dealing = self._deal()
            if not path.exists():
                write_whole(path, self._count().encode(self._study), mode=0o600)
            if dealing is not None:
                with departures_logged(self._run):
                    self._check_sets(dealing.check)
            self._hand_out(RerandomisedTable.decode(path.read_bytes(), self._study))
            self._run.log.add("finished")
        self._mailbox.publish_log()
        for name in (RERANDOMISED, DEALER):
            (self._run.folder / name).unlink(missing_ok=True)

    def _deal(self) -> Dealing | None:
        """Deal what the parties draw the noise with; a repeat deals the same.

        Returns:
            What was dealt, where the parties are still to be shown that; else None.
        """
        plan = self._plan.noise
        self._receive_key()
        if plan is None:
            return None
        path = self._run.folder / DEALER
        if not path.exists():
            write_whole(path, os.urandom(SEED_BYTES), mode=0o600)
        sets = self._plan.study.privacy.checked
        secret = path.read_bytes()
        dealing = Dealing(plan, self._mailbox.session, sets, seed=secret, study_digest=self._study)
        for role in ROLES:
            self._mailbox.send(role, "dealt", dealing.export_seeds(role))
        to_check = sets > 1 and not self._mailbox.has_sent("column", "sets")
        outbox = Outbox(self._run, self._executor)
        parts = len(dealing.numbers)
        left = self._mailbox.unsent("column", "corrections", parts)
        # A check is of everything that was dealt.
        for number in dealing.numbers if to_check else left:
            outbox.send("column", "corrections", dealing.deal(number), number, parts)
        if not to_check:
            return None
        for role in ROLES:
            self._mailbox.send(role, "commitment", dealing.check.commit)
        return dealing

    def _check_sets(self, check: CovertCheck) -> None:
        """Toss with the parties for the set of coins that is used, and show them all others."""
        toss = check.toss({role: self._take(role, "commitment") for role in ROLES})
        for role in ROLES:
            self._mailbox.send(role, "toss", toss)
        sets = check.open({role: self._take(role, "toss") for role in ROLES})
        for role in ROLES:
            self._mailbox.send(role, "sets", sets)

    def _take(self, role: Role, kind: str) -> bytes:
        with self._mailbox.receiving(role, kind) as message:
            return message.payload

    def _hand_out(self, table: RerandomisedTable) -> None:
        """Put the masks on the table; show the row party both tables, the key holder the masked."""
        public = self._receive_key()
        masked = self._aggregator(public).put_masks(table, self._masks(public))
        digest = table_digest(masked, self._plan.study)
        release = release_id(self._mailbox.session, digest)
        if not any(self._run.log.of("noise")):
            self._run.log.add("noise", release=release, digest=digest.hex())
        outbox = Outbox(self._run, self._executor)
        outbox.send("row", "rerandomised", table)
        outbox.send("row", "masked", masked)
        outbox.send("column", "masked", masked)
        facts = {
            "release": release,
            "kernel": self._plan.kernel,
            "seconds": shown_seconds(self._plan, self._progress.seconds),
        }
        self._mailbox.send("row", "facts", canonical(facts))

    def _masks(self, public: PublicKey) -> list[Masks]:
        """Receive the row party's masks of all nodes."""
        parts = opening_parts(self._plan)
        shape = (self._plan.packing.blocks, public.width)

        def read(message: Opened) -> Masks:
            masks = Masks.decode(message.payload, self._study)
            head = message.header
            part = parts[head.part] if head.parts == len(parts) else range(0)
            if (masks.first, len(masks.ciphertexts)) != (part.start, len(part)) or not part:
                raise ProtocolError("its masks are not those of its part of the table")
            if masks.ciphertexts.shape[1:] != shape:
                raise ProtocolError("masks of another shape")
            check_group(public, from_rows(masks.ciphertexts.reshape(-1, public.width)))
            return masks

        return list(self._mailbox.collect("row", "masks", read))

    def _receive_key(self) -> PublicKey:
        with self._mailbox.receiving("column", "key") as message:
            self._mailbox.begin_session(message.header.session)
            public = checked_key(message.payload)
            if public.key_bits != self._plan.key_bits:
                raise ProtocolError("the public key has a modulus of the wrong size")
        return public

    def _aggregator(self, public: PublicKey) -> Aggregator:
        return Aggregator(public, self._plan.study.rows_per_flag, self._plan.design.cells)

    def _count(self) -> RerandomisedTable:
        public = self._receive_key()
        starts = self._starts()
        aggregator = self._aggregator(public)
        shards = len(self._plan.grid.shards)
        with self._progress.stage("aggregate", shards) as stage:
            encrypted = reduce_partials(
                self._executor,
                [aggregator],
                self._batches(public),
                in_flight=IN_FLIGHT,
                stage=stage,
            )
        (table,) = self._driver.rerandomise([public], encrypted, starts)
        return table

    def _starts(self) -> list[NDArray[np.int64]]:
        """Receive the row tree: for each level above the cells, where its nodes begin below.

        With padding it follows from the plan, and no message of it is read.
        """
        levels = self._plan.design.levels
        if self._plan.design.starts is not None:
            return self._plan.design.starts
        if len(levels) == 1:
            return []

        def read(message: Opened) -> NDArray[np.int64]:
            if message.header.parts != len(levels) - 1:
                raise ProtocolError("the row tree has another number of levels than the study")
            tree = Tree.decode(message.payload, self._study)
            self._check_view(tree.view)
            self._plan.design.check_level(message.header.part, tree.starts)
            return tree.starts

        return list(self._mailbox.collect("row", "tree", read))

    def _check_view(self, view: str) -> None:
        """Refuse a message of another view than those before: two views may tell more than one."""
        self._view = self._view or view
        if view != self._view:
            raise ProtocolError("it belongs to another view than the messages before it")

    def _batches(self, public: PublicKey) -> Iterator[BatchMessages]:
        """Yield every batch: its flags, and its messages of rows as they come."""
        read = partial(self._read_flags, public)
        batches = groupby(self._mailbox.collect("column", "flags", read), lambda flags: flags.batch)
        messages = self._mailbox.collect("row", "rows", self._read_rows)
        for batch, of_batch in groupby(messages, lambda message: message[0].batch):
            number, flags = next(batches, (-1, iter(())))
            if number != batch:
                raise ProtocolError("the flags do not come batch by batch")
            refs = [self._executor.put(part) for part in flags]
            yield BatchMessages([refs], (partial(_itself, rows) for _, rows in of_batch))
        if next(batches, None) is not None:
            raise ProtocolError("there are more flags than batches")

    def _read_rows(self, message: Opened) -> tuple[Shard, Rows]:
        """Read rows and their shard; there is one message a shard.

        Raises:
            ProtocolError: the rows are not in their place, or not those of their shard.
        """
        rows = Rows.decode(message.payload, self._study)
        self._check_view(rows.view)
        head = message.header
        shards = self._plan.grid.shards
        if head.parts != len(shards) or rows.shard != head.part:
            raise ProtocolError("the rows do not come shard by shard")
        shard = shards[rows.shard]
        outside = (rows.cells < shard.region.start) | (rows.cells >= shard.region.stop)
        if len(rows.cells) != head.rows or outside.any() or not is_sorted(rows.tags):
            raise ProtocolError(
                "rows outside their shard, not sorted, or not as many as its header says"
            )
        return shard, rows

    def _read_flags(self, public: PublicKey, message: Opened) -> Flags:
        flags = Flags.decode(message.payload, self._study)
        self._check_view(flags.view)
        shape = (self._plan.packing.blocks, public.width)
        if flags.ciphertexts.shape[1:] != shape or len(flags.tags) != message.header.rows:
            raise ProtocolError("flags of another shape, or not as many as its header says")
        if not is_sorted(flags.tags):
            raise ProtocolError("tags are not sorted")
        check_group(public, from_rows(flags.ciphertexts.reshape(-1, public.width)))
        return flags


def _itself(rows: Rows) -> Rows:
    return rows


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
