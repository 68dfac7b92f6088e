"""The driver: takes a plan through the stages on any executor.

It submits everything and owns every reference.

It holds no secret of a party; what passes from party to party through it is sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import PartyError
from xstat_ray.model.messages import Coefficients, NoisyTable, Partial
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Role
from xstat_ray.planning.options import IN_FLIGHT
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import order_sentence
from xstat_ray.privacy.noise import add_noise_once
from xstat_ray.roles import Aggregator
from xstat_ray.roles.join import FAN_IN
from xstat_ray.roles.row_table import Share
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref
from xstat_ray.runtime.progress import Progress, Stage

PERSONS_A_CALL = 10_000
"""Points blinded by one call: about a second with the portable kernel, a fifth with the native
one."""
PARTS_KEPT = 25
"""Parts of the exchange after which it is kept: what an interruption costs at most."""
PRODUCTS_A_CALL = 50_000
"""Ciphertexts multiplied by one task on the way up the row tree: about a second with the portable
kernel."""
CIPHERTEXTS_A_CALL = 5_000
"""Ciphertexts made or opened by one call: one to a few seconds with the portable kernel."""


class Holder(NamedTuple):
    """Environments of a party that hold the same persons, and the parts in which those are exchanged."""

    role: Role
    instances: Sequence[Instance]
    parts: list[range]
    folder: Path | None
    """The party's own, where the keys of its persons are kept."""

    @property
    def rounds(self) -> list[list[range]]:
        """The parts after which what is known is kept."""
        return [self.parts[i : i + PARTS_KEPT] for i in range(0, len(self.parts), PARTS_KEPT)]

    def turn(self, number: int) -> Instance:
        """One of the environments; different turns go to different ones."""
        return self.instances[number % len(self.instances)]


class Driver:
    """One run of one plan."""

    def __init__(
        self, executor: Executor, plan: Plan, progress: Progress, window: int = IN_FLIGHT
    ) -> None:
        self._executor = executor
        self._plan = plan
        self._progress = progress
        self._window = window

    # Stage 1: de-identify

    def de_identify(
        self, folders: Mapping[Role, Path] | None = None, resume: bool = False
    ) -> PublicKey:
        """Handshake, intake and ID exchange; afterwards both parties can emit.

        Returns the public key.

        Args:
            folders: of each party its own, where secrets and keys of persons are kept, so that a
                later run resumes.
            resume: take up what an earlier run left there; only people who are new are exchanged.
        """
        executor = self._executor
        with self._progress.stage("intake", 2) as stage:
            public = self._resume(folders or {}) if resume else self._agree()
            self.fill_replicas()
            intakes = {role: self._intake(role) for role in executor.parties}
            holders = []
            for role, refs in intakes.items():
                holders += self._holders(role, executor.get_all(refs), (folders or {}).get(role))
                stage.advance()
            if not resume:
                executor.get_all(
                    [
                        executor.party(role).call("save", own)
                        for role, own in (folders or {}).items()
                    ]
                )
        if self._plan.padding is None:
            # With padding the driver, as the aggregator, is told nothing of a table that noise does
            # not cover.
            self._say_order()
        self._exchange(holders)
        return PublicKey.decode(public)

    def _agree(self) -> bytes:
        executor = self._executor
        plan = self._plan
        row = executor.party("row")
        column = executor.party("column")
        key = column.call("generate_key", plan.key_bits, plan.constant_time)
        hello = {
            role: executor.get(executor.party(role).call("hello")) for role in executor.parties
        }
        confirmations = (row.call("agree", hello["column"]), column.call("agree", hello["row"]))
        executor.get_all(
            [row.call("confirm", confirmations[1]), column.call("confirm", confirmations[0])]
        )
        public: bytes = executor.get(key)
        return public

    def _resume(self, folders: Mapping[Role, Path]) -> bytes:
        executor = self._executor
        executor.get_all(
            [executor.party(role).call("load", folder) for role, folder in folders.items()]
        )
        public: bytes = executor.get(executor.party("column").call("public_key"))
        return public

    def take_in(self, role: Role) -> list[Holder]:
        """The intake of one party alone."""
        holders = self._holders(role, self._executor.get_all(self._intake(role)), None)
        if role == "row":
            self._say_order()
        return holders

    def _say_order(self) -> None:
        """Say whether the row party's files are sorted by id, which decides how fast they are read."""
        self._progress.note(
            order_sentence(
                self._plan, self._executor.get(self._executor.party("row").call("is_sorted"))
            )
        )

    def _intake(self, role: Role) -> list[Ref]:
        every = self._executor.parties[role]
        if not ROLES[role].divided:
            return [one.call("intake") for one in every]
        return [one.call("intake", Share(number, len(every))) for number, one in enumerate(every)]

    def _holders(self, role: Role, sizes: list[int], folder: Path | None) -> list[Holder]:
        """The environments of a party, those together that hold the same persons."""
        every = self._executor.parties[role]
        if len(every) > 1:
            # They make the same random choices person by person, so they must read the same table.
            self._same(role, [one.call("replica_digest") for one in every])
        if folder is not None:
            sizes = self._executor.get_all([one.call("recall", folder) for one in every])
        together = [[one] for one in every] if ROLES[role].divided else [every]
        return [
            Holder(role, own, list(_cut(size, PERSONS_A_CALL)) if size else [], folder)
            for own, size in zip(together, sizes, strict=False)
        ]

    def _exchange(self, holders: list[Holder]) -> None:
        executor = self._executor
        with self._progress.stage(
            "exchange", sum(len(holder.parts) for holder in holders)
        ) as stage:
            ahead = [
                (holder, self._evaluate(holder, parts), parts)
                for holder in holders
                for parts in holder.rounds
            ]
            for holder, refs, parts in ahead:
                returned = []
                for ref, part in zip(refs, parts, strict=True):
                    returned.append(self._collect(ref, stage))
                    self._progress.worked("persons", len(part))
                first, *copies = holder.instances
                done = [first.call("finish", returned, parts, holder.folder)]
                executor.get_all(done + [one.call("finish", returned, parts) for one in copies])

    def _evaluate(self, holder: Holder, parts: list[range]) -> list[Ref]:
        other = ROLES[holder.role].other
        return [
            self._executor.party(other, turn).call(
                "evaluate", holder.turn(turn).call("blind", part), part
            )
            for turn, part in enumerate(parts)
        ]

    def fill_replicas(self) -> None:
        """Hand the secrets of every party's first environment to its others."""
        executor = self._executor
        for first, *replicas in executor.parties.values():
            for replica in replicas:
                sealed = first.call("hand_over", replica.call("offer"))
                executor.get(replica.call("accept", sealed))

    def _same(self, role: Role, refs: list[Ref]) -> Any:
        """The result on which all replicas must agree."""
        first, *others = self._executor.get_all(refs)
        if any(other != first for other in others):
            raise PartyError(
                f"replicas of the {role} party disagree: their copies of the table differ"
            )
        return first

    def _collect(self, ref: Ref, stage: Stage) -> Any:
        value = self._executor.get(ref)
        stage.advance()
        return value

    # Stage 2: aggregate

    def aggregate(self, public: PublicKey) -> Partial:
        """Join every shard and overlay the partials, while encrypted."""
        executor = self._executor
        grid = self._plan.grid
        prepared = self._prepare()
        held: list[list[bool]] = executor.get_all(prepared["row"])
        flags: list[int] = executor.get(prepared["column"][0])
        asked = self._senders_by_batch(held)
        senders = [1 if self._plan.padding else len(numbers) for numbers in asked]
        with self._progress.stage("aggregate", len(grid.regions) * sum(senders)) as stage:
            aggregator = Aggregator(public)
            return self.reduce(aggregator, self._joins(aggregator, flags, asked), stage)

    def _prepare(self) -> dict[Role, list[Ref]]:
        """All environments take the shards, and what the first of each party drew."""
        parties = self._executor.parties
        grid = self._plan.grid
        drawn = {role: every[0].call("draw", grid) for role, every in parties.items()}
        return {
            role: [one.call("prepare", grid, drawn[role]) for one in every]
            for role, every in parties.items()
        }

    def _senders_by_batch(self, held: list[list[bool]]) -> list[list[int]]:
        """For every batch the environments of the row party that are asked for rows.

        Those without rows in a batch, as the outlines of their files tell, are not asked. With
        padding all are: the aggregator shall not see whether there are any.
        """
        batches = range(len(self._plan.grid.batches))
        if self._plan.padding:
            return [list(range(len(held)))] * len(batches)
        asked = [
            [number for number, own in enumerate(held) if own[batch]] or [0] for batch in batches
        ]
        if any(map(any, held)):
            asked = [
                numbers if any(own[batch] for own in held) else []
                for batch, numbers in enumerate(asked)
            ]
        return asked

    def _joins(
        self, aggregator: Aggregator, sizes: list[int], asked: list[list[int]]
    ) -> Iterator[Callable[[], Ref]]:
        """One submission per shard and environment of the row party; with padding one per shard.

        The flags of a batch are made when its first shard comes up, and then dropped.
        """
        executor = self._executor
        current = -1
        flags = list[Ref]()
        for shard in self._plan.grid.shards:
            if asked[shard.batch] and shard.batch != current:
                current = shard.batch
                flags = [make() for make in self.flags(shard.batch, sizes[shard.batch])]
            for senders in self.senders(shard, asked[shard.batch]):
                yield partial(self._join, executor, aggregator, senders, shard, flags)

    def senders(self, shard: Shard, asked: list[int]) -> list[Sequence[Instance]]:
        """Who emits the rows of a shard, and behind each those whose rows go with its own.

        Padding covers whole shards: what every environment sent by itself would need dummies of its
        own.
        """
        every = [self._executor.parties["row"][number] for number in asked]
        if not self._plan.padding:
            return [[one] for one in every]
        turn = shard.number % len(every)
        return [[every[turn], *every[:turn], *every[turn + 1 :]]]

    @staticmethod
    def _join(
        executor: Executor,
        aggregator: Aggregator,
        senders: Sequence[Instance],
        shard: Shard,
        flags: list[Ref],
    ) -> Ref:
        return executor.submit(aggregator.join, emit_rows(senders, shard), *flags)

    def flags(self, batch: int, size: int) -> list[Callable[[], Ref]]:
        """One submission for each part of a batch's flags."""
        packing = self._plan.packing
        parts = enumerate(_cut(size, max(1, CIPHERTEXTS_A_CALL // packing.blocks)))
        return [
            partial(
                self._executor.party("column", number).call, "emit", batch, number, rows, packing
            )
            for number, rows in parts
        ]

    def reduce(
        self, aggregator: Aggregator, joins: Iterable[Callable[[], Ref]], stage: Stage
    ) -> Partial:
        """The reduce tree: as soon as eight results of one level are there they are added into one of the next."""
        executor = self._executor
        pending = iter(joins)
        levels: list[list[Ref]] = [[]]
        in_flight: dict[Ref, int] = {}
        while True:
            while len(in_flight) < self._window and (submit := next(pending, None)) is not None:
                in_flight[submit()] = 0
            if not in_flight:
                break
            ended, done = executor.wait(list(in_flight))
            level = in_flight.pop(ended)
            stage.advance(1 if level == 0 else 0)
            levels[level].append(done)
            if len(levels[level]) == FAN_IN:
                in_flight[executor.submit(aggregator.add, *levels[level])] = level + 1
                levels[level] = []
                levels += [[]] if len(levels) == level + 1 else []
        left = [ref for level in levels for ref in level]
        while len(left) > 1:
            left = [*left[FAN_IN:], executor.submit(aggregator.add, *left[:FAN_IN])]
        result = executor.get(left[0])
        assert isinstance(result, Partial)
        return result

    # Stage 3: release

    def add_noise(
        self, public: PublicKey, partial: Partial, starts: Sequence[NDArray[np.int64]] | None = None
    ) -> NoisyTable:
        """Lay out the whole domain and add the noise; the caller stores the result before going on.

        `starts` is what the row party says of the tree; without it the row party is asked.
        """
        plan = self._plan
        executor = self._executor
        with self._progress.stage("noise", 1) as stage:
            starts = (
                executor.get(executor.party("row").call("tree_starts"))
                if starts is None
                else starts
            )
            levels = self._sum_up(Aggregator(public), partial, starts)
            noisy = add_noise_once(
                public, np.concatenate(levels), plan.packing, plan.design, plan.constant_time
            )
            stage.advance()
        return noisy

    def _sum_up(
        self, aggregator: Aggregator, partial: Partial, every: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.uint8]]:
        """The whole row domain, and above it the sums of every measured level, by tasks over ranges of nodes."""
        executor = self._executor
        plan = self._plan
        levels = [aggregator.lay_out(partial, plan.study.cells, plan.packing.blocks)]
        for starts in every:
            table = levels[-1]
            edges = np.append(starts, len(levels[-1]))
            parts = _cut(
                len(starts),
                max(1, PRODUCTS_A_CALL * len(starts) // (len(table) * plan.packing.blocks)),
            )
            refs = []
            for own in parts:
                low = edges[own.start]
                high = edges[own.stop]
                refs.append(
                    executor.submit(
                        aggregator.sum_up, table[low:high], starts[own.start : own.stop] - low
                    )
                )
            levels.append(np.concatenate(executor.get_all(refs)))
        return levels

    def release(self, noisy: NoisyTable, ledger: Path) -> Coefficients:
        """Debit, decrypt and un-blind.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
        """
        executor = self._executor
        packing = self._plan.packing
        parts = decrypt_parts(self._plan)
        with self._progress.stage("decrypt", len(parts)) as stage:
            table = executor.put(noisy)
            refs = [
                executor.party("column", turn).call("release", ledger, table, packing, part)
                for turn, part in enumerate(parts)
            ]
            sealed = []
            for ref, part in zip(refs, parts, strict=True):
                sealed.append(self._collect(ref, stage))
                self._progress.worked("ciphertexts", len(part) * packing.blocks)
            coefficients = executor.get(executor.party("row").call("unblind", sealed))
        assert isinstance(coefficients, Coefficients)
        return coefficients


def emit_rows(senders: Sequence[Instance], shard: Shard) -> Ref:
    """The rows of a shard from the first of its senders, with those that the others have."""
    sender, *others = senders
    return sender.call("emit", shard, *(other.call("contribute", shard) for other in others))


def decrypt_parts(plan: Plan) -> list[range]:
    """The nodes of the noisy table, cut into what one call decrypts."""
    return list(_cut(plan.design.nodes, max(1, CIPHERTEXTS_A_CALL // 8 // plan.packing.blocks)))


def _cut(size: int, most: int) -> Iterator[range]:
    """Consecutive ranges of nearly equal size, none longer than `most`.

    One empty range for size 0.
    """
    parts = max(1, -(-size // most))
    for i in range(parts):
        yield range(size * i // parts, size * (i + 1) // parts)
