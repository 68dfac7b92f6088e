"""The steps of a party on the party's cluster: handshake, exchange, emit, noise.

A step may be killed at any moment and run again. What it handed out stays as it is, and what it
draws at random is drawn once: secrets are on disk, in the party's private folder, before anything
that depends on them leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Concatenate, TypeVar

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.aggregator_evidence import demand_evidence
from xstat_ray.federation.attestation import Attestation
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, canonical
from xstat_ray.federation.handshakes import agree_on_keys, links_of
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.input_record import InputRecord
from xstat_ray.federation.noise_step import accept_keys, draw_noise, send_masks
from xstat_ray.federation.outbox import AHEAD, Outbox
from xstat_ray.federation.roster import publisher_of, rows_of, sharers_of
from xstat_ray.model.messages import Tree
from xstat_ray.model.study import Role
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.roles.link import Link
from xstat_ray.roles.party import Party
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.emission import FlagCalls, RowCalls
from xstat_ray.runtime.exchange import holder_of, spread, tell_others
from xstat_ray.runtime.executor import Executor, Instance, Ref
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import write_whole

T = TypeVar("T")
STEPS = ("handshake", "exchange", "emit", "noise")
FACTS = "facts.json"
"""File with what the manifest will tell of the party; written once the step emit is over."""


class PartySteps:
    """One party's part of a run, up to what the aggregator needs."""

    def __init__(
        self,
        run: DomainRun,
        role: Role,
        executor: Executor,
        *,
        attestation: Attestation,
        progress: Progress,
        memory: int | None = None,
    ) -> None:
        """Take a party's part of a run; `memory` is what an environment of it may take."""
        self._run = run
        self._mailbox = run.mailbox
        self._role = role
        self._executor = executor
        self._links = links_of(run, role, executor)
        self._attestation = attestation
        self._progress = progress
        self._driver = Driver(executor, run.plan, progress, memory=memory)
        self._outbox = Outbox(run, executor)
        self._shapes: Mapping[Domain, Shape] = {}
        self._taken_in = False
        self._restored = False
        self._input = InputRecord(run.folder, executor, executor.parties[run.domain])

    def run(self, step: str) -> None:
        """Do one step, or what is left of it.

        Raises:
            PendingError: a message has not come in time.
            MessageError: a message of the other party is not what it should be.
            AttestationError: another domain's environment is not the agreed one.
            InputError: the table cannot be used, or has changed since an earlier step.
            BudgetError: the pool has learnt as much of the party's data set as it may.
        """
        if self._run.log.finished:
            return
        with self._progress.stage(step, 1) as stage:
            steps: dict[str, Callable[[], None]] = {
                "handshake": self._handshake,
                "exchange": self._exchange,
                "emit": self._emit,
                "noise": self._add_noise,
            }
            steps[step]()
            self._mailbox.publish_log()
            stage.advance()

    # Handshake

    def _handshake(self) -> None:
        agree_on_keys(self._run, self._role, self._executor, self._attestation)
        demand_evidence(self._run, self._attestation.aggregator)

    def _restore(self) -> None:
        """Load the secrets into all environments of the party, from its private folder."""
        if self._restored:
            return
        kept = (self._run.folder / SECRETS).exists()
        if not (kept and self._run.log.attested("aggregator")):
            raise InputError(
                "the handshake is not over", key="step", remedy="Run step=handshake first"
            )
        first = self._executor.first(self._run.domain)
        self._executor.get(first.call(Party.load, self._run.folder))
        self._driver.fill_replicas()
        self._restored = True

    # ID exchange

    def _take_in(self) -> None:
        """Take in the table, which must be that of an earlier step."""
        if self._taken_in:
            return
        self._restore()
        self._input.demand()
        self._driver.take_in(self._run.domain)
        self._input.keep()
        self._taken_in = True

    def _exchange(self) -> None:
        """Hand out what the other parties need to evaluate this party's functions.

        All of it follows from secrets on disk and the table, so a repeat makes the same bytes. Once
        the table has been emitted all is out, and the table is not read again.
        """
        if (self._run.folder / FACTS).exists():
            return
        for peer, shape in self._agree().items():
            self._hide(peer, shape.bins)

    def _hide(self, peer: Domain, bins: int) -> None:
        """Hand out the matrices of all bins of a link."""
        left = self._mailbox.unsent(peer, "matrix", bins)
        refs = dict[int, Ref[bytes]]()
        for number in left:
            for ahead in range(number, min(number + AHEAD, bins)):
                if ahead not in refs:
                    refs[ahead] = self._holder(peer, ahead).call(Link.hide, ahead)
            matrix = self._executor.get(refs.pop(number))
            self._mailbox.send(peer, "matrix", matrix, part=number, parts=bins)

    def _agree(self) -> Mapping[Domain, Shape]:
        """Go through the oblivious transfers with each party of the other side."""
        if self._shapes:
            return self._shapes
        self._take_in()
        for peer in self._links:
            offer = partial(self._call_first, peer, Link.offer_columns)
            self._mailbox.send(peer, "offer", offer)
        for peer in self._links:
            with self._mailbox.receiving(peer, "offer") as message:
                choices = self._call_first(peer, Link.choose_columns, message.payload)
            self._mailbox.send(peer, "choices", choices)
        shapes = dict[Domain, Shape]()
        for peer, link in self._links.items():
            with self._mailbox.receiving(peer, "choices") as message:
                shapes[peer] = self._call_first(peer, Link.accept_choices, message.payload)
            self._executor.get_all(tell_others(link, self._role))
        self._shapes = shapes
        return shapes

    def _call_first(
        self, peer: Domain, method: Callable[Concatenate[Link, ...], T], *args: object
    ) -> T:
        """Call a method of this party's end of a link, in its first environment."""
        end = self._links[peer].ends[self._role][0]
        return self._executor.get(end.call(method, *args))

    def _holder(self, peer: Domain, number: int) -> Instance[Link]:
        """Return the environment that works through a bin of a link."""
        return holder_of(self._links[peer], self._role, number)

    def _evaluate(self) -> None:
        """Take the others' matrices, from which this party's persons get their keys."""
        for peer, shape in self._agree().items():
            read = partial(self._read_matrix, peer, shape.bins)
            for _ in self._mailbox.collect(peer, "matrix", read):
                pass
            self._executor.get_all(spread(self._links[peer], self._role, shape.bins))

    def _read_matrix(self, peer: Domain, bins: int, message: Opened) -> None:
        head = message.header
        if head.parts != bins:
            raise ProtocolError("the other party sends another number of bins")
        # This checks the matrix, so that only a good message is accepted.
        call = self._holder(peer, head.part).call(Link.evaluate, message.payload, head.part)
        self._executor.get(call)

    # What the aggregator gets

    def _emit(self) -> None:
        run = self._run
        if (run.folder / FACTS).exists():
            return
        self._exchange()
        self._evaluate()
        executor = self._executor
        instances = executor.parties[run.domain]
        first = instances[0]
        # Messages that are out stay as they are, so a run shows one view.
        executor.get(first.call(Party.count_view))
        view = run.plan.study.privacy.view
        if run.plan.padding is not None and not any(run.log.of("shown")):
            run.log.add("shown", epsilon=str(view.epsilon), delta=str(view.delta))
        if self._role == "row":
            self._emit_rows(self._dummies())
        else:
            self._emit_flags(self._dummies())
        reports = executor.get_all([instance.call(Party.report) for instance in instances])
        facts = {
            "input": executor.get(first.call(Party.record, run.folder, reports)),
            "kernel": executor.get(first.call(Party.kernel)),
        }
        write_whole(run.folder / FACTS, canonical(facts), mode=0o600)

    def _dummies(self) -> bytes | None:
        """Draw the sealed numbers of dummies, once in a run; None without padding.

        They are on disk before any dummy leaves.
        """
        path = self._run.folder / "dummies"
        if not path.exists():
            drawn = self._executor.get(
                self._executor.first(self._run.domain).call(Party.draw_dummies, self._run.plan.grid)
            )
            if drawn is None:
                return None
            write_whole(path, drawn, mode=0o600)
        return path.read_bytes()

    def _emit_rows(self, drawn: bytes | None) -> None:
        """Send the rows of all shards, each in one message; the first row party its tree before."""
        executor = self._executor
        plan = self._run.plan
        instances = executor.rows[self._run.domain]
        made = RowCalls(instances, len(plan.grid.batches))
        executor.get_all(made.prepare(plan.grid, drawn))
        if self._run.domain == publisher_of(plan.study) and plan.design.starts is None:
            self._emit_tree(instances[0])
        shards = plan.grid.shards
        # Not in the order in which environments take turns: the aggregator reads shard by shard.
        calls = {shard.number: partial(made.emit, shard) for shard in shards}
        read = set[int]()
        for number, rows in self._outbox.missing("aggregator", "rows", calls):
            batch = shards[number].batch
            read.add(batch)
            self._input.keep_batch(batch, made.emitter(batch))
            self._outbox.send("aggregator", "rows", rows, number, len(calls))
        left_before = [batch for batch in made.order if batch not in read]
        executor.get_all(
            [made.emitter(batch).call(RowParty.account_for, batch) for batch in left_before]
        )

    def _emit_tree(self, first: Instance[RowParty]) -> None:
        """Send the row tree; with padding it follows from the plan, and is not sent.

        Several row parties have one tree, in one order of cells.
        """
        executor = self._executor
        starts_of_levels = executor.get(first.call(RowParty.tree_starts))
        view = executor.get(first.call(Party.view))
        for number, starts in enumerate(starts_of_levels):
            tree = Tree(view=view, starts=starts)
            self._outbox.send("aggregator", "tree", tree, number, len(starts_of_levels))

    def _emit_flags(self, drawn: bytes | None) -> None:
        """Send the public key, to the row party too, and the flags of all batches.

        Of several row parties the first gets the key, and there are flags for the rows of each.
        """
        executor = self._executor
        plan = self._run.plan
        prepared = [
            column.call(ColumnParty.prepare, plan.grid, drawn) for column in executor.column
        ]
        executor.get_all(prepared)
        # With padding they are as many as the row party may have rows of a person, and its dummies.
        sizes = {
            row: executor.get(executor.column[0].call(ColumnParty.sizes_for, row))
            for row in rows_of(plan.study)
        }
        public = executor.get(executor.column[0].call(ColumnParty.public_key))
        self._mailbox.send(publisher_of(plan.study), "key", public)
        self._mailbox.send("aggregator", "key", public)
        flags_of = {row: FlagCalls(executor.column, plan, row) for row in sizes}
        calls = [
            call
            for row, of_row in sizes.items()
            for batch, size in enumerate(of_row)
            for call in flags_of[row].of_batch(batch, size)
        ]
        for number, flags in self._outbox.missing("aggregator", "flags", dict(enumerate(calls))):
            self._outbox.send("aggregator", "flags", flags, number, len(calls))

    # What is added to the table

    def _add_noise(self) -> None:
        """Draw the party's share of the noise; as the row party, send it on, under masks.

        Of several parties of a side the first alone has a share.
        """
        self._restore()
        masks = self._run.domain == publisher_of(self._run.plan.study)
        if masks:
            accept_keys(self._run, self._executor)
        if self._run.domain in sharers_of(self._run.plan.study).values():
            draw_noise(self._run, self._role, self._executor)
        if masks:
            send_masks(self._run, self._executor)
