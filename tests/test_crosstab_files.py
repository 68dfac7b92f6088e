"""Faults of files and settings of how they are read: in tables, opt-out lists and domain files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.case import Case, counts, study
from tests.sizes import every_other
from xstat_ray import InputError, Source
from xstat_ray.inputs.public_tables import PublicTable
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_dimensions import FIELDS
from xstat_ray.inputs.table_options import TableOptions

SECRET = "090-1111-0001"
FAULTS = {
    "a quote that is never closed": (
        f'id,{{0}},note\n{SECRET},a,"5 inch\n2,b,c\n3,b,c\n',
        "never closed .*column note, row 1",
    ),
    "rows in a quote": (
        f'id,{{0}},note\n1,a,"5 inch\n{SECRET},b,7 inch"\n3,b,c\n',
        "could be whole rows .*column note, row 1",
    ),
    "no header": (f"{SECRET},a\n2,b\n", "no such column"),
    "another delimiter": (f"id;{{0}}\n{SECRET};a\n", "divided by a semicolon"),
    "a row in another form": (f"id,{{0}}\n1,a\n{SECRET};b\n", "number of fields .*row 2"),
    "not UTF-8": (b"id,{0}\n\x8b\xfa\x98H,\x8b\xfa\x98H\n".decode("cp932"), "not UTF-8"),
}
PLACES = ("row", "column", "row list", "column list", "domain")


def opened(case: Case, place: str, path: Path, options: TableOptions) -> None:
    """Use a file as the table of a party, as one of its lists, or as a domain."""
    if place == "domain":
        fields = {"file": path.name, "encoding": options.encoding, "delimiter": options.delimiter}
        section = Section(fields, key="dimensions[0]", origin="s.yaml", known=FIELDS)
        column = PublicTable(section, path.parent).column
        assert len(column("id")) == len(column("area")) > 0
        return
    role, _, is_list = place.partition(" ")
    source = Source(case.tables[role], exclude=path) if is_list else Source(path)
    case.run(study(), **{role: Source(source.table, source.exclude, options=options)})


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", every_other(2, list(PLACES)))
def test_faults_are_refused_wherever_the_file_is_used(tmp_path, place, fault):
    case = Case(tmp_path)
    text, problem = FAULTS[fault]
    path = tmp_path / "file.csv"
    attribute = "kind" if place == "column" else "area"
    path.write_bytes(text.replace("{0}", attribute).encode("cp932"))
    with pytest.raises(InputError, match=problem) as caught:
        opened(case, place, path, TableOptions())
    assert caught.value.file == str(path) and caught.value.remedy
    assert SECRET not in str(caught.value) and not case.published()


@pytest.mark.parametrize("place", PLACES)
def test_settings_hold_wherever_the_file_is_used(tmp_path, place):
    case = Case(tmp_path)
    attribute, value = ("kind", "x") if place == "column" else ("area", "a")
    path = tmp_path / "file.csv"
    path.write_bytes(f"id;{attribute};備考\n1;{value};釧路\n77;{value};根室\n".encode("cp932"))
    opened(case, place, path, TableOptions(encoding="cp932", delimiter=";"))


def test_a_table_of_several_paths_is_counted_whole(tmp_path):
    case = Case(tmp_path)
    whole = counts(case.run(study(), out=tmp_path / "whole"))
    lines = ["1,a", "2,b", "3,a", "4,b"]
    for number, line in enumerate(lines):
        (tmp_path / f"part-{number}.csv").write_text(f"id,area\n{line}\n")
    paths = [tmp_path / "part-0.csv", tmp_path / "part-[1-3].csv"]
    assert counts(case.run(study(), row=Source(paths))) == whole
