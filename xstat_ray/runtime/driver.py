"""The driver: takes a plan through its stages on any executor.

It submits everything and owns every reference. It holds no secret of a party: what the parties send
to each other through it is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import PartyError
from xstat_ray.model.messages import Coefficients, Partial, RerandomisedTable
from xstat_ray.planning.batching import idle_sentence
from xstat_ray.planning.options import IN_FLIGHT
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import order_sentence
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.opening import ToOpen, checked_key
from xstat_ray.roles.party import Party
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_shape import MemoryRoom
from xstat_ray.runtime.emission import (
    RowCalls,
    prepare_flags,
    wanted_batches,
)
from xstat_ray.runtime.exchange import exchange_ids
from xstat_ray.runtime.executor import Executor, Ref
from xstat_ray.runtime.flags_ahead import with_flags
from xstat_ray.runtime.joint_noise import draw_noise
from xstat_ray.runtime.links import links, meet, shake_hands
from xstat_ray.runtime.opening import MaskCalls, Opening, connect, put_masks
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.reduction import BatchMessages, reduce_partials, sum_up_levels
from xstat_ray.runtime.survey import survey


class Driver:
    """One run of one plan.

    Call `de_identify`, `draw_noise`, `aggregate`, `rerandomise`, `put_masks` and `release`, in this
    order.
    """

    def __init__(
        self,
        executor: Executor,
        plan: Plan,
        progress: Progress,
        in_flight: int = IN_FLIGHT,
        memory: int | None = None,
    ) -> None:
        """Take a plan.

        Args:
            executor: runs the parties' methods and the tasks.
            plan: the study with its key size, packing and shards.
            progress: what is shown.
            in_flight: most joins that run at a time.
            memory: bytes that an environment may take; None leaves it to its machine.
        """
        self._memory = memory
        self._executor = executor
        self._plan = plan
        self._progress = progress
        self._in_flight = in_flight
        self._masks: MaskCalls | None = None
        self.approved = False
        """Whether the row party has debited its data set and approved the table."""

    # Stage 1: de-identify

    def de_identify(self, folders: Mapping[str, Path] | None = None) -> list[PublicKey]:
        """Lead the parties through handshake, intake and ID exchange; then both can emit.

        Args:
            folders: each party's private folder, where the secrets are kept with which a later run
                finishes the release; by default nothing is kept.

        Returns:
            The public key of every column party, in the order of the study.
        """
        executor = self._executor
        with self._progress.stage("intake", len(executor.parties)) as stage:
            keys = self._agree()
            replicas = any(len(instances) > 1 for instances in executor.parties.values())
            if replicas:
                # What is handed to them has the keys in it.
                executor.get_all(self._accept_keys(keys))
                self.fill_replicas()
            intakes = {party: self._intake(party) for party in executor.parties}
            # Without replicas the row party reads its table while the keys are made.
            accepted = [] if replicas else self._accept_keys(keys)
            publics = [checked_key(executor.get(key)) for key in keys]
            for party, refs in intakes.items():
                self._taken_in(party, refs)
                stage.advance()
            executor.get_all(accepted)
            saved = (folders or {}).items()
            executor.get_all([executor.first(one).call(Party.save, path) for one, path in saved])
        if self._plan.padding is None:
            # With padding the driver, which plays the aggregator's part, may learn nothing of a
            # table that noise does not cover.
            self._note_order()
        for name in executor.rows:
            for link in links(executor, name):
                exchange_ids(link, self._progress)
        return publics

    def _agree(self) -> list[Ref[bytes]]:
        """Lead all parties through their handshakes; returns every key with its proof."""
        executor = self._executor
        for name in executor.rows:
            for link in links(executor, name):
                shake_hands(link)
        connect(executor)
        meet(executor)
        size = (self._plan.key_bits, self._plan.constant_time)
        keys = list[Ref[bytes]]()
        for column, *_ in executor.columns.values():
            column.call(ColumnParty.generate_key, *size)
            keys.append(column.call(ColumnParty.public_key))
        return keys

    def _accept_keys(self, keys: Sequence[Ref[bytes]]) -> list[Ref[None]]:
        """Have the row party check every key, on its link with the key's holder."""
        return [
            link.row_links[0].call(RowLink.accept_key, key)
            for link, key in zip(links(self._executor), keys, strict=True)
        ]

    def take_in(self, party: str) -> None:
        """Run the intake of one party alone, as in the party's own domain."""
        self._taken_in(party, self._intake(party))
        if party in self._executor.rows:
            self._note_order()

    def _note_order(self) -> None:
        """Note whether the row party's files are sorted by id: sorted ones are read faster."""
        firsts = [row[0] for row in self._executor.rows.values() if row]
        are_sorted = self._executor.get_all([row.call(RowParty.is_sorted) for row in firsts])
        self._progress.note(order_sentence(self._plan, all(are_sorted)))

    def _intake(self, party: str) -> Sequence[Ref[object]]:
        """Start the intake in all environments of a party."""
        executor = self._executor
        if party in executor.columns:
            return [instance.call(ColumnParty.intake) for instance in executor.columns[party]]
        grid = self._plan.grid
        room = MemoryRoom(grid.batches, len(grid.regions), self._memory)
        row = executor.rows[party]
        executor.get_all([instance.call(RowParty.make_fit, room) for instance in row])
        idle = idle_sentence(len(grid.batches), len(row))
        if idle is not None:
            self._progress.note(idle)
        if len(row) > 1:
            return survey(row)
        return [instance.call(RowParty.intake) for instance in row]

    def _taken_in(self, party: str, intakes: Sequence[Ref[object]]) -> None:
        """Wait for the intake of a party, whose environments must have read the same table."""
        executor = self._executor
        executor.get_all(intakes)
        instances = executor.parties[party]
        if len(instances) > 1:
            # They make the same random choices person by person, so they must read the same table.
            digests = [instance.call(Party.replica_digest) for instance in instances]
            check_replicas(party, executor.get_all(digests))

    def fill_replicas(self) -> None:
        """Hand the secrets of each party's first environment to the party's other ones."""
        executor = self._executor
        for first, *replicas in executor.parties.values():
            for replica in replicas:
                sealed = first.call(Party.hand_over, replica.call(Party.offer))
                executor.get(replica.call(Party.accept, sealed))

    # The noise, of which the driver has no more than what it deals

    def draw_noise(self) -> None:
        """Lead the parties through the draw of the noise, so that each has a share of it."""
        draw_noise(self._executor, self._plan, self._progress)

    # Stage 2: aggregate

    def aggregate(self, publics: Sequence[PublicKey]) -> list[Partial]:
        """Join every shard and overlay the partials, while they are encrypted.

        Returns:
            The counts under each key.
        """
        executor = self._executor
        grid = self._plan.grid
        prepared = prepare_flags(executor, grid)
        calls = {name: RowCalls(row, len(grid.batches)) for name, row in executor.rows.items()}
        wanted = {
            name: wanted_batches(executor.get_all(of.prepare_drawn(grid))[0])
            for name, of in calls.items()
        }
        flags = {name: executor.get_all(of_row) for name, of_row in prepared.items()}
        joins = len(publics) * len(grid.regions) * sum(map(sum, wanted.values()))
        with self._progress.stage("aggregate", joins) as stage:
            counted = [
                reduce_partials(
                    executor,
                    [self._aggregator(public, name) for public in publics],
                    self._batches(name, rows, flags[name], wanted[name]),
                    in_flight=self._in_flight,
                    stage=stage,
                )
                for name, rows in calls.items()
            ]
        if len(counted) == 1:
            return counted[0]
        united = zip(publics, *counted, strict=True)
        return [
            self._aggregator(public, executor.row_name).unite(*partials)
            for public, *partials in united
        ]

    def _batches(
        self,
        row_party: str,
        rows: RowCalls,
        sizes: Sequence[Sequence[int]],
        wanted: Sequence[bool],
    ) -> Iterator[BatchMessages]:
        """Yield every batch that can hold rows; see `with_flags`.

        Args:
            row_party: whose rows they are.
            rows: asks for them.
            sizes: for every column party the number of flags for them in every batch.
            wanted: for every batch whether rows are asked for.
        """
        executor = self._executor
        batches = [batch for batch in rows.order if wanted[batch]]
        flagged = with_flags(
            executor,
            self._plan,
            rows,
            sizes,
            batches,
            in_flight=self._in_flight,
            row_party=row_party,
        )
        is_last = row_party == list(executor.rows)[-1]
        self._masks = MaskCalls(executor, self._plan) if is_last else None
        for turn, batch in enumerate(flagged):
            yield batch
            if self._masks is not None:
                # They hide behind flags and joins; a row party that is slower loses nothing by it.
                self._masks.among(turn, len(batches))

    def _aggregator(self, public: PublicKey, row_party: str) -> Aggregator:
        plan = self._plan
        return Aggregator(public, plan.study.rows_per_flag_of(row_party), plan.design.cells)

    # Stage 3: release

    def rerandomise(
        self,
        publics: Sequence[PublicKey],
        encrypted: Sequence[Partial],
        starts: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[RerandomisedTable]:
        """Lay out the whole row domain, sum it up, and randomise every ciphertext afresh.

        The aggregator's share of the noise is added, where it has one, under the first key. The
        caller stores the result before anything else, as noise must not be drawn twice.

        Args:
            publics: the public key of every column party.
            encrypted: the encrypted counts under each.
            starts: what the row party's `tree_starts` gave; by default the row party is asked,
                unless the plan tells.

        Raises:
            ProtocolError: the row party's tree is not that of the study.
        """
        plan = self._plan
        executor = self._executor
        tables = []
        with self._progress.stage("sums", len(publics)) as stage:
            if starts is None:
                starts = plan.design.starts
            if starts is None:
                starts = executor.get(executor.row[0].call(RowParty.tree_starts))
            plan.design.check_starts(starts)
            share = draw_share(plan.design, plan.study.slots)
            for public, partial_of in zip(publics, encrypted, strict=True):
                aggregator = self._aggregator(public, executor.row_name)
                table = sum_up_levels(executor, plan, aggregator, partial_of, starts)
                constant_time = plan.constant_time
                made = aggregator.rerandomise(table, plan.packing, share, constant_time)
                tables.append(made)
                share = None
                stage.advance()
        return tables

    def put_masks(
        self, publics: Sequence[PublicKey], rerandomised: Sequence[RerandomisedTable]
    ) -> ToOpen:
        """Put the row party's masks on the table under every key.

        The caller stores the result before it is shown to anybody: a table that is lost ends the
        session.
        """
        executor = self._executor
        plan = self._plan
        aggregators = [self._aggregator(public, executor.row_name) for public in publics]
        tables = list(zip(aggregators, rerandomised, strict=True))
        made = (self._masks or MaskCalls(executor, plan)).all()
        self._masks = None
        with self._progress.stage("masks", len(made)) as stage:
            return put_masks(executor, plan, tables, made, stage)

    def release(self, to_open: ToOpen) -> Coefficients:
        """Have a table approved, opened, and put into declared order; debit the release.

        At the end the row party shows its masks, and each key holder checks what it is about to see
        published.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted. If `approved` is set,
                the row party's debit stands, and the same table may be opened later.
        """

        def approved() -> None:
            self.approved = True

        return Opening(self._executor, self._plan, self._progress, approved).open(to_open)


def check_replicas(party: str, digests: Sequence[str]) -> None:
    """Check that all environments of a party have read the same table.

    Raises:
        PartyError: their digests differ.
    """
    if len(set(digests)) > 1:
        raise PartyError(
            f"replicas of the {party} party disagree: their copies of the table differ"
        )
