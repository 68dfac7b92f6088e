"""Several row parties of a study: their bounds are added up, and one alone changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.inputs.studies import SIMPLE, TIMED, changed
from xstat_ray.errors import ProtocolError, StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.study import Bounds, Study
from xstat_ray.planning import one_person
from xstat_ray.planning.plan import make_plan

PARTIES = "study.row.parties"
NORTH = {"name": "north", "rows": 2}
SOUTH = {"name": "south", "dataset": "subscribers", "rows": 5}
COLUMN = {"boardings": 3, "per_column": 2, "persons": 4000}


def several(*parties: dict[str, object]) -> Study:
    base = changed(changed(TIMED, "study.bounds", COLUMN), "study.row.dataset", ...)
    return parse(changed(base, PARTIES, list(parties)), origin="a.yaml")


def test_bounds_of_several_parties_are_added_up() -> None:
    study = several(NORTH, SOUTH)
    terms = RowTerms("north", "hokkaido/north", 2), RowTerms("south", "subscribers", 5)
    assert study.row.parties == study.row_parties == terms
    assert study.bounds == Bounds(rows=7, boardings=3, per_column=2, persons=4000)
    # With weights there are no more rows of a person in a period than the 3 cells.
    assert study.sensitivity.rows == 2 + 3
    assert [study.rows_per_flag_of(name) for name in ("north", "south")] == [2, 3]
    unweighted = replace(study, row=replace(study.row, weight=None))
    assert unweighted.sensitivity.rows == 7
    assert study.max_count == 4000 * (2 + 3) * study.sensitivity.column_flags


def test_one_party_alone_is_the_study_that_names_none() -> None:
    plain = changed(
        changed(TIMED, "study.bounds", {"rows": 2, **COLUMN}), "study.row.dataset", "hokkaido/north"
    )
    study = several(NORTH)
    assert study == parse(plain, origin="a.yaml")
    assert study.digest == parse(plain, origin="a.yaml").digest
    assert study.row_parties == (RowTerms("row", "hokkaido/north", 2),)


def test_the_order_of_parties_belongs_to_the_study() -> None:
    assert several(NORTH, SOUTH).digest != several(SOUTH, NORTH).digest


def test_each_party_has_a_role_by_its_name() -> None:
    study = several(NORTH, SOUTH)
    names = [terms.name for terms in study.parties]
    assert names == ["north", "south", "column"]
    assert [study.role_of(name) for name in names] == ["row", "row", "column"]
    with pytest.raises(ProtocolError, match="no row party 'row'"):
        study.row_terms_of("row")


def test_the_plan_tells_and_prices_the_sums() -> None:
    both = several(NORTH, SOUTH)
    told = one_person.derivation(both)
    assert "sums, as someone may be in all tables: 2 rows of north, 5 rows of south" in told
    assert "rows 7 costs no more than 5" in told
    plans = [make_plan(study) for study in (both, several(NORTH))]
    united, alone = plans
    assert united.max_flags == 2 * alone.max_flags
    assert united.mechanism.scale > 2 * alone.mechanism.scale
    assert "of each row party" in united.as_dict()["view"]["warning"]
    held = united.insiders.towards
    assert set(held) == {"public", "north", "south", "column", "aggregator"}
    assert held["south"] == held["public"] != held["north"] == held["column"]


def test_the_plan_tells_the_dummies_for_the_rows_of_each_party() -> None:
    both = several(NORTH, SOUTH)
    study = replace(both, privacy=replace(both.privacy, padding="dp"))
    plan = make_plan(study)
    assert plan.padding is not None and plan.padding.rows == (2, 3)
    assert plan.as_dict()["view"]["flags_a_row"] == {"north": 2, "south": 3}
    line = dict(plan.rows())["Pool's view"]
    assert "rows of 2 row parties together" in line and "5 flags in place of 2" in line
    # Each party gets every flag, unpadded once, padded as often as it may have rows in a period.
    flags = 4000 * study.sensitivity.flags
    assert (both.most_flags_of("column"), study.most_flags_of("column")) == (2 * flags, 5 * flags)
    assert plan.max_flags == 5 * flags + plan.padding.flags_added


@pytest.mark.parametrize(
    ("path", "value", "key", "message"),
    [
        (PARTIES, [], PARTIES, "empty"),
        (PARTIES, [{"name": f"a{i}"} for i in range(9)], PARTIES, "more than 8 row parties"),
        (PARTIES, [{"name": "column"}], f"{PARTIES}[0].name", "plain name"),
        (PARTIES, [{"name": "a", "persons": 2}], f"{PARTIES}[0].persons", "unknown key"),
        (PARTIES, [{"name": "a", "rows": 0}], f"{PARTIES}[0].rows", "at least 1"),
        (PARTIES, [{"name": "a"}, {"name": "a"}], PARTIES, "the name 'a'"),
        (PARTIES, [{"name": n, "dataset": "d"} for n in "ab"], PARTIES, "the dataset 'd'"),
        ("study.row.dataset", "d", "study.row.dataset", "each of the parties"),
        ("study.bounds", {"rows": 2}, "study.bounds.rows", "stands with each of study.row.parties"),
        ("study.column.parties", [{"name": "north"}], "study.column.parties", "the name 'north'"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: object, key: str, message: str) -> None:
    base = changed(SIMPLE, PARTIES, [NORTH, SOUTH])
    with pytest.raises(StudyError, match=message) as raised:
        parse(changed(base, path, value), origin="a.yaml")
    assert raised.value.key == key
