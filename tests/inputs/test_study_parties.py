"""Several column parties of a study: their bounds are added up, and one alone changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.inputs.studies import SIMPLE, TIMED, changed
from xstat_ray.errors import PlanError, ProtocolError, StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.parties import ColumnTerms
from xstat_ray.model.study import Bounds, Study
from xstat_ray.planning.plan import make_plan

PARTIES = "study.column.parties"
JAL = {"name": "jal", "boardings": 4, "per_column": 2, "persons": 400}
HAC = {"name": "hac", "dataset": "regional", "boardings": 1, "persons": 50}


def read(base: dict[str, object], **changes: object) -> Study:
    for path, value in changes.items():
        base = changed(base, path.replace("__", "."), value)
    return parse(base, origin="a.yaml")


def several(*parties: dict[str, object]) -> Study:
    return read(changed(TIMED, "study.bounds", {"rows": 2}), study__column__parties=list(parties))


def test_bounds_of_several_parties_are_added_up() -> None:
    study = several(JAL, HAC)
    assert study.column.parties == (
        ColumnTerms("jal", "hokkaido/jal", 4, 2, 400),
        ColumnTerms("hac", "regional", 1, 1, 50),
    )
    assert study.bounds == Bounds(rows=2, boardings=5, per_column=3, persons=450)
    assert study.sensitivity.l1 == 2 * (2 + 1) * study.window_in_study
    assert study.slot_units == 2 * 3
    assert study.max_count == 400 * (2 * 2) + 50 * (2 * 1)
    flags = [study.most_flags_of(name) for name in ("jal", "hac")]
    assert flags == [400 * 2 * study.window_in_study, 50 * study.window_in_study]


def test_someone_in_all_tables_has_a_flag_of_each_in_a_period() -> None:
    study = read(SIMPLE, study__column__parties=[{"name": "a"}, {"name": "b"}, {"name": "c"}])
    assert study.sensitivity.flags == 3
    assert replace(study, bounds=Bounds(boardings=9, per_column=9)).sensitivity.flags == 3


def test_one_party_alone_is_the_study_that_names_none() -> None:
    bounds = {"rows": 2, "boardings": 4, "per_column": 2, "persons": 400}
    plain = changed(changed(TIMED, "study.bounds", bounds), "study.column.dataset", "hokkaido/jal")
    study = several(JAL)
    assert study == parse(plain, origin="a.yaml")
    assert study.digest == parse(plain, origin="a.yaml").digest
    assert study.column_parties == (ColumnTerms("column", "hokkaido/jal", 4, 2, 400),)


def test_the_order_of_parties_belongs_to_the_study() -> None:
    assert several(JAL, HAC).digest != several(HAC, JAL).digest


def test_a_party_that_the_study_does_not_name_has_no_terms() -> None:
    assert several(JAL, HAC).terms_of("hac").persons == 50
    with pytest.raises(ProtocolError, match="no column party 'ana'"):
        several(JAL, HAC).terms_of("ana")


@pytest.mark.parametrize(
    ("path", "value", "key", "message"),
    [
        (PARTIES, [], PARTIES, "empty"),
        (PARTIES, [{"name": f"a{i}"} for i in range(9)], PARTIES, "more than 8"),
        (PARTIES, [{}], f"{PARTIES}[0].name", "missing"),
        (PARTIES, [{"name": "JAL"}], f"{PARTIES}[0].name", "lower-case"),
        (PARTIES, [{"name": "row"}], f"{PARTIES}[0].name", "plain name"),
        (PARTIES, [{"name": "a", "rows": 2}], f"{PARTIES}[0].rows", "unknown key"),
        *(
            (PARTIES, [{"name": "a", key: [{"name": "b"}]}], f"{PARTIES}[0].{key}", "two companies")
            for key in ("dimensions", "measures")
        ),
        (
            "study.column.dimensions",
            [{"name": "class", "values": ["gold"], "party": "card"}],
            "study.column.dimensions[0].party",
            "who is in both tables",
        ),
        (PARTIES, [{"name": "a", "persons": 0}], f"{PARTIES}[0].persons", "at least 1"),
        (PARTIES, [{"name": "a"}, {"name": "a"}], PARTIES, "the name 'a'"),
        (
            PARTIES,
            [{"name": "a", "dataset": "x"}, {"name": "b", "dataset": "x"}],
            PARTIES,
            "the dataset 'x'",
        ),
        ("study.column.dataset", "x", "study.column.dataset", "each of the parties"),
        ("study.bounds.boardings", 2, "study.bounds.boardings", "each of study.column.parties"),
        ("study.bounds.persons", 2, "study.bounds.persons", "added up"),
    ],
)
def test_what_is_wrong_with_parties_is_named(
    path: str, value: object, key: str, message: str
) -> None:
    raw = changed(SIMPLE, PARTIES, [{"name": "a"}, {"name": "b"}])
    with pytest.raises(StudyError, match=message) as caught:
        parse(changed(raw, path, value), origin="a.yaml")
    assert caught.value.key == key


def test_padding_of_several_parties_covers_every_combination_of_them() -> None:
    study = several(JAL, HAC)
    padded = replace(study, privacy=replace(study.privacy, padding="dp"))
    plan = make_plan(padded)
    assert plan.padding is not None and plan.padding.meets.tolist() == [
        [True, False],
        [False, True],
        [True, True],
        [False, False],
    ]
    assert plan.as_dict()["view"]["combinations_of_parties"] == 3
    assert "of 2 column parties together" in dict(plan.rows())["Pool's view"]


def test_so_many_parties_that_no_run_can_carry_their_dummies_are_refused() -> None:
    parties = [{"name": f"p{number}", "boardings": 4, "per_column": 2} for number in range(8)]
    study = several(*parties)
    with pytest.raises(PlanError, match="which no run can carry") as caught:
        make_plan(replace(study, privacy=replace(study.privacy, padding="dp")))
    assert "fewer parties" in str(caught.value.remedy)


def test_the_plan_says_what_the_sums_come_to() -> None:
    study = several(JAL, HAC)
    told = dict(make_plan(study).rows())["Bounds"]
    assert "sums" in told
    assert "4 boardings (2 in one column) of jal, 1 boarding (1 in one column) of hac" in told
