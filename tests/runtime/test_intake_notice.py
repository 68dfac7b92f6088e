"""What a party hears of its own rows: every figure, forms of what was dropped, and never a value."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.case import COLUMNS, COUNTS, ROWS, Case, counts, study
from tests.heard import Heard
from xstat_ray import InputError, Source
from xstat_ray.inputs.source import check_sources
from xstat_ray.model.study import Role
from xstat_ray.runtime.intake_notice import tell_intake

ROLES: list[Role] = ["row", "column"]
KINDS = {"row": ("area", ROWS), "column": ("kind", COLUMNS)}
SECRET = "Secret-4711"
FORM = "Aaaaaa-9999"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def with_more(role: Role, ids: list[Any], values: list[Any]) -> dict[str, list[Any]]:
    """A party's table with more rows at its end."""
    name, table = KINDS[role]
    return {"id": [*table["id"], *ids], name: [*table[name], *values]}


@pytest.mark.parametrize("role", ROLES)
def test_both_parties_of_a_local_run_hear_of_all_their_rows(case: Case, role: Role) -> None:
    fault = f"{SECRET}\ufffd"
    case.write(role, with_more(role, [fault, None, "2"], ["a", "a", SECRET]))
    heard = Heard()
    case.run(study(), progress=heard)
    row, column = heard.notes[-2:]
    figures = {"row": row, "column": column}
    assert figures[role].startswith(
        f"Rows of the {role} party: 7 read = 4 kept + 2 invalid_id + 1 outside_domain, of 4 people"
    )
    ids, values = (text for text in heard.warnings if "commonest forms" in text)
    name = KINDS[role][0]
    assert f"2 of the 7 rows of the {role} party" in ids and f"'{FORM}\ufffd' (1)" in ids
    assert "'(empty)' (1)" in ids and f"{name} '{FORM}' (1)" in values
    assert SECRET not in "".join([*heard.notes, *heard.warnings])
    assert case.intake(role)["forms"]["outside_domain"] == [
        {"column": name, "form": FORM, "rows": 1}
    ]


@pytest.mark.parametrize(("warn_above", "warned"), [("1/20", 1), ("1/5", 0), ("0", 1), ("1", 0)])
def test_a_party_is_warned_above_its_share(case: Case, warn_above: str, warned: int) -> None:
    case.write("row", with_more("row", [None], ["a"]))
    heard = Heard()
    source = Source(case.tables["row"], warn_above=Fraction(warn_above))
    assert counts(case.run(study(), row=source, progress=heard)) == COUNTS
    assert sum("commonest forms" in text for text in heard.warnings) == warned


def test_forms_are_in_the_party_s_folder_and_nowhere_else(case: Case) -> None:
    case.write("row", with_more("row", ["1"], [SECRET]))
    case.run(study(privacy={"padding": "dp"}, noise="laplace"))
    found = {path for path, content in case.contents().items() if FORM.encode() in content}
    assert found == {Path("parties/row/intake.json")}


def test_a_form_in_the_manifest_would_be_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leak planted: what the terminal shows is published, too."""
    from xstat_ray import crosstab as module

    publish = module.__globals__["write"]

    def leaky(release: Any, folder: Any) -> None:
        publish(release, folder)
        record = case.out / "parties/row/intake.json"
        (case.out / "manifest.json").write_text(record.read_text())

    monkeypatch.setitem(module.__globals__, "write", leaky)
    case.write("row", with_more("row", ["1"], [SECRET]))
    case.run(study())
    found = {path for path, content in case.contents().items() if FORM.encode() in content}
    assert found == {Path("parties/row/intake.json"), Path("manifest.json")}


def test_a_record_that_may_not_be_read_is_only_named(tmp_path: Path) -> None:
    heard = Heard()
    tell_intake(tmp_path, "row", Fraction(0), heard)
    assert heard.warnings == [] and len(heard.notes) == 1
    assert str(tmp_path / "intake.json") in heard.notes[0]


# Lists of people to leave out


@pytest.mark.parametrize("role", ROLES)
def test_an_entry_to_leave_out_without_a_normal_form_ends_the_run(case: Case, role: Role) -> None:
    listed = case.folder / "list.csv"
    listed.write_text("id\n3\n1.2E+09\nnan\n")
    source = Source(case.tables[role], listed)
    with pytest.raises(InputError, match=r"^2 of 3 entries .*column id, row 2\)") as caught:
        case.run(study(), **{role: source})
    assert f"data.{role}.unreadable=count" in str(caught.value)
    assert "1.2" not in str(caught.value) and "nan" not in str(caught.value)
    assert case.published() == set() and case.debits() == 0
    heard = Heard()
    case.run(study(), **{role: replace(source, unreadable="count")}, progress=heard)
    assert case.intake(role)["excluded"] == 1
    assert case.intake(role)["exclude"] == [{"file": str(listed), "entries": 3, "unreadable": 2}]
    (warning,) = (text for text in heard.warnings if "leaves out" in text)
    assert "2 of the 3 entries" in warning and f"the {role} party" in warning


@pytest.mark.parametrize(
    "content",
    ["090-1111-0001\n090-1111-0002\n", "alice\nbob\n", "mail@x.jp\n", "id4711\n", "1,2024-01-01\n"],
)
def test_a_list_without_a_header_is_refused_without_a_value(case: Case, content: str) -> None:
    listed = case.folder / "list.csv"
    listed.write_text(content)
    source = case.source(Source(case.tables["row"], listed))
    check_sources({"row": source})
    with pytest.raises(InputError, match=r"no such column .*column id") as caught:
        case.run(study(), row=source)
    values = content.replace(",", "\n").split()
    assert [value for value in values if value in str(caught.value).replace("column id", "")] in (
        [],
        ["1"],
    )


def test_rows_over_the_bound_of_a_column_are_explained(case: Case) -> None:
    case.write("column", with_more("column", ["1"], ["x"]))
    heard = Heard()
    case.run(study(bounds={"persons": 2000, "boardings": 2}), progress=heard)
    assert "1 over_column_bound" in heard.notes[-2]
    assert "a larger bound counts them" in heard.notes[-1]
