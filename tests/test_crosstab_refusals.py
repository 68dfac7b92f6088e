"""What the job refuses: it tells where and what to do, spends nothing and publishes nothing."""

from __future__ import annotations

from fractions import Fraction

import pyarrow as pa
import pytest

from tests.case import HOURS, KEY_BITS, ROWS, Case, study
from tests.heard import Heard
from xstat_ray import BudgetError, InputError, Options, PlanError, Source, crosstab
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles.party import Party


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


# Tables that are refused

TWO = ["a", "b"]
BAD_ROWS = {
    "missing column": (
        {"ids": ["1", "2"], "area": TWO},
        ["no such column", "column id", "Did you mean 'ids'?"],
    ),
    "ids of type bool": (
        {"id": [True, False], "area": TWO},
        ["type bool", "column id", "Store ids as text"],
    ),
    "ids that lost digits": (
        {"id": [2.0**53, 2.0], "area": TWO},
        ["stand for several whole numbers", "column id, row 1", "Store ids as text"],
    ),
    "empty table": (
        {"id": pa.array([], "string"), "area": pa.array([], "string")},
        ["no rows", "export was complete"],
    ),
    "no id usable": (
        {"id": [None, ""], "area": TWO},
        ["none of the 2 ids", "column id", "Check study.id"],
    ),
    "all outside": (
        {"id": ["1", "2"], "area": ["secret", "c"]},
        ["2 outside the domains", "Compare the domains"],
    ),
    "id not UTF-8": (
        b"id,area\n1,a\n\xff2,b\n",
        ["text is not UTF-8", "column id", "row 2", "Convert the file"],
    ),
    "ragged": ("id,area\n1,a\n2,b,secret\n", ["another number of fields", "row 2"]),
    "a header only": ("id,area\n", ["no rows", "export was complete"]),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_refused_before_anything_is_spent(case, name):
    table, expected = BAD_ROWS[name]
    path = case.write("row", table)
    assert_refused(case, study(noise="laplace"), path, expected)


@pytest.mark.parametrize(
    "name", ["missing column", "ids of type bool", "empty table", "no id usable", "all outside"]
)
def test_a_bad_column_table_is_refused_just_so(case, name):
    table, expected = BAD_ROWS[name]
    path = case.write(
        "column", {"kind" if name == "area" else name: values for name, values in table.items()}
    )
    assert_refused(
        case,
        study(noise="laplace", column={"dimensions": [{"name": "kind", "values": TWO}]}),
        path,
        expected,
    )


def assert_refused(case, study, path, expected):
    with pytest.raises(InputError) as caught:
        case.run(study)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert f"file {path}" in message
    assert [part for part in expected if part not in message] == []
    assert "secret" not in message
    assert case.published() == set()
    assert not (case.out / "unfinished").exists()
    assert case.debits() == 0


def test_a_weight_that_is_text(case):
    path = case.write("row", {**ROWS, "dwell": ["secret"] * 4})
    bad = ["type string cannot serve as number", "column dwell", "Store it as a number"]
    assert_refused(case, study(noise="laplace", row={"weight": "dwell"}), path, bad)
    path = case.write("row", "id,area,dwell\n1,a,5\n2,b,secret\n")
    bad = ["not a number", "column dwell", "row 2", "Write numbers such as"]
    assert_refused(case, study(noise="laplace", row={"weight": "dwell"}), path, bad)


def test_times_with_and_without_a_zone(case):
    path = case.write("row", "id,area,at\n1,a,2024-01-01T05:00:00\n2,b,2024-01-01T05:00:00+09:00\n")
    case.write("column", "id,kind,at\n1,x,2024-01-01T05:00:00\n")
    timed = study(noise="laplace", period=HOURS, row={"time": "at"}, column={"time": "at"})
    assert_refused(case, timed, path, ["time zones mixed", "column at", "row 2", "Give every time"])


def test_ids_that_are_invalid_or_outside_leave_nothing(case):
    path = case.write("row", {"id": [None, "2"], "area": ["a", "c"]})
    assert_refused(case, study(noise="laplace"), path, ["1 outside the domains"])


def test_more_people_than_the_public_bound(case):
    bounded = study(noise="laplace", bounds={"persons": 3})
    assert_refused(
        case, bounded, case.tables["column"], ["study.bounds.persons", "Raise the bound"]
    )


@pytest.mark.parametrize(("key", "what"), [("path", "table"), ("exclude", "opt-out table")])
@pytest.mark.parametrize("role", ["row", "column"])
def test_a_missing_file(case, role, key, what):
    missing = case.folder / "nowhere.csv"
    source = Source(missing) if key == "path" else Source(case.tables[role], missing)
    heard = Heard()
    with pytest.raises(
        InputError,
        match=f"the {role} party's {what} does not exist .*nowhere.csv.* Set data.{role}.{key}",
    ):
        case.run(study(), progress=heard, **{role: source})
    assert case.published() == set()
    assert heard.warnings == []


# Plans that are refused before anything starts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_bits": 1024}, "1024 bits is too small .*crypto.key_bits.*2048"),
        ({"slot_bits": 4}, "overflow a slot of 4 bits.*crypto.slot_bits.*study.bounds"),
        ({"allow_no_noise": False}, "privacy.noise.*unsafe.allow_no_noise=true"),
    ],
)
def test_an_unsafe_plan(case, options, message):
    with pytest.raises(PlanError, match=message):
        case.run(study(), **options)
    assert not case.out.exists()


# The budget


@pytest.fixture
def taken_meanwhile(monkeypatch):
    """Another run takes the room of a ledger between the look at it and the debit."""

    def check_budget(self):
        """Find room."""

    monkeypatch.setattr(Party, "check_budget", check_budget)


@pytest.mark.usefixtures("taken_meanwhile")
def test_the_budget_refuses_and_nothing_is_decrypted_or_left(case, monkeypatch):
    capped = study(noise="laplace", privacy={"cap": 1})
    case.run(capped, case.folder / "first")
    monkeypatch.setattr(PrivateKey, "decrypt", lambda *_: pytest.fail("decrypted without budget"))
    with pytest.raises(
        BudgetError, match="data set small/row: epsilon 1 of 1 is spent.*Nothing was decrypted"
    ) as caught:
        case.run(capped)
    assert caught.value.exit_code == 3
    assert case.debits() == 1
    assert {path.name for path in case.out.iterdir()} == {"parties", "events.jsonl"}


@pytest.mark.usefixtures("taken_meanwhile")
def test_the_row_party_pays_once_however_often_the_key_holder_refuses(case):
    ledgers = {role: case.folder / f"{role}.sqlite" for role in ("row", "column")}
    sources = {role: Source(case.tables[role], ledger=path) for role, path in ledgers.items()}
    options = Options(key_bits=KEY_BITS, shards=1)
    spent = [Fraction(1), Fraction(0)]
    Ledger(ledgers["column"]).set_cap("small/column", Fraction(1, 2), Fraction(1, 10**6))
    for _ in range(2):
        with pytest.raises(BudgetError, match="small/column.*Nothing was decrypted"):
            crosstab(study(noise="laplace"), **sources, out=case.out, options=options)
        assert [Ledger(ledgers[role]).spent(f"small/{role}") for role in ledgers] == spent
    Ledger(ledgers["column"]).set_cap("small/column", Fraction(1))
    crosstab(study(noise="laplace"), **sources, out=case.out, options=options)
    assert [Ledger(ledgers[role]).spent(f"small/{role}") for role in ledgers] == [1, 1]


# The output folder


def test_a_release_is_never_overwritten(case):
    case.run(study())
    before = case.contents()
    with pytest.raises(InputError, match="already holds a release.*out.* Choose another out="):
        case.run(study(noise="laplace"))
    assert case.contents() == before
    assert case.debits() == 0


def test_an_output_folder_below_a_file(case):
    with pytest.raises(
        InputError, match="cannot write the output: a file is in the place.*rows.parquet/out"
    ):
        case.run(study(), case.tables["row"] / "out")


def test_a_ledger_that_cannot_be_used_costs_nothing(case):
    noisy = study(noise="laplace")
    with pytest.raises(
        InputError,
        match=r"ledger cannot be used: file is not a database .*rows.parquet.* Name a file",
    ):
        case.run(noisy, column=Source(case.tables["column"], ledger=case.tables["row"]))
    assert case.published() == set()
    case.run(noisy)
    assert case.debits() == 1
