"""What the pool learns is counted by views, apart from what the public learns, and has a cap."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.case import COUNTS, Case, counts, study
from tests.sizes import thorough
from xstat_ray import BudgetError, InputError, StudyError
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.views import count_view
from xstat_ray.roles import Aggregator

PADDED = study(
    noise="laplace",
    privacy={"padding": "dp", "cap": 2, "view": {"epsilon": "2/3", "delta": "1/1000000"}},
)
POOLS = ["small/column@pool", "small/row@pool"]


def count(ledger, view, study=PADDED):
    for dataset in (study.row.dataset, study.column.dataset):
        count_view(ledger, dataset, study, view)


def accounts(ledger):
    return {
        one.dataset: (one.spent, one.delta, one.cap, one.releases) for one in Ledger(ledger).show()
    }


def test_epsilons_and_deltas_of_views_add_up(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    for view in ("a", "b", "a", "c"):
        count(ledger, view)
    assert accounts(ledger) == dict.fromkeys(
        POOLS, (Fraction(2), Fraction(3, 10**6), Fraction(2), 3)
    )


def test_a_cap_of_their_own(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    for view in "abc":
        count(ledger, view)
    with pytest.raises(
        BudgetError,
        match=r"small/row@pool: epsilon 2 of 2 is spent .* 8/3\. Nothing was handed to the",
    ):
        count(ledger, "d")
    assert accounts(ledger)["small/row@pool"][3] == 3
    for dataset in POOLS:
        Ledger(ledger).set_cap(dataset, Fraction(3))
    count(ledger, "d")
    assert accounts(ledger)["small/row@pool"] == (
        Fraction(8, 3),
        Fraction(4, 10**6),
        Fraction(3),
        4,
    )
    with pytest.raises(InputError, match="have no cap"):
        Ledger(ledger).set_cap("small/row@pool", Fraction(3), Fraction(1, 10))


@thorough
def test_many_small_views_are_added_and_not_converted(tmp_path):
    """Zero-concentrated privacy does not hold for what has a delta."""
    ledger = tmp_path / "ledger.sqlite"
    small = study(
        privacy={"padding": "dp", "cap": 100, "view": {"epsilon": "1/100", "delta": "1e-9"}}
    )
    for view in range(150):
        count(ledger, str(view), small)
    assert accounts(ledger)["small/row@pool"][:2] == (Fraction(3, 2), Fraction(150, 10**9))


def test_every_run_is_a_view_and_a_release_is_debited_apart(tmp_path, monkeypatch):
    case = Case(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Aggregator, "lay_out", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            case.run(PADDED)
    case.run(PADDED)
    found = accounts(case.ledger)
    assert {name: (spent, times) for name, (spent, _, _, times) in found.items()} == {
        "small/column": (1, 1),
        "small/row": (1, 1),
        **dict.fromkeys(POOLS, (Fraction(4, 3), 2)),
    }


def test_a_view_too_many_is_refused_before_the_pool_sees_anything(tmp_path, monkeypatch):
    case = Case(tmp_path)
    for view in "abc":
        count(case.ledger, view)
    monkeypatch.setattr(Aggregator, "join", lambda *_: pytest.fail("the pool has seen rows"))
    with pytest.raises(BudgetError, match="Nothing was handed to the pool"):
        case.run(PADDED)
    assert "small/row" not in accounts(case.ledger)


def test_without_padding_nothing_is_counted(tmp_path):
    case = Case(tmp_path)
    assert counts(case.run(study())) == COUNTS
    assert not case.ledger.exists()


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"row": {"dataset": "presence@pool"}}, "study.row.dataset"),
        ({"column": {"dataset": "x@pool"}}, "study.column.dataset"),
        (
            {"noise": "laplace", "privacy": {"padding": "dp", "cap": 1, "view": {"epsilon": 2}}},
            "privacy.cap",
        ),
    ],
)
def test_studies_that_are_refused(fields, key):
    with pytest.raises(StudyError) as caught:
        study(**fields)
    assert caught.value.key == key
