"""Tables in an object store are read as those on a disk are, by ranges, and watched for changes."""

from __future__ import annotations

from collections import Counter
from hashlib import sha512
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.object_store import CANARY, Bucket
from xstat_ray.errors import InputError
from xstat_ray.inputs import parquet_reader, table_files
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.inputs.table_files import list_files
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


@pytest.fixture
def by_ranges(monkeypatch):
    """Tables of all sizes are read by ranges."""
    monkeypatch.setattr(table_files, "HELD_BYTES", 0)


def asked_of(bucket: Bucket, method: str) -> list[str]:
    """Ranges of all requests for files of Parquet by this method."""
    requests = bucket.server.requests
    return [asked for of, path, asked in requests if of == method and path.endswith(".parquet")]


@pytest.mark.parametrize("held", [table_files.HELD_BYTES, 0], ids=["whole", "ranges"])
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
def test_the_same_is_read_as_from_a_disk(tmp_path, bucket, monkeypatch, names, held):
    monkeypatch.setattr(table_files, "HELD_BYTES", held)
    folder = tmp_path / "t"
    for name in names:
        write(folder, name, TABLE)
    at = "" if len(names) > 1 else names[0]
    columns = COLUMNS | ({"values": ["area", "day"]} if len(names) > 1 else {})
    uri = bucket.copy(folder / at, f"tables/t/{at}".rstrip("/"))
    on_disk = content(open_table(folder / at, **columns))
    assert content(open_table(uri, **columns)) == on_disk
    assert len(on_disk["id"]) == ROWS * (2 if len(names) > 1 else 1)


def test_a_small_table_takes_three_requests_a_file_however_often_it_is_read(tmp_path, bucket):
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        write(tmp_path / "t", name, TABLE)
    uri = bucket.copy(tmp_path / "t", "t")
    bucket.server.requests.clear()
    digests = ReadDigests(bytes(16))
    table = open_table(uri, **COLUMNS, digests=digests.of("table"))
    for _ in range(3):
        list(table.read(table.pieces(), ["id", "area"]))
    assert len(asked_of(bucket, "HEAD")) == 2 * 3
    assert len(asked_of(bucket, "GET")) == 3
    assert len(bucket.server.requests) == 3 * 3 + 3, "three for the list of names"
    digests.check_unchanged()
    assert len(asked_of(bucket, "HEAD")) == 3 * 3
    # Whoever looks at sizes alone, such as the driver, is told them by the list of names.
    bucket.server.requests.clear()
    assert [file.stamp for file in list_files(uri, look="size")] == [
        (file.stamp.size, 0, "") for file in table.files
    ]
    assert len(bucket.server.requests) == 3


def test_a_file_that_is_replaced_while_it_is_fetched_is_one_of_the_two(tmp_path, bucket):
    write(tmp_path, "t.csv", TABLE)
    whole = (tmp_path / "t.csv").read_bytes()
    uri = bucket.put("t.csv", whole)
    left = [whole[: len(whole) // 2], whole + whole[-40:]]

    def replace(method: str, path: str) -> None:
        if method == "GET" and path.endswith("t.csv") and left:
            bucket.put("t.csv", left.pop())

    bucket.server.fault = replace
    (file,) = open_table(uri, **COLUMNS).files
    assert file.content.to_pybytes() == whole[: len(whole) // 2]
    left = [b"id\n" * n for n in range(9)]
    with pytest.raises(InputError, match="replaced while it is read"):
        open_table(uri, **COLUMNS)


def test_the_columns_of_a_row_group_take_one_request(tmp_path, bucket, by_ranges):
    write(tmp_path, "t.parquet", TABLE)
    uri = bucket.copy(tmp_path / "t.parquet", "t.parquet")
    table = open_table(uri, **COLUMNS)
    pieces = table.pieces()
    bucket.server.requests.clear()
    list(table.read(pieces, ["id", "area", "weight"]))
    assert len(pieces) == 4
    assert len(asked_of(bucket, "GET")) == 4 and len(asked_of(bucket, "HEAD")) == 1


def test_only_the_columns_that_are_used_are_read_and_by_ranges(tmp_path, bucket, by_ranges):
    write(tmp_path, "t.parquet", TABLE)
    uri = bucket.copy(tmp_path / "t.parquet", "t.parquet")
    bucket.server.requests.clear()
    table = open_table(uri, **COLUMNS)
    for _ in table.read(table.pieces(), ["id"]):
        pass
    ranges = asked_of(bucket, "GET")
    assert ranges and all(asked.startswith("bytes=") for asked in ranges)
    ends = [asked.removeprefix("bytes=").split("-") for asked in ranges]
    read = sum(int(last) - int(first) + 1 for first, last in ends)
    assert read < (tmp_path / "t.parquet").stat().st_size / 2


def test_a_footer_is_read_once(tmp_path, bucket, by_ranges, monkeypatch):
    write(tmp_path, "t.parquet", TABLE)
    uri = bucket.copy(tmp_path / "t.parquet", "t.parquet")
    seen = Counter()
    read = parquet_reader.pq.read_metadata
    monkeypatch.setattr(
        parquet_reader.pq, "read_metadata", lambda file: seen.update("f") or read(file)
    )
    table = open_table(uri, **COLUMNS)
    for _ in range(3):
        list(table.read(table.pieces(), ["id"]))
    assert seen.total() == 1


@pytest.mark.parametrize("held", [table_files.HELD_BYTES, 0], ids=["whole", "ranges"])
@pytest.mark.parametrize("change", ["content", "gone", "longer"])
def test_a_table_that_changes_under_the_run_is_noticed(tmp_path, bucket, monkeypatch, change, held):
    """Also in the second in which it was written, and with as many bytes."""
    write(tmp_path, "t.csv", TABLE)
    uri = bucket.copy(tmp_path / "t.csv", "t.csv")
    monkeypatch.setattr(table_files, "HELD_BYTES", held)
    digests = ReadDigests(bytes(16))
    table = open_table(uri, **COLUMNS, digests=digests.of("table"))
    read = list(table.chunks())
    whole = (tmp_path / "t.csv").read_bytes()
    if change == "gone":
        bucket.files.delete_file(f"{bucket.name}/t.csv")
    else:
        changed = whole.replace(b"000001", b"000002", 1)
        assert changed != whole
        bucket.put("t.csv", changed if change == "content" else whole + whole[-40:])
    if held:
        # What is in memory is what it was; the end of the step tells that the file is not.
        assert [c.columns for c in table.chunks()] == [c.columns for c in read]
    else:
        with pytest.raises(InputError, match="the file has changed since the run began"):
            list(table.chunks())
    with pytest.raises(InputError, match="the file has changed since the run began"):
        digests.check_unchanged()


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
