"""Ids of several columns: different parts are different people, wherever the parts end."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.case import COUNTS, Case, counts, study
from xstat_ray import Source, StudyError
from xstat_ray.inputs.composite_ids import DIVIDER, join_parts
from xstat_ray.inputs.ids import normalise

parts = st.none() | st.text(st.sampled_from("ab0. \x1f"), max_size=3)


@pytest.mark.parametrize("form", ["exact", "text"])
@given(st.lists(st.tuples(parts, parts, parts), max_size=12))
def test_two_rows_are_one_person_exactly_if_all_parts_are_alike(form, rows):
    columns = {
        name: pa.array(values, pa.string()).dictionary_encode()
        for name, values in zip("pqr", zip(*rows, strict=True) if rows else [[]] * 3, strict=True)
    }
    joined = join_parts(columns, ["p", "q", "r"]).cast(pa.string())
    single = [normalise(column.cast(pa.string()), form).to_pylist() for column in columns.values()]
    raw = [column.to_pylist() for column in columns.values()]
    expected = [
        None if None in normal or any(DIVIDER in text for text in written) else DIVIDER.join(normal)
        for normal, written in zip(zip(*single, strict=True), zip(*raw, strict=True), strict=True)
    ]
    assert normalise(joined, form).to_pylist() == expected


def test_parties_whose_ids_have_two_columns(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write("row", "n,area,booking\n1,a,P\n2,b,P\n1,a,Q\n2,b,\n1,b,PQ\n")
    case.write("column", {"ref": ["p ", "P", "q", "R"], "seat": [1, 2, 1, 2], "kind": list("xyxy")})
    (tmp_path / "list.csv").write_text("booking,n\nq,1.0\n")
    declared = study(id="text", row={"id": ["booking", "n"]}, column={"id": ["ref", "seat"]})
    assert counts(case.run(declared)) == COUNTS
    assert case.intake("row")["invalid_id"] == 1
    source = Source(case.tables["row"], tmp_path / "list.csv")
    release = case.run(declared, tmp_path / "again", row=source)
    assert counts(release) == {**COUNTS, ("a", "x"): 1}


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        (["a", "b"], "c", "different numbers of columns"),
        (["a", "a"], ["c", "d"], "'a' is given twice"),
        (["a", "b"], ["c", 1], "not a text"),
        (None, "c", "id is missing"),
    ],
)
def test_ids_that_cannot_meet_are_refused(row: object, column: object, problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        study(row={"id": row}, column={"id": column})
