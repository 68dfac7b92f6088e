"""The driver: takes a plan through its stages on any executor.

It submits everything and owns every reference. It holds no secret of a party: what the parties send
to each other through it is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import PartyError, ProtocolError
from xstat_ray.model.messages import Coefficients, Partial, RerandomisedTable
from xstat_ray.model.study import Role
from xstat_ray.planning.options import IN_FLIGHT
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import order_sentence
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.opening import ToOpen, checked_key, release_id, table_digest
from xstat_ray.roles.party import Party
from xstat_ray.roles.row_opening import Masked
from xstat_ray.roles.row_shape import MemoryRoom
from xstat_ray.runtime.emission import (
    RowCalls,
    flag_calls,
    mask_call,
    opening_parts,
    wanted_batches,
)
from xstat_ray.runtime.exchange import exchange_ids
from xstat_ray.runtime.executor import Executor, Ref, in_turn
from xstat_ray.runtime.joint_noise import draw_noise
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
        self._masks: list[Ref[Masked]] | None = None
        self.approved = False
        """Whether the row party has debited its data set and approved the table."""

    # Stage 1: de-identify

    def de_identify(self, folders: Mapping[Role, Path] | None = None) -> PublicKey:
        """Lead the parties through handshake, intake and ID exchange; then both can emit.

        Args:
            folders: each party's private folder, where the secrets are kept with which a later run
                finishes the release; by default nothing is kept.

        Returns:
            The public key.
        """
        executor = self._executor
        with self._progress.stage("intake", len(executor.parties)) as stage:
            public = self._agree()
            self.fill_replicas()
            intakes = {role: self._intake(role) for role in executor.parties}
            for role, refs in intakes.items():
                self._taken_in(role, refs)
                stage.advance()
            saved = (folders or {}).items()
            executor.get_all([executor.first(role).call(Party.save, path) for role, path in saved])
        if self._plan.padding is None:
            # With padding the driver, which plays the aggregator's part, may learn nothing of a
            # table that noise does not cover.
            self._note_order()
        exchange_ids(executor, self._progress)
        return checked_key(public)

    def _agree(self) -> bytes:
        """Lead both parties through the handshake; returns the public key with its proof."""
        executor = self._executor
        row = executor.row[0]
        column = executor.column[0]
        made = column.call(ColumnParty.generate_key, self._plan.key_bits, self._plan.constant_time)
        row_hello = executor.get(row.call(RowParty.hello))
        column_hello = executor.get(column.call(ColumnParty.hello))
        row_confirmation = row.call(RowParty.agree, column_hello)
        column_confirmation = column.call(ColumnParty.agree, row_hello)
        confirmed = [
            row.call(RowParty.confirm, column_confirmation),
            column.call(ColumnParty.confirm, row_confirmation),
        ]
        executor.get_all([made, *confirmed])
        key = column.call(ColumnParty.public_key)
        executor.get(row.call(RowParty.accept_key, key))
        return executor.get(key)

    def take_in(self, role: Role) -> None:
        """Run the intake of one party alone, as in the party's own domain."""
        self._taken_in(role, self._intake(role))
        if role == "row":
            self._note_order()

    def _note_order(self) -> None:
        """Note whether the row party's files are sorted by id: sorted ones are read faster."""
        is_sorted = self._executor.get(self._executor.row[0].call(RowParty.is_sorted))
        self._progress.note(order_sentence(self._plan, is_sorted))

    def _intake(self, role: Role) -> Sequence[Ref[object]]:
        """Start the intake in all environments of a party."""
        executor = self._executor
        if role == "column":
            return [instance.call(ColumnParty.intake) for instance in executor.column]
        grid = self._plan.grid
        room = MemoryRoom(grid.batches, len(grid.regions), self._memory)
        executor.get_all([instance.call(RowParty.make_fit, room) for instance in executor.row])
        if len(executor.row) > 1:
            return survey(executor.row)
        return [instance.call(RowParty.intake) for instance in executor.row]

    def _taken_in(self, role: Role, intakes: Sequence[Ref[object]]) -> None:
        """Wait for the intake of a party, whose environments must have read the same table."""
        executor = self._executor
        executor.get_all(intakes)
        instances = executor.parties[role]
        if len(instances) > 1:
            # They make the same random choices person by person, so they must read the same table.
            digests = [instance.call(Party.replica_digest) for instance in instances]
            check_replicas(role, executor.get_all(digests))

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

    def aggregate(self, public: PublicKey) -> Partial:
        """Join every shard and overlay the partials, while they are encrypted."""
        grid = self._plan.grid
        rows = RowCalls(self._executor.row, len(grid.batches))
        has_rows, flags = self._prepare(rows)
        wanted = wanted_batches(has_rows)
        with self._progress.stage("aggregate", len(grid.regions) * sum(wanted)) as stage:
            aggregator = self._aggregator(public)
            return reduce_partials(
                self._executor,
                aggregator,
                self._batches(rows, flags, wanted),
                in_flight=self._in_flight,
                stage=stage,
            )

    def _prepare(self, row_calls: RowCalls) -> tuple[list[bool], list[int]]:
        """Hand the shards, and the dummies that each party drew, to all environments.

        Returns:
            For every batch whether the row party can hold rows of it, and the number of flags.
        """
        executor = self._executor
        grid = self._plan.grid
        row_dummies = executor.row[0].call(RowParty.draw_dummies, grid)
        column_dummies = executor.column[0].call(ColumnParty.draw_dummies, grid)
        rows = row_calls.prepare(grid, row_dummies)
        flags = [
            instance.call(ColumnParty.prepare, grid, column_dummies) for instance in executor.column
        ]
        return executor.get_all(rows)[0], executor.get(flags[0])

    def _batches(
        self, rows: RowCalls, sizes: Sequence[int], wanted: Sequence[bool]
    ) -> Iterator[BatchMessages]:
        """Yield every batch that can hold rows; its flags are made when its turn comes.

        Args:
            rows: asks for rows.
            sizes: number of flags in every batch.
            wanted: for every batch whether rows are asked for.
        """
        executor = self._executor
        grid = self._plan.grid
        for batch in filter(wanted.__getitem__, rows.order):
            messages = [partial(rows.emit, shard) for shard in grid.of_batch(batch)]
            calls = flag_calls(executor, self._plan, batch, sizes[batch])
            yield BatchMessages([call() for call in calls], messages)
        # The last rows are on their way, so that the masks hide behind the joins.
        self._masks = self._mask_calls()

    def _mask_calls(self) -> list[Ref[Masked]]:
        """Ask the row party's environments, in turn, for the masks of the table."""
        turns = range(len(opening_parts(self._plan)))
        return [mask_call(self._executor, self._plan, turn) for turn in turns]

    def _aggregator(self, public: PublicKey) -> Aggregator:
        plan = self._plan
        return Aggregator(public, plan.study.rows_per_flag, plan.design.cells)

    # Stage 3: release

    def rerandomise(
        self,
        public: PublicKey,
        encrypted: Partial,
        starts: Sequence[NDArray[np.int64]] | None = None,
    ) -> RerandomisedTable:
        """Lay out the whole row domain, sum it up, and randomise every ciphertext afresh.

        The aggregator's share of the noise is added, where it has one. The caller stores the result
        before anything else, as noise must not be drawn twice.

        Args:
            public: the public key.
            encrypted: the encrypted counts.
            starts: what the row party's `tree_starts` gave; by default the row party is asked,
                unless the plan tells.

        Raises:
            ProtocolError: the row party's tree is not that of the study.
        """
        plan = self._plan
        executor = self._executor
        with self._progress.stage("sums", 1) as stage:
            if starts is None:
                starts = plan.design.starts
            if starts is None:
                starts = executor.get(executor.row[0].call(RowParty.tree_starts))
            plan.design.check_starts(starts)
            aggregator = self._aggregator(public)
            table = sum_up_levels(executor, plan, aggregator, encrypted, starts)
            share = draw_share(plan.design, plan.study.slots)
            made = aggregator.rerandomise(table, plan.packing, share, plan.constant_time)
            stage.advance()
        return made

    def put_masks(self, public: PublicKey, rerandomised: RerandomisedTable) -> ToOpen:
        """Put the row party's masks on the table.

        The caller stores the result before it is shown to anybody: a table that is lost ends the
        session.
        """
        executor = self._executor
        parts = len(opening_parts(self._plan))
        with self._progress.stage("masks", parts) as stage:
            masks = []
            receipts = []
            for ref in self._masks or self._mask_calls():
                made = executor.get(ref)
                masks.append(made.masks)
                receipts.append(made.receipt)
                stage.advance()
            self._masks = None
            masked = self._aggregator(public).put_masks(rerandomised, masks)
        session = executor.get(executor.row[0].call(RowParty.session))
        release = release_id(session, table_digest(masked, self._plan.study))
        return ToOpen(release, rerandomised, masked, receipts)

    def release(self, to_open: ToOpen) -> Coefficients:
        """Have a table approved, opened, and put into declared order; debit the release.

        At the end the row party shows its masks, and the key holder checks what it is about to see
        published.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted. If `approved` is set,
                the row party's debit stands, and the same table may be opened later.
        """
        executor = self._executor
        packing = self._plan.packing
        parts = opening_parts(self._plan)
        row = executor.row[0]
        column = executor.column[0]
        with self._progress.stage("decrypt", len(parts)) as stage:
            table = executor.put(to_open.masked)
            approval = row.call(RowParty.approve, to_open.rerandomised, table, to_open.receipts)
            executor.get(approval)
            self.approved = True
            permit = executor.get(column.call(ColumnParty.admit, table, approval, packing))
            refs = [
                in_turn(executor.column, turn).call(
                    *(ColumnParty.open_part, table, permit, part),
                    column.call(NoiseShare.noise_of, part, packing),
                )
                for turn, part in enumerate(parts)
            ]
            sealed = []
            for ref, part in zip(refs, parts, strict=True):
                sealed.append(executor.get(ref))
                stage.advance()
                self._progress.worked("ciphertexts", len(part) * packing.blocks)
            coefficients = executor.get(row.call(RowParty.unblind, sealed, packing))
            if coefficients.release != to_open.release:
                raise ProtocolError("the parties released another table than the aggregator's")
            shown = row.call(RowParty.show_mask, coefficients.release)
            check = (ColumnParty.check_published, approval, sealed, shown, coefficients, packing)
            executor.get(column.call(*check))
        return coefficients


def check_replicas(role: Role, digests: Sequence[str]) -> None:
    """Check that all environments of a party have read the same table.

    Raises:
        PartyError: their digests differ.
    """
    if len(set(digests)) > 1:
        raise PartyError(f"replicas of the {role} party disagree: their copies of the table differ")
