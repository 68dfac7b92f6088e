"""Encodings and compressions of text: told by a mark or a setting, and never guessed."""

from __future__ import annotations

import bz2
import codecs
import gzip

import pyarrow as pa
import pytest

from tests.inputs.tables import write
from xstat_ray.errors import InputError
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.tables import open_table

TEXT = "電話,地域\n090-1111-0001,釧路市\n090-1111-0002,根室市\n"
EXPECTED = {"電話": ["090-1111-0001", "090-1111-0002"], "地域": ["釧路市", "根室市"]}


def texts(path, **options):
    table = open_table(path, id="電話", values=["地域"], options=TableOptions(**options))
    (chunk,) = table.chunks()
    return {name: column.to_pylist() for name, column in chunk.columns.items()}


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("setting", [None, "cp932"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding, setting):
    path = write(tmp_path / "a.csv", MARKS[encoding] + TEXT.encode(encoding))
    assert texts(path, encoding=setting) == EXPECTED


@pytest.mark.parametrize(
    "encoding", ["cp932", "euc_jp", "iso2022_jp", "utf-16-le", "UTF-8", "utf16"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_setting_tells_it_where_there_is_no_mark(tmp_path, encoding, name):
    lines = [f'{{"電話": "{a}", "地域": "{b}"}}' for a, b in zip(*EXPECTED.values(), strict=True)]
    text = TEXT if name == "a.csv" else "\n".join(lines)
    path = write(tmp_path / name, text.encode(encoding))
    assert texts(path, encoding=encoding) == EXPECTED


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("A.CSV.GZ", gzip.compress),
        ("a.csv.gz", lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:])),
        ("a.csv.zst", zstd),
        ("a.Csv.Bz2", bz2.compress),
        ("A.CSV", bytes),
    ],
)
def test_compressed_text(tmp_path, name, pack):
    assert texts(write(tmp_path / name, pack(TEXT.encode()))) == EXPECTED
    assert texts(write(tmp_path / name, pack(TEXT.encode("cp932"))), encoding="cp932") == EXPECTED


@pytest.mark.parametrize(
    ("content", "setting", "message"),
    [
        (TEXT.encode("cp932"), None, "the header is not UTF-8.*encoding=cp932"),
        ("電話,地域\n1,".encode() + "釧\n".encode("cp932"), None, "not UTF-8.*encoding=cp932"),
        (TEXT.encode(), "cp932", "the text is not cp932"),
        (TEXT.encode("cp932") + b"3,\x81 \n", "cp932", r"the text is not cp932 .*row 3\)"),
        (TEXT.encode("utf-16-le"), "utf-16", "no byte-order mark.*utf-16-le, or -be"),
        (b"i\0d\0,\0v\0\n\0", None, "holds zero bytes.*encoding=utf-16-le"),
        (b"\0i\0d\0,\0v\0\n", None, "holds zero bytes.*encoding=utf-16-be"),
        (b"PK\x03\x04secret", None, "a workbook of a spreadsheet, not text.*Export it as CSV"),
        (gzip.compress(TEXT.encode(), mtime=0), None, "compressed, not text.*end with .gz"),
        (b"PAR1secret", None, "Parquet, not text"),
    ],
)
def test_what_is_not_the_encoding_is_refused(tmp_path, content, setting, message):
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(InputError, match=message) as caught:
        texts(path, encoding=setting)
    assert caught.value.file == str(path)
    assert "secret" not in str(caught.value) and "釧" not in str(caught.value)


@pytest.mark.parametrize("name", ["utf8x", "rot13", "base64", "", "shift-jis-2004\0"])
def test_what_no_encoding_is_called(name):
    with pytest.raises(InputError, match="encoding has a value"):
        TableOptions(encoding=name)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_compressed_text_that_is_cut_short(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else zstd
    content = pack("\n".join(["電話,地域", *(f"{i},x" for i in range(50_000))]).encode())
    path = write(tmp_path / name, content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged or is not CSV"):
        texts(path)


@pytest.mark.parametrize("encoding", ["cp932", "latin-1", "cp1252", "gb18030"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_utf8_is_not_read_as_something_else(tmp_path, encoding, name):
    """As a list of people to leave out may be, whose table needs the setting."""
    text = "id\né\nü\n" if name == "a.csv" else '{"id": "é"}\n'
    path = write(tmp_path / name, text.encode())
    options = TableOptions(encoding=encoding, section="data.row")
    with pytest.raises(InputError, match=f"is UTF-8 from .*{encoding} is set") as caught:
        list(open_table(path, id="id", options=options).chunks())
    assert caught.value.row is None
    assert "data.row.encoding" in str(caught.value.remedy)
    write(path, text.encode("cp1252"))
    if encoding in ("latin-1", "cp1252"):
        (chunk,) = open_table(path, id="id", options=options).chunks()
        assert chunk.columns["id"][0].as_py() == "é"
