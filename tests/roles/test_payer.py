"""Two parties with a ledger each tell each other its heads, and notice which copy was put back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.case import Case, study, use_key
from tests.roles.pair import agreed_pair
from tests.sizes import first, slow
from xstat_ray.crypto.keygen import generate
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.encoding import MOST_HEADS
from xstat_ray.model.messages import Choices
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.id_exchange import IdExchange
from xstat_ray.roles.opening import proven_key
from xstat_ray.roles.payer import Payer

STUDY = study(noise="gaussian", privacy={"cap": 100})
PLAN = make_plan(STUDY, key_bits=2048)
NODES = range(PLAN.design.shown)
OTHER = {"row": "column", "column": "row"}
PARTIES = tuple(OTHER)
LOST = "restored from an old copy .*Put back the newest copy"


@pytest.fixture(scope="module")
def key():
    return generate(2048)


class Run:
    """A run of both parties, step by step, from the offers on; the table is one of zeros."""

    def __init__(self, parties: Parties) -> None:
        tables = parties.case.tables
        self.row, self.column = agreed_pair(STUDY, tables["row"], tables["column"])
        for party in (self.row, self.column):
            party._source = Source(tables[party.role], ledger=parties.ledgers[party.role])
        self.column.generate_key(2048)
        self.row.accept_key(parties.proven)
        self.row.intake()
        self.column.intake()
        offers = self.row.offer_columns(), self.column.offer_columns()
        self.row.choose_columns(offers[1])
        self.column.choose_columns(offers[0])
        for party in (self.row, self.column):
            party.keep_noise()

    def approve(self) -> None:
        public = self.row._public
        aggregator = Aggregator(public, 1, PLAN.design.cells)
        zeros = np.zeros((len(NODES), PLAN.packing.blocks, public.width), np.uint8)
        zeros[..., 0] = 1
        share = draw_share(PLAN.design, STUDY.slots)
        table = aggregator.rerandomise(zeros, PLAN.packing, share, constant_time=False)
        noise = self.row.noise_of(NODES, PLAN.packing)
        masks, receipt = self.row.mask_table(NODES, noise, PLAN.packing, len(NODES))
        self.masked = aggregator.put_masks(table, [masks])
        self._again: Callable[[], bytes] = lambda: self.row.approve(table, self.masked, [receipt])
        self.approve_again()

    def approve_again(self) -> None:
        self.approval = self._again()

    def admit(self) -> None:
        permit = self.column.admit(self.masked, self.approval, PLAN.packing)
        noise = self.column.noise_of(NODES, PLAN.packing)
        self.opened = [self.column.open_part(self.masked, permit, NODES, noise)]

    def unblind(self) -> None:
        self.coefficients = self.row.unblind(self.opened, PLAN.packing)

    def show(self) -> None:
        self.shown = self.row.show_mask(self.coefficients.release)

    def check(self) -> None:
        shown = (self.shown, self.coefficients)
        self.column.check_published(self.approval, self.opened, *shown, PLAN.packing)

    def to(self, last: str, after: str = "") -> Run:
        """Do the steps up to one of them, from the one after another on."""
        begin = STEPS.index(after) + 1 if after else 0
        for step in STEPS[begin : STEPS.index(last) + 1]:
            getattr(self, step)()
        return self


STEPS = ("approve", "admit", "unblind", "show", "check")


class Parties:
    """Two parties, their ledgers, and copies of these."""

    def __init__(self, folder: Path, proven: bytes) -> None:
        self.folder = folder
        self.proven = proven
        self.case = Case(folder)
        self.ledgers = {party: folder / f"{party}.sqlite" for party in PARTIES}
        self.copies = 0

    def run(self) -> Run:
        return Run(self)

    def copy(self, party: str) -> Path:
        """A copy of a party's ledger as it is now."""
        self.copies += 1
        Ledger(self.ledgers[party])
        return Path(shutil.copy(self.ledgers[party], self.folder / f"copy {self.copies}"))

    def put_back(self, party: str, copy: Path) -> None:
        shutil.copy(copy, self.ledgers[party])

    def paid(self, party: str) -> int:
        return debits(self.ledgers[party], party)

    def notices(self, party: str, copy: Path) -> bool:
        """Whether an offer of the other party would tell this copy from the party's ledger."""
        asked = Ledger(self.ledgers[OTHER[party]]).witnessed(f"small/{party}")
        try:
            Ledger(copy).check_held(asked)
        except InputError:
            return True
        return False


def debits(ledger: Path, party: str) -> int:
    return sum(entry.kind == "debit" for entry in Ledger(ledger).history(f"small/{party}"))


@pytest.fixture(scope="module")
def proven(key):
    return proven_key(key)


@pytest.fixture
def parties(tmp_path, key, proven, monkeypatch) -> Parties:
    use_key(key, monkeypatch.setattr)
    # Nobody needs the person keys, which take longer than all the rest.
    choices = Choices(points=np.ones((1, 32), np.uint8))
    monkeypatch.setattr(IdExchange, "choose", lambda *_: choices)
    return Parties(tmp_path, proven)


# Which copies are noticed, whatever the order


def interleaved(*runs: int) -> list[tuple[int, str]]:
    """Steps of runs in an order that names, for each step, the run whose next step it is."""
    left = {run: list(STEPS) for run in runs}
    return [(run, left[run].pop(0)) for run in runs]


def drawn(number: int) -> list[tuple[int, str]]:
    """The steps of three runs, in an order drawn at random."""
    order = [run for run in range(3) for _ in STEPS]
    random.Random(number).shuffle(order)
    return interleaved(*order)


ORDERS = [
    # The second is opened, unmasked and checked first.
    interleaved(0, 1, 1, 0, 1, 1, 1, 0, 0, 0),
    # The first is never checked.
    interleaved(0, 0, 0, 0, 1, 1, 1, 1, 1),
    *map(drawn, range(20)),
]
PAYS = {"row": "admit", "column": "unblind"}
"""The step by which the other party must have recorded a debit."""


def unnoticed(parties: Parties, order: list[tuple[int, str]]) -> list[tuple[int, str, str]]:
    """Do steps of several runs; returns after which of them which party can put a copy back.

    A copy is one of before a debit that has been opened, as the row party's, or unmasked, as the
    key holder's.
    """
    runs = [parties.run() for _ in range(1 + max(run for run, _ in order))]
    copies = {party: [parties.copy(party)] for party in PARTIES}
    found = []
    for number, step in order:
        getattr(runs[number], step)()
        for party in PARTIES:
            due = sum(known == PAYS[party] for _, known in order[: order.index((number, step)) + 1])
            assert not parties.notices(party, parties.ledgers[party])
            found += [
                (number, step, party)
                for copy in copies[party]
                if debits(copy, party) < due and not parties.notices(party, copy)
            ]
            copies[party].append(parties.copy(party))
    return found


@pytest.mark.parametrize("order", [*first(1, ORDERS[:6]), *first(0, ORDERS[6:], slow)])
def test_every_copy_of_before_a_debit_that_counted_is_noticed(parties, order):
    assert unnoticed(parties, order) == []


def only_the_last(patch: pytest.MonkeyPatch) -> None:
    """The head that was told last takes the place of all others."""
    witness = Ledger.witness
    patch.setattr(Ledger, "witness", lambda self, dataset, head, *_: witness(self, dataset, head))


def only_at_the_check(patch: pytest.MonkeyPatch) -> None:
    """The key holder hears of the row party's ledger when it checks, and not before."""
    admit = ColumnParty.admit

    def deaf(self: ColumnParty, *given: Any) -> bytes:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(Payer, "_record_head", lambda *_: None)
            return admit(self, *given)

    patch.setattr(ColumnParty, "admit", deaf)


@pytest.mark.parametrize(
    ("leak", "order"), [(only_the_last, ORDERS[0]), (only_at_the_check, ORDERS[1])]
)
def test_a_copy_passes_where_heads_are_told_late_or_forgotten(parties, monkeypatch, leak, order):
    """The leaks planted."""
    leak(monkeypatch)
    assert unnoticed(parties, order)


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("last", ["unblind", "check"])
def test_a_run_does_not_begin_with_a_copy_of_before_a_release(parties, party, last):
    copy = parties.copy(party)
    parties.run().to(last)
    newest = parties.copy(party)
    parties.put_back(party, copy)
    for _ in range(2):
        with pytest.raises(InputError, match=LOST):
            parties.run()
    parties.put_back(party, newest)
    parties.run().to("check")


def test_a_copy_of_before_what_was_opened_is_noticed_though_it_has_grown_since(parties):
    parties.run().to("check")
    copy = parties.copy("row")
    parties.run().to("admit")
    parties.put_back("row", copy)
    for cap in range(10, 20):
        Ledger(parties.ledgers["row"]).set_cap("small/row", cap)
    for _ in range(2):
        with pytest.raises(InputError, match=LOST):
            parties.run()


def test_copies_of_both_ledgers_from_one_moment_are_not_noticed(parties):
    """What is not promised: there is nobody left who knows better."""
    copies = {party: parties.copy(party) for party in PARTIES}
    parties.run().to("check")
    for party, copy in copies.items():
        parties.put_back(party, copy)
    parties.run().to("check")


def test_few_heads_are_asked_for_however_many_releases_there_were(parties):
    for _ in range(4):
        parties.run().to("unblind")
        parties.run().to("check")
    for party in PARTIES:
        known = Ledger(parties.ledgers[OTHER[party]]).witnessed(f"small/{party}")
        assert 1 <= len(known) <= 3


# A copy that is put back while a run is under way


@pytest.mark.parametrize(
    ("party", "step"),
    [("row", "approve"), ("row", "unblind"), ("row", "show"), ("column", "admit")],
)
@pytest.mark.parametrize("resumed", first(1, [False, True]))
def test_no_step_goes_on_with_a_copy_of_before_an_earlier_release(parties, party, step, resumed):
    copy = parties.copy(party)
    parties.run().to("check")
    run = parties.run()
    if resumed:
        resume(run, parties)
    before = STEPS[: STEPS.index(step)]
    if before:
        run.to(before[-1])
    newest = parties.copy(party)
    parties.put_back(party, copy)
    with pytest.raises(InputError, match=LOST):
        getattr(run, step)()
    assert parties.paid(party) == 0, "nothing is debited on the copy"
    parties.put_back(party, newest)
    run.to("check", after=before[-1] if before else "")
    assert [parties.paid(role) for role in PARTIES] == [2, 2]
    parties.run()


def resume(run: Run, parties: Parties) -> None:
    """Make the parties again from their private folders."""
    for role, kind in (("row", RowParty), ("column", ColumnParty)):
        party = getattr(run, role)
        folder = parties.folder / "private" / role
        party.save(folder)
        for name in ("asked", "demanded"):
            party._remember(name, party._remembered(name))
        again = kind(STUDY, party._source)
        again.load(folder)
        again.keep_noise()
        setattr(run, role, again)


@pytest.mark.parametrize("step", ["admit", "unblind", "show"])
def test_a_run_that_goes_on_with_a_copy_of_its_beginning_pays_on_that(parties, step):
    parties.run().to("check")
    run = parties.run()
    copy = parties.copy("row")
    run.to(STEPS[STEPS.index(step) - 1])
    parties.put_back("row", copy)
    run.to("check", after=STEPS[STEPS.index(step) - 1])
    assert [parties.paid(role) for role in PARTIES] == [2, 2]
    assert not parties.notices("row", parties.ledgers["row"])
    parties.run().to("check")


def test_steps_that_are_repeated_record_nothing_twice(parties):
    run = parties.run()
    for step in STEPS:
        getattr(run, step)()
        entries = {party: len(Ledger(parties.ledgers[party]).history()) for party in PARTIES}
        getattr(run, "approve_again" if step == "approve" else step)()
        assert entries == {
            party: len(Ledger(parties.ledgers[party]).history()) for party in PARTIES
        }
    assert [parties.paid(role) for role in PARTIES] == [1, 1]


def test_both_parties_may_keep_one_file(parties):
    parties.ledgers["column"] = parties.ledgers["row"]
    for _ in range(2):
        parties.run().to("check")
    first_run = parties.run().to("unblind")
    parties.run().to("check")
    first_run.to("check", after="unblind")
    assert [parties.paid(role) for role in PARTIES] == [4, 4]


def test_more_heads_than_a_message_has_room_for_end_the_run(parties):
    for number in range(MOST_HEADS + 1):
        Ledger(parties.ledgers["row"]).witness("small/column", f"{number:064x}", f"{number:064x}")
    with pytest.raises(InputError, match="runs with the column party are under way.* Finish some"):
        parties.run()


# One environment


def test_another_environment_of_a_party_approves_and_admits_nothing(parties, monkeypatch):
    run = parties.run().to("admit")
    for party, kind in ((run.row, RowParty), (run.column, ColumnParty)):
        other = kind(STUDY, replace(party._source, ledger=parties.folder / "another"))
        other.accept(party.hand_over(other.offer()))
        other._noise = party._noise
        first_one = getattr(run, party.role)
        setattr(run, party.role, other)
        step = {"row": run.approve, "column": run.admit}[party.role]
        with pytest.raises(ProtocolError, match=f"first environment of the {party.role} party"):
            step()
        # The leak planted: an environment that takes itself for the first one.
        monkeypatch.setattr(other, "_first", True)
        step()
        setattr(run, party.role, first_one)
