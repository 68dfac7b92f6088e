"""Each release costs both parties its price, whatever the aggregator names, repeats or replays.

It runs a study three times on the same people, whose budgets are enough for two releases. What it
tries is to have the parties take several releases for one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary.deployments import DEPLOYMENTS, OneProcess, played_as_far_as_it_goes
from tests.adversary.people import mixed
from tests.adversary.planted import ids
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray import protocol
from xstat_ray.errors import XstatError
from xstat_ray.model.messages import Coefficients, RerandomisedTable
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.session import Session

HONEST = protocol.open_table
RUNS = 3
PAID = 2
STUDY = study(noise="laplace", privacy={"cap": PAID})
DATASETS = ("small/row", "small/column")
Trick = Callable[[pytest.MonkeyPatch], None]


def none(_: pytest.MonkeyPatch) -> None:
    """Run the study again and again."""


def the_same_table(patch: pytest.MonkeyPatch) -> None:
    """Hand the table of the first run to all of them."""
    kept: list[RerandomisedTable] = []

    rerandomise = Aggregator.rerandomise

    def replayed(self: Aggregator, *given: Any) -> RerandomisedTable:
        kept.append(rerandomise(self, *given))
        return kept[0]

    patch.setattr(Aggregator, "rerandomise", replayed)


def released(deployment: OneProcess, folder: Path) -> int:
    """How many of the runs publish a table."""
    tables = mixed(5).tables()
    published = 0
    for run in range(RUNS):
        out = folder / str(run)
        try:
            deployment.run(STUDY, tables, out, ledger=folder / "ledger.sqlite")
        except XstatError as error:
            assert "budget" in str(error).lower() or "cap" in str(error).lower(), error
        published += bool(list((out / "out").glob("statistics*.parquet")))
    return published


def debited(folder: Path) -> list[Fraction]:
    """What the data sets of both parties have paid."""
    return [Ledger(folder / "ledger.sqlite").spent(dataset) for dataset in DATASETS]


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
@pytest.mark.parametrize("trick", first(1, [the_same_table, none], slow))
def test_every_release_is_paid_by_both_parties(deployment, trick, tmp_path, monkeypatch):
    trick(monkeypatch)
    assert released(deployment, tmp_path) == PAID
    assert debited(tmp_path) == [PAID, PAID]


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_ids_that_somebody_else_chooses_pay_once_for_all(deployment, tmp_path, monkeypatch):
    """The leak planted: what the parties take for the id of release and session is repeated."""
    ids.of_releases(monkeypatch)
    ids.of_sessions(monkeypatch)
    assert released(deployment, tmp_path) == RUNS
    assert debited(tmp_path) == [1, 1]


class OpenedTwice:
    """Has the table of a session opened, and then another one, of nobody."""

    def __init__(self) -> None:
        self.opened: list[Coefficients] = []

    def __call__(
        self, plan: Plan, row: RowParty, column: ColumnParty, *others: Any
    ) -> Coefficients:
        aggregator, whole = others
        for _ in range(2):
            self.opened.append(HONEST(plan, row, column, aggregator, whole))
            whole = np.zeros_like(whole)
            whole[..., 0] = 1
        return self.opened[-1]


def test_a_session_opens_one_table(tmp_path, monkeypatch):
    twice = OpenedTwice()
    monkeypatch.setattr(protocol, "open_table", twice)
    _, refused = played_as_far_as_it_goes(STUDY, mixed(5).tables(), tmp_path, "aggregator")
    assert "another table was approved before in this session" in refused
    assert len(twice.opened) == 1 and debited(tmp_path) == [1, 1]


def test_a_session_in_which_nobody_remembers_opens_all_of_them(tmp_path, monkeypatch):
    twice = OpenedTwice()
    monkeypatch.setattr(protocol, "open_table", twice)
    monkeypatch.setattr(Session, "_settle", Session._remember)
    ids.of_releases(monkeypatch)
    played_as_far_as_it_goes(STUDY, mixed(5).tables(), tmp_path, "aggregator")
    assert len(twice.opened) == 2 and debited(tmp_path) == [1, 1]
