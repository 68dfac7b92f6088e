"""Leads the parties through the opening of a table, or of the tables of several column parties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients, MaskedTable, RerandomisedTable
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.opening import ToOpen, joint_release_id, release_id, table_digest
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_opening import Masked
from xstat_ray.runtime.emission import joint_mask_call, mask_call, opening_parts
from xstat_ray.runtime.executor import Executor, Instance, Ref, in_turn
from xstat_ray.runtime.links import links
from xstat_ray.runtime.progress import Progress, Stage

MasksRef = Ref[Any]
"""`Masked` of a part of the table, or where there are several keys a list of one for each."""


def connect(executor: Executor) -> None:
    """Lead the first column party and each other one through their handshake.

    On the channels that come of it the others send the first what they decrypt.
    """
    get = executor.get
    (_, (first, *_)), *others = executor.columns.items()
    for name, (other, *_) in others:
        hello = get(first.call(ColumnParty.channel_hello, name))
        of_other = get(other.call(ColumnParty.channel_hello, name))
        confirmation = get(first.call(ColumnParty.channel_agree, name, of_other))
        of_other = get(other.call(ColumnParty.channel_agree, name, hello))
        get(first.call(ColumnParty.channel_confirm, name, of_other))
        get(other.call(ColumnParty.channel_confirm, name, confirmation))


class MaskCalls:
    """Asks the row party's environments, in turn, for the masks of the table, part by part.

    Where there are several column parties they come under the key of each.
    """

    def __init__(self, executor: Executor, plan: Plan) -> None:
        self._executor = executor
        self._plan = plan
        self._parts = len(opening_parts(plan))
        self._made = list[MasksRef]()

    def among(self, turn: int, turns: int) -> None:
        """Ask for the parts of one of so many turns, spread evenly: a single one comes halfway."""
        due = (2 * (turn + 1) * self._parts + turns) // (2 * turns)
        while len(self._made) < min(due, self._parts):
            self._ask()

    def all(self) -> list[MasksRef]:
        """Ask for the parts that are left; return all of them, in order."""
        while len(self._made) < self._parts:
            self._ask()
        return self._made

    def _ask(self) -> None:
        call: Callable[[Executor, Plan, int], MasksRef]
        call = joint_mask_call if self._plan.study.opens_jointly else mask_call
        self._made.append(call(self._executor, self._plan, len(self._made)))


def put_masks(
    executor: Executor,
    plan: Plan,
    tables: Sequence[tuple[Aggregator, RerandomisedTable]],
    made: Sequence[MasksRef],
    stage: Stage,
) -> ToOpen:
    """Put the row party's masks on the table under every key.

    Args:
        executor: runs the parties' methods.
        plan: what is released.
        tables: the aggregator with the key of each column party, in the order of the study, and
            the table under it.
        made: the masks of all parts of the table.
        stage: advances by one for each part.
    """
    parts = list[list[Masked]]()
    for ref in made:
        masks: Masked | list[Masked] = executor.get(ref)
        parts.append([masks] if isinstance(masks, Masked) else masks)
        stage.advance()
    of_keys = list(zip(*parts, strict=True))
    masked = [
        aggregator.put_masks(table, [part.masks for part in of_key])
        for (aggregator, table), of_key in zip(tables, of_keys, strict=True)
    ]
    release = _release_of(executor, plan, masked)
    first, *others = [
        ToOpen(release, table, with_masks, [part.receipt for part in of_key])
        for (_, table), with_masks, of_key in zip(tables, masked, of_keys, strict=True)
    ]
    return ToOpen(release, first.rerandomised, first.masked, first.receipts, others)


def _release_of(executor: Executor, plan: Plan, masked: Sequence[MaskedTable]) -> str:
    """Form the id of the release, as the parties do."""
    of_rows = [links(executor, name) for name in executor.rows]
    rows = [link.row_links[0] for of_column in zip(*of_rows, strict=True) for link in of_column]
    sessions = executor.get_all([row.call(RowLink.session) for row in rows])
    digests = [table_digest(table, plan.study) for table in masked]
    if not plan.study.opens_jointly:
        return release_id(sessions[0], digests[0])
    return joint_release_id(b"".join(map(bytes.fromhex, sessions)), b"".join(digests))


class Opening:
    """The opening of one release's table, or tables."""

    def __init__(
        self, executor: Executor, plan: Plan, progress: Progress, approved: Callable[[], None]
    ) -> None:
        """Take what it needs.

        Args:
            executor: runs the parties' methods.
            plan: what is released.
            progress: what is shown.
            approved: called once the row party has debited its data set and approved.
        """
        self._executor = executor
        self._plan = plan
        self._progress = progress
        self._approved = approved
        self._row: Instance[RowParty] = executor.row[0]
        self._firsts = [column[0] for column in executor.columns.values()]

    def open(self, to_open: ToOpen) -> Coefficients:
        """Have a release approved, opened, put into declared order, and checked.

        Raises:
            ProtocolError: the parties released something else.
        """
        parts = opening_parts(self._plan)
        with self._progress.stage("decrypt", len(parts)) as stage:
            if self._plan.study.opens_jointly:
                return self._open_several(to_open, stage)
            return self._open_one(to_open, stage)

    def _open_one(self, to_open: ToOpen, stage: Stage) -> Coefficients:
        """Open the table of the only column party."""
        executor = self._executor
        packing = self._plan.packing
        (column,) = self._firsts
        table = executor.put(to_open.masked)
        shown = (to_open.rerandomised, table, to_open.receipts)
        approval = self._row.call(RowParty.approve, *shown)
        executor.get(approval)
        self._approved()
        permit = executor.get(column.call(ColumnParty.admit, table, approval, packing))
        refs = [
            in_turn(executor.column, turn).call(
                *(ColumnParty.open_part, table, permit, part),
                column.call(NoiseShare.noise_of, part, packing),
            )
            for turn, part in enumerate(opening_parts(self._plan))
        ]
        sealed = list(self._arrived(refs, stage))
        coefficients = self._unblind(sealed, to_open)
        mask = self._row.call(RowParty.show_mask, coefficients.release)
        check = (ColumnParty.check_published, approval, sealed, mask, coefficients, packing)
        executor.get(column.call(*check))
        return coefficients

    def _open_several(self, to_open: ToOpen, stage: Stage) -> Coefficients:
        """Open the sum of all column parties' tables (`joint_opening.open_tables`)."""
        executor = self._executor
        packing = self._plan.packing
        shown = [to_open, *to_open.others]
        approve = self._row.call(
            RowParty.approve_tables,
            [table.rerandomised for table in shown],
            [table.masked for table in shown],
            [table.receipts for table in shown],
        )
        approvals = executor.get(approve)
        self._approved()
        tables = [executor.put(table.masked) for table in shown]
        consents = self._consents()
        permits = executor.get_all(
            [
                column.call(ColumnParty.admit, table, approval, packing, *of_others)
                for column, table, approval, of_others in zip(
                    self._firsts, tables, approvals, consents, strict=True
                )
            ]
        )
        self._tell_row_parties(permits)
        told = [
            column.call(ColumnParty.tell_debit, permit)
            for column, permit in zip(self._firsts[1:], permits[1:], strict=True)
        ]
        executor.get(self._row.call(RowParty.accept_debits, executor.get_all(told)))
        sealed = list(self._arrived(self._sums(tables, permits), stage))
        coefficients = self._unblind(sealed, to_open)
        self._check_several(approvals, sealed, coefficients)
        self._show_debits(approvals)
        return coefficients

    def _consents(self) -> list[list[bytes]]:
        """Have all row parties but the first consent; returns what each column party is sent."""
        executor = self._executor
        given = [
            executor.get(other.call(RowParty.consent, self._row.call(RowParty.tell_terms, name)))
            for name, (other, *_) in executor.further_rows.items()
        ]
        return [[of_row[number] for of_row in given] for number in range(len(self._firsts))]

    def _tell_row_parties(self, permits: Sequence[bytes]) -> None:
        """Tell all row parties but the first that the column parties have debited the release."""
        executor = self._executor
        if not executor.further_rows:
            return
        told = executor.get_all(
            [
                column.call(ColumnParty.tell_debit_to_others, permit)
                for column, permit in zip(self._firsts, permits, strict=True)
            ]
        )
        for number, (other, *_) in enumerate(executor.further_rows.values()):
            debits = [of_column[number] for of_column in told]
            executor.get(other.call(RowParty.accept_all_debits, debits))

    def _show_debits(self, approvals: Sequence[bytes]) -> None:
        """Have all row parties but the first tell that their ledgers still hold the debit."""
        executor = self._executor
        others = [other for other, *_ in executor.further_rows.values()]
        if not others:
            return
        shown = executor.get_all([other.call(RowParty.show_debit) for other in others])
        for number, (column, approval) in enumerate(zip(self._firsts, approvals, strict=True)):
            debits = [of_row[number] for of_row in shown]
            executor.get(column.call(ColumnParty.accept_row_debits, approval, debits))

    def _sums(
        self, tables: Sequence[Ref[MaskedTable]], permits: Sequence[bytes]
    ) -> Iterator[Ref[bytes]]:
        """Have the first column party add up what all decrypt, part by part.

        The others' work on all parts is submitted at once.
        """
        executor = self._executor
        packing = self._plan.packing
        parts = opening_parts(self._plan)
        first, *others = executor.columns.values()
        residues = [
            [
                in_turn(column, turn).call(ColumnParty.open_residues, table, permit, part)
                for column, table, permit in zip(others, tables[1:], permits[1:], strict=True)
            ]
            for turn, part in enumerate(parts)
        ]
        for turn, (part, of_part) in enumerate(zip(parts, residues, strict=True)):
            noise = first[0].call(NoiseShare.noise_of, part, packing)
            how = (tables[0], permits[0], part, noise, executor.get_all(of_part))
            yield in_turn(first, turn).call(ColumnParty.add_residues, *how)

    def _arrived(self, refs: Iterable[Ref[bytes]], stage: Stage) -> Iterator[bytes]:
        """Yield what was opened of every part, and tell that it was."""
        for ref, part in zip(refs, opening_parts(self._plan), strict=True):
            yield self._executor.get(ref)
            stage.advance()
            ciphertexts = len(part) * self._plan.packing.blocks * len(self._firsts)
            self._progress.worked("ciphertexts", ciphertexts)

    def _unblind(self, sealed: Sequence[bytes], to_open: ToOpen) -> Coefficients:
        unblind = self._row.call(RowParty.unblind, sealed, self._plan.packing)
        coefficients = self._executor.get(unblind)
        if coefficients.release != to_open.release:
            raise ProtocolError("the parties released another table than the aggregator's")
        return coefficients

    def _check_several(
        self, approvals: Sequence[bytes], sealed: Sequence[bytes], coefficients: Coefficients
    ) -> None:
        """Have every column party check what is about to be published."""
        executor = self._executor
        first = self._firsts[0]
        names = list(executor.columns)[1:]
        seen = [first.call(ColumnParty.show_sums, name, sealed) for name in names]
        masks = executor.get(self._row.call(RowParty.show_masks, coefficients.release))
        opened = [sealed, *executor.get_all(seen)]
        packing = self._plan.packing
        for column, approval, sums, mask in zip(
            self._firsts, approvals, opened, masks, strict=True
        ):
            check = (ColumnParty.check_published, approval, sums, mask, coefficients, packing)
            executor.get(column.call(*check))
