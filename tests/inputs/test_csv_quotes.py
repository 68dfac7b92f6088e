"""Quotes and delimiters of CSV: no row is swallowed, and no message repeats what is in one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inputs.tables import read, write
from tests.sizes import first
from xstat_ray.errors import InputError
from xstat_ray.inputs import csv_reader
from xstat_ray.inputs.csv_quotes import QuoteCheck
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.tables import open_table

PHONE = "090-1111-000"
ROWS = [f"{PHONE}{i},Kushiro" for i in range(1, 5)]
SOUND = [
    ["id,v,n", f'{PHONE}1,a,7 inch"', f'{PHONE}2,b,x"y"z'],
    ['"id","v","n"', f'"{PHONE}1","a","a ""b"" c"', f'"{PHONE}2","b",""'],
    ["id,v,n", f'{PHONE}1,a,"two', 'lines"', f"{PHONE}2,b,c"],
    ["id,v,n", f'{PHONE}1,a,"one, comma', 'and a line"', f"{PHONE}2,b,c"],
    ["id,v,n", f'{PHONE}1,"a",""""', f'{PHONE}2,b,""""""'],
    ["", "id,v,n", "", f"{PHONE}1,a,", "", f"{PHONE}2,b,", ""],
]


@pytest.mark.parametrize("lines", SOUND)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_sound_files_are_read_whole(tmp_path, lines, ending):
    path = write(tmp_path / "a.csv", ending.join(lines) + ending)
    assert read(path, id="id", values=["v"]) == {
        "id": [f"{PHONE}1", f"{PHONE}2"],
        "v": ["a", "b"],
    }


FAULTS = [
    (['{0},a,"5 inch', "{1},b,c"], "never closed .*column n, row 1", "written twice"),
    (["{0},a,b", '{1},"b,c'], "never closed .*column v, row 2", "written twice"),
    (
        ['{0},a,"5 inch', "{1},b,c", '{2},c,7 inch"', "{3},d,e"],
        "could be whole rows .*row 1",
        "multil",
    ),
    (
        ['{0},a,"5 inch', "{1},b,c", '{2},c,"7 inch"', "{3},d,e"],
        "text follows .*column n, row 1",
        "",
    ),
    (['{0},a,"b" c', "{1},b,c"], "text follows the quote .*column n, row 1", ""),
    (['{0},a,"b \\" c"', "{1},b,c"], "text follows the quote .*row 1", ""),
    (["{0},a,b", '{1},b, "c"'], "a space stands before .*column n, row 2", "Remove"),
    (["{0},a,b", "{1},b"], "another number of fields .* 2 in place of 3 .*row 2", ""),
    (["{0},a,b", "{1},b,c,d"], "4 in place of 3 .*row 2", ""),
    (["{0},a,b", "{1};b;c"], "divided by a semicolon, the header by a comma .*row 2", "one delim"),
    (["{0},a,b", "{1}\tb\tc"], "divided by a tab, .*row 2", "one delimiter"),
]


@pytest.mark.parametrize(("rows", "problem", "remedy"), FAULTS)
@pytest.mark.parametrize("name", first(1, ["a.csv", "a.csv.gz", "a.tsv"]))
@pytest.mark.parametrize("before", [0, 2_000])
def test_faults_are_named_by_row(tmp_path, monkeypatch, rows, problem, remedy, name, before):
    """Whether the fault lies in the first block or after many."""
    monkeypatch.setattr(csv_reader, "_BLOCK_BYTES", 1 << 12)
    filled = [row.format(*(f"{PHONE}{i}" for i in range(4))) for row in rows]
    if name == "a.tsv":
        swap = str.maketrans(",\t", "\t,")
        filled = [row.translate(swap) for row in filled]
        problem = problem.replace("a comma", "X").replace("a tab", "a comma").replace("X", "a tab")
    head = "id,v,n" if name != "a.tsv" else "id\tv\tn"
    good = ["1,x,y" if name != "a.tsv" else "1\tx\ty"] * before
    for number in (2, 1):
        problem = problem.replace(f"row {number}", f"row {number + before}\\b")
    path = write(tmp_path / name, "\n".join([head, *good, *filled]) + "\n")
    with pytest.raises(InputError, match=problem) as caught:
        list(open_table(path, id="id", values=["v"]).chunks())
    assert caught.value.file == str(path) and remedy in str(caught.value.remedy)
    assert PHONE not in str(caught.value) and "inch" not in str(caught.value)


def test_the_owner_can_say_that_text_has_lines(tmp_path):
    path = write(tmp_path / "a.csv", f'id,v\n{PHONE}1,"a\nb, c"\n{PHONE}2,d\n')
    with pytest.raises(InputError, match="could be whole rows"):
        open_table(path, id="id")
    table = open_table(path, id="id", options=TableOptions(multiline="allow"))
    assert [len(chunk.columns["id"]) for chunk in table.chunks()] == [2]


def test_a_list_of_one_column_with_a_stray_quote(tmp_path):
    path = write(tmp_path / "a.csv", f'id\n"{PHONE}1\n{PHONE}2\n{PHONE}3"\n{PHONE}4\n')
    with pytest.raises(InputError, match="could be whole rows .*column id, row 1"):
        open_table(path, id="id", may_be_empty=True)


@pytest.mark.parametrize(
    ("top", "problem", "remedy"),
    [
        (ROWS[0], "no such column among the 2 fields", "Put a header above"),
        (PHONE, "no such column among the 1 fields", "Put a header above"),
        ("id;v", "divided by a semicolon, not by a comma", "delimiter=semicolon"),
        ("id\tv", "divided by a tab, not by a comma", "delimiter=tab"),
        ("id|v", "divided by a bar, not by a comma", "delimiter=bar"),
        ("ID ,V", "no such column .*", "The columns are ID , V"),
        ("sep=;", "no such column among the 1 fields", "Remove the first line"),
        ('"id', "the quotes of the header", "Close them"),
    ],
)
@pytest.mark.parametrize("wanted", [{"id": "id"}, {"values": ["v"]}, {"id": "id", "values": ["v"]}])
def test_a_file_without_its_header_shows_nothing(tmp_path, top, problem, remedy, wanted):
    path = write(tmp_path / "a.csv", "\n".join([top, *ROWS]) + "\n")
    with pytest.raises(InputError, match=problem) as caught:
        open_table(path, **wanted)
    assert remedy in str(caught.value.remedy)
    assert PHONE not in str(caught.value) and "Kushiro" not in str(caught.value)


@pytest.mark.parametrize("delimiter", [";", "|", "tab", "semicolon"])
def test_another_delimiter_is_set(tmp_path, delimiter):
    mark = TableOptions(delimiter=delimiter).field_end
    path = write(tmp_path / "a.csv", mark.join(["id", "v"]) + f"\n{PHONE}1{mark}a,b\n")
    table = open_table(path, id="id", values=["v"], options=TableOptions(delimiter=delimiter))
    (chunk,) = table.chunks()
    assert chunk.columns["v"].to_pylist() == ["a,b"]


@pytest.mark.parametrize("value", ["", ";;", '"', "\n", "、"])
def test_what_no_delimiter_can_be(value):
    with pytest.raises(InputError, match="delimiter has a value"):
        TableOptions(delimiter=value)


fields = st.text(st.sampled_from('a,"\n '), max_size=6)


@given(st.lists(st.tuples(fields, fields), max_size=8), st.integers(1, 9))
def test_whatever_is_quoted_as_asked_passes_in_blocks_of_any_size(rows, size):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("id", "v"), *rows])
    blocks = QuoteCheck(",", 2, multiline=True).blocks(io.BytesIO(text.getvalue().encode()), size)
    assert b"".join(blocks).decode() == text.getvalue()


@given(st.text(st.sampled_from('a,"\n'), max_size=24), st.integers(1, 9))
def test_the_check_agrees_with_a_reader_that_is_strict(text, size):
    """Whatever Python's strict reader refuses is refused, and nothing else."""
    blocks = QuoteCheck(",", 2, multiline=True).blocks(io.BytesIO(text.encode()), size)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        with pytest.raises(InputError, match="quotes"):
            list(blocks)
    else:
        parts = [csv.reader(io.StringIO(block.decode(), newline="")) for block in blocks]
        assert [row for part in parts for row in part] == rows


def test_columns_that_nobody_names_may_share_a_name(tmp_path: Path):
    path = write(tmp_path / "a.csv", f"id,,\n{PHONE}1,a,b\n")
    assert read(path, id="id")["id"] == [f"{PHONE}1"]
    folder = tmp_path / "date=1"
    write(folder / "b.csv", "x,x\n1,2\n3,4\n")
    assert read(folder.parent / "date=*", values=["date"])["date"] == ["1", "1"]
