"""Ids and codes as spreadsheets and data frames leave them, in every place where a party has some.

A damaged table either counts as the sound one does, or is refused; what lies between, an exit
without a word and other counts, is what these tests are for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather

from tests.case import COUNTS, Case, counts, study
from tests.sizes import first
from xstat_ray import Source
from xstat_ray.model.study import Role

PHONES = {"id": {"form": "phone", "region": "JP"}}
NUMBERS = {name: f"09011110{int(name):03}" for name in "1239"} | {"4": "0312345678"}
SPELLINGS: dict[str, Any] = {
    "float": lambda digits: f"{int(digits)}.0",
    "exponent": lambda digits: f"{int(digits):.9E}",
    "lost zero": lambda digits: str(int(digits)),
    "unseen": lambda digits: f"\ufeff{digits[:3]}\u2011{digits[3:]}\u200b ",
    "marked": lambda digits: f"'{digits}",
    "uri": lambda digits: f"tel:+81-{digits[1:]}",
}
TYPES: dict[str, Any] = {
    "floats": lambda digits: pa.array([float(number) for number in digits]),
    "decimals": lambda digits: pa.array([int(n) for n in digits]).cast(pa.decimal128(19, 0)),
}
TABLES = {
    "row": ("area", ["1", "2", "3", "4"], ["a", "b", "a", "b"]),
    "column": ("kind", ["1", "2", "3", "9"], ["x", "y", "x", "y"]),
}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    for role in ("row", "column"):
        write(case, role, lambda digits: digits)
    return case


def write(case: Case, role: Any, spelled: Any) -> None:
    name, people, values = TABLES[role]
    ids = [spelled(NUMBERS[person]) for person in people]
    lines = [f"{written},{value}\n" for written, value in zip(ids, values, strict=True)]
    case.write(role, f"id,{name}\n" + "".join(lines))


@pytest.mark.parametrize("fault", first(2, list(SPELLINGS)))
@pytest.mark.parametrize("role", ["row", "column"])
def test_a_table_counts_as_the_sound_one_does(case: Case, role: Role, fault: str) -> None:
    write(case, role, SPELLINGS[fault])
    assert counts(case.run(study(**PHONES))) == COUNTS
    assert case.intake(role)["kept"] == 4


@pytest.mark.parametrize("fault", first(1, list(TYPES)))
def test_ids_in_columns_of_numbers(case: Case, fault: str) -> None:
    name, people, values = TABLES["row"]
    case.tables["row"] = case.folder / "rows.parquet"
    ids = TYPES[fault]([NUMBERS[person] for person in people])
    case.write("row", {"id": ids, name: values})
    assert counts(case.run(study(**PHONES))) == COUNTS


@pytest.mark.parametrize("fault", first(1, list(SPELLINGS)))
@pytest.mark.parametrize("role", first(1, ["row", "column"]))
def test_who_is_on_a_damaged_list_is_left_out(case: Case, role: Role, fault: str) -> None:
    listed = case.folder / "list.csv"
    listed.write_text(f"id\n{SPELLINGS[fault](NUMBERS['2'])}\n")
    source = Source(case.tables[role], listed)
    assert counts(case.run(study(**PHONES), **{role: source})) == {**COUNTS, ("b", "y"): 0}
    assert case.intake(role)["excluded"] == 1


def test_who_is_no_row_of_a_list_is_not_left_out(case: Case) -> None:
    """A column of categories holds all of them, also where a data frame was filtered."""
    everybody = pa.array([NUMBERS[person] for person in "1234"]).dictionary_encode()
    listed = case.folder / "list.arrow"
    feather.write_feather(pa.table({"id": everybody.slice(1, 1)}), listed)
    source = Source(case.tables["row"], listed)
    assert counts(case.run(study(**PHONES), row=source)) == {**COUNTS, ("b", "y"): 0}
    assert case.intake("row")["excluded"] == 1


def test_codes_as_floats_in_tables_and_in_domain_files(case: Case) -> None:
    """Whichever of the two a data frame has written."""
    people = TABLES["row"][1]
    for number, (codes, domain) in enumerate(
        [(["31001.0", "31003"], "31001\n31003\n"), (["31001", "31003.0"], "31001.0\n31003.0\n")]
    ):
        (case.folder / "areas.csv").write_text(f"code\n{domain}")
        lines = [f"{NUMBERS[p]},{codes[int(p) % 2 == 0]}\n" for p in people]
        case.write("row", "id,area\n" + "".join(lines))
        dimension = {"name": "area", "file": str(case.folder / "areas.csv"), "field": "code"}
        release = case.run(
            study(row={"dimensions": [dimension]}, **PHONES), case.folder / str(number)
        )
        assert list(counts(release).values()) == list(COUNTS.values())


def test_words_for_nothing_are_nobody(case: Case) -> None:
    case.write("row", "id,area\nnan,a\nNaN,a\n1,b\n2,b\n")
    case.write("column", "id,kind\nnan,x\nnan,x\n1,x\n9,y\n")
    release = case.run(study(id="text"))
    assert counts(release) == {**dict.fromkeys(COUNTS, 0), ("b", "x"): 1}
    assert case.intake("row")["invalid_id"] == case.intake("column")["invalid_id"] == 2


def test_ids_that_were_hashed_beforehand_meet(case: Case) -> None:
    from hashlib import sha256

    hashed = {person: sha256(number.encode()).hexdigest() for person, number in NUMBERS.items()}
    for role, case_of in (("row", str.upper), ("column", str)):
        name, people, values = TABLES[role]
        ids = [case_of(hashed[person]) for person in people]
        lines = [f"{written},{value}\n" for written, value in zip(ids, values, strict=True)]
        case.write(role, f"id,{name}\n" + "".join(lines))
    assert counts(case.run(study(id="sha256"))) == COUNTS
