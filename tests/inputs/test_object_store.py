"""Tables in an object store are read as those on a disk are, by ranges, and watched for changes."""

from __future__ import annotations

from hashlib import sha512
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.object_store import CANARY
from xstat_ray.errors import InputError
from xstat_ray.inputs import parquet_reader
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.inputs.tables import Table, open_table

ROWS = 5_000
TABLE = pa.table(
    {
        "id": [f"{i % 977:06d}" for i in range(ROWS)],
        "area": ["a", "b", None, "d\u00e9"] * (ROWS // 4),
        "weight": [i / 7 for i in range(ROWS)],
        "unused": [sha512(str(i).encode()).hexdigest() for i in range(ROWS)],
    }
)
COLUMNS = {"id": "id", "values": ["area"], "numbers": ["weight"]}


def write(folder: Path, name: str, table: pa.Table) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".parquet"):
        pq.write_table(table, path, row_group_size=1_500)
    elif name.endswith(".arrow"):
        feather.write_feather(table, path, compression="zstd")
    elif name.endswith(".gz"):
        with pa.CompressedOutputStream(str(path), "gzip") as stream:
            pa_csv.write_csv(table, stream)
    else:
        pa_csv.write_csv(table, path)


def content(table: Table) -> dict[str, list[object]]:
    """All values by column, with the names of the files."""
    found: dict[str, list[object]] = {"files": [file.name for file in table.files]}
    for name in table.uses:
        chunks = [chunk.columns[name] for chunk in table.chunks(999)]
        found[name] = [value for chunk in chunks for value in chunk.cast("string").to_pylist()]
    pieces = table.pieces()
    found["pieces"] = [(piece.first_row, piece.group and piece.group.rows) for piece in pieces]
    found["last"] = [
        chunk.columns["id"].cast("string").to_pylist() for chunk in table.read(pieces[-1:], ["id"])
    ]
    return found


@pytest.mark.parametrize(
    "names",
    [
        ["t.parquet"],
        ["t.csv"],
        ["t.csv.gz"],
        ["t.arrow"],
        ["day=1%2F2/a.parquet", "day=2/b.parquet", "day=2/_SUCCESS", ".hidden/c.csv"],
    ],
    ids=["parquet", "csv", "gzip", "arrow", "folder"],
)
def test_the_same_is_read_as_from_a_disk(tmp_path, bucket, names):
    folder = tmp_path / "t"
    for name in names:
        write(folder, name, TABLE)
    at = "" if len(names) > 1 else names[0]
    columns = COLUMNS | ({"values": ["area", "day"]} if len(names) > 1 else {})
    uri = bucket.copy(folder / at, f"tables/t/{at}".rstrip("/"))
    on_disk = content(open_table(folder / at, **columns))
    assert content(open_table(uri, **columns)) == on_disk
    assert len(on_disk["id"]) == ROWS * (2 if len(names) > 1 else 1)


def test_only_the_columns_that_are_used_are_read_and_by_ranges(tmp_path, bucket):
    write(tmp_path, "t.parquet", TABLE)
    uri = bucket.copy(tmp_path / "t.parquet", "t.parquet")
    bucket.server.requests.clear()
    table = open_table(uri, **COLUMNS)
    for _ in table.read(table.pieces(), ["id"]):
        pass
    ranges = [asked for method, _, asked in bucket.server.requests if method == "GET"]
    assert ranges and all(asked.startswith("bytes=") for asked in ranges)
    ends = [asked.removeprefix("bytes=").split("-") for asked in ranges]
    read = sum(int(last) - int(first) + 1 for first, last in ends)
    assert read < (tmp_path / "t.parquet").stat().st_size / 2


def test_a_footer_is_read_once(tmp_path, bucket):
    write(tmp_path, "t.parquet", TABLE)
    uri = bucket.copy(tmp_path / "t.parquet", "t.parquet")
    parquet_reader._kept_footer.cache_clear()
    table = open_table(uri, **COLUMNS)
    for _ in range(3):
        list(table.read(table.pieces(), ["id"]))
    assert parquet_reader._kept_footer.cache_info().misses == 1


@pytest.mark.parametrize("change", ["content", "gone", "longer"])
def test_a_table_that_changes_under_the_run_is_noticed(tmp_path, bucket, change):
    """Also in the second in which it was written, and with as many bytes."""
    write(tmp_path, "t.csv", TABLE)
    uri = bucket.copy(tmp_path / "t.csv", "t.csv")
    table = open_table(uri, **COLUMNS, digests=ReadDigests(bytes(16)).of("table"))
    list(table.chunks())
    whole = (tmp_path / "t.csv").read_bytes()
    if change == "gone":
        bucket.files.delete_file(f"{bucket.name}/t.csv")
    else:
        changed = whole.replace(b"000001", b"000002", 1)
        assert changed != whole
        bucket.put("t.csv", changed if change == "content" else whole + whole[-40:])
    with pytest.raises(InputError, match="the file has changed since the run began"):
        list(table.chunks())


def test_a_run_that_is_resumed_notices_too(tmp_path, bucket):
    write(tmp_path, "t.csv", TABLE)
    uri = bucket.copy(tmp_path / "t.csv", "t.csv")
    first = ReadDigests(bytes(16))
    list(open_table(uri, **COLUMNS, digests=first.of("table")).chunks())
    resumed = ReadDigests(bytes(16))
    resumed.expect(first.export())
    list(open_table(uri, **COLUMNS, digests=resumed.of("table")).chunks())
    bucket.put("t.csv", (tmp_path / "t.csv").read_bytes().replace(b"000001", b"000002", 1))
    resumed = ReadDigests(bytes(16))
    resumed.expect(first.export())
    with pytest.raises(InputError, match="the file has changed since the run began"):
        open_table(uri, **COLUMNS, digests=resumed.of("table"))


@pytest.mark.parametrize("key", ["none", "none/t.csv", "t.cs"])
def test_what_is_not_there_is_named(tmp_path, bucket, key):
    write(tmp_path, "t.csv", TABLE)
    bucket.copy(tmp_path / "t.csv", "t.csv")
    with pytest.raises(InputError, match="no such file or folder") as caught:
        open_table(bucket.uri(key), **COLUMNS)
    assert caught.value.file == f"s3://{bucket.name}/{key}"
    with pytest.raises(InputError, match="does not exist"):
        check_sources({"row": Source(bucket.uri(key))})


def test_a_damaged_file_is_told_from_a_store_that_refuses(tmp_path, bucket):
    write(tmp_path, "t.csv", TABLE)
    whole = (tmp_path / "t.csv").read_bytes()
    uri = bucket.put("t.csv", whole + b"one,field,too,many,here\n")
    with pytest.raises(InputError, match="another number of fields than the header") as caught:
        list(open_table(uri, **COLUMNS).chunks())
    assert caught.value.row == ROWS + 1
    uri = bucket.put("t.parquet", b"PAR1" + bytes(100))
    with pytest.raises(InputError, match="damaged or is not Parquet"):
        open_table(uri, **COLUMNS)
    uri = bucket.put("empty.csv", b"")
    with pytest.raises(InputError, match="the file is empty"):
        open_table(uri, **COLUMNS)
    uri = bucket.copy(tmp_path / "t.csv", "t.csv")
    bucket.server.fault = lambda method, path: "403 Forbidden" if method == "GET" else None
    with pytest.raises(InputError, match="object store cannot be used: access is denied") as caught:
        open_table(uri, **COLUMNS)
    assert CANARY not in str(caught.value)


def test_a_store_that_does_not_answer(bucket, monkeypatch):
    for uri in ("s3://b/k?endpoint_override=http://127.0.0.1:9&region=x", "s3://none/k"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
        with pytest.raises(InputError) as caught:
            open_table(uri, **COLUMNS)
        assert CANARY not in str(caught.value)


def test_the_endpoint_may_be_given_by_the_environment(tmp_path, bucket, monkeypatch):
    write(tmp_path, "t.csv", TABLE)
    bucket.copy(tmp_path / "t.csv", "t.csv")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    for uri in (f"s3://{bucket.name}/t.csv", f"s3://{bucket.name}/t.csv?anonymous=true"):
        assert open_table(uri, **COLUMNS).files[0].name == "t.csv"
