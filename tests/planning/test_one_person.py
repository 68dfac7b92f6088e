"""A plan tells how the sensitivities come about, and which bounds need less noise than they seem."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.case import study as by_id
from tests.synthetic import make_study
from xstat_ray.model.study import Bounds, Study
from xstat_ray.planning import one_person
from xstat_ray.planning.plan import make_plan

STUDY = make_study()


def bounded(**bounds: int) -> Study:
    return replace(STUDY, bounds=Bounds(persons=100, **bounds))


def test_the_plan_tells_how_l1_m_and_l2_come_about() -> None:
    rows = dict(make_plan(bounded(boardings=2)).rows())
    assert rows["One person"] == "at most 8 units, 1 in one column; at most 100 people"
    assert rows["Bounds"] == (
        "L1 = 1 row x 8 flags (2 boardings x 4 periods) = 8, "
        "m = 1 row x 1 flag in one column = 1, L2^2 = 8"
    )


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"rows": 40}, "; rows 40 costs no more than 12"),
        ({"boardings": 3}, "; boardings 3 costs no more than 2"),
        ({"boardings": 2, "per_column": 5}, "; per_column 5 costs no more than 2"),
        ({"boardings": 2, "per_column": 2}, ""),
    ],
)
def test_the_plan_tells_which_bounds_cannot_bind(bounds: dict[str, int], told: str) -> None:
    derivation = one_person.derivation(bounded(**bounds))
    assert derivation.partition("L2^2 = ")[2].lstrip("0123456789,") == told


def test_with_period_none_more_boardings_cost_nothing() -> None:
    once = by_id(noise="laplace", bounds={"persons": 100})
    thrice = by_id(noise="laplace", bounds={"boardings": 3, "per_column": 3, "persons": 100})
    plans = [make_plan(study, key_bits=2048) for study in (once, thrice)]
    assert plans[0].expected_stderr == plans[1].expected_stderr
    assert plans[0].max_flags == plans[1].max_flags == 100
    assert plans[0].packing == plans[1].packing
    assert "boardings 3 costs no more than 1" in dict(plans[1].rows())["Bounds"]
    least = plans[1].as_dict()["one_person"]["least_bounds"]
    assert least == {"rows": 1, "boardings": 1, "per_column": 1}


def test_the_plan_has_the_bounds_of_each_of_several_parties() -> None:
    parties = [{"name": "jal", "boardings": 2, "persons": 50}, {"name": "hac", "persons": 40}]
    rows = {"parties": [{"name": "north", "rows": 3}, {"name": "south", "dataset": "islands"}]}
    several = by_id(bounds={}, row=rows, column={"parties": parties})
    told = make_plan(several, key_bits=2048).as_dict()["one_person"]["parties"]
    assert told["row"] == [
        {"name": "north", "dataset": "small/north", "rows": 3},
        {"name": "south", "dataset": "islands", "rows": 1},
    ]
    assert [(one["name"], one["boardings"], one["persons"]) for one in told["column"]] == [
        ("jal", 2, 50),
        ("hac", 1, 40),
    ]
    assert "parties" not in make_plan(by_id(), key_bits=2048).as_dict()["one_person"]
