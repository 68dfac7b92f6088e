"""What is read again is what was read: digests that no change escapes, and that nothing else moves."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.inputs import read_digests, table_files
from xstat_ray.inputs.read_digests import ReadDigests, row_words
from xstat_ray.inputs.table_files import Stamp
from xstat_ray.inputs.tables import open_table

KEY = b"k" * 16
USES = {"id": "id", "times": ["at"], "numbers": ["weight"], "values": ["area"]}
ROWS = {
    "id": ["1", "2", None, "x" * 100, "1"],
    "at": [datetime(2024, 5, 1, hour) for hour in (1, 2, 3, 4)] + [None],
    "weight": [0.5, None, 2.0, 3.0, 4.0],
    "area": ["a", "b", "a", "", None],
}


def write(path: Path, rows: dict[str, list[Any]] | pa.Table, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = rows if isinstance(rows, pa.Table) else pa.table(rows)
    if path.suffix == ".arrow":
        feather.write_feather(table, path)
    else:
        pq.write_table(table, path, **options)
    return path


def read(
    path: Path, digests: ReadDigests, columns: Sequence[str] = (*ROWS,), chunk_rows: int = 1000
) -> ReadDigests:
    table = open_table(path, **USES, digests=digests.of("table"))
    for _ in table.read(table.pieces(), columns, chunk_rows):
        pass
    return digests


def digest(path: Path, key: bytes = KEY, **how: Any) -> str:
    return read(path, ReadDigests(key), **how).digest()


@pytest.fixture
def same_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and times of change that tell nothing, so that only the digests do."""
    for module in (read_digests, table_files):
        monkeypatch.setattr(module, "stamp_of", lambda path: Stamp(1, 1))


CHANGES: dict[str, Callable[[dict[str, list[Any]]], object]] = {
    "an id": lambda rows: rows["id"].__setitem__(1, "3"),
    "an id that ends with NUL": lambda rows: rows["id"].__setitem__(1, "2\0"),
    "a long id": lambda rows: rows["id"].__setitem__(3, "x" * 99 + "y"),
    "a missing id": lambda rows: rows["id"].__setitem__(2, ""),
    "a time": lambda rows: rows["at"].__setitem__(0, datetime(2024, 5, 1, 1, 0, 1)),
    "a missing time": lambda rows: rows["at"].__setitem__(4, datetime(1970, 1, 1)),
    "a weight": lambda rows: rows["weight"].__setitem__(0, 0.25),
    "an area": lambda rows: rows["area"].__setitem__(0, "b"),
    "an area that is missing": lambda rows: rows["area"].__setitem__(3, None),
    "two rows that change places": lambda rows: [v.insert(0, v.pop(1)) for v in rows.values()],
    "a row more": lambda rows: [values.append(values[0]) for values in rows.values()],
    "a row less": lambda rows: [values.pop() for values in rows.values()],
}


@pytest.mark.usefixtures("same_stamps")
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_was_read_is_refused(tmp_path: Path, change: str, kind: str) -> None:
    path = write(tmp_path / f"rows.{kind}", ROWS)
    digests = read(path, ReadDigests(KEY))
    before = digests.export()
    read(path, digests)
    rows = {name: list(values) for name, values in ROWS.items()}
    CHANGES[change](rows)
    write(path, rows)
    with pytest.raises(InputError, match=rf"changed since the run began.*rows\.{kind}") as caught:
        read(path, digests)
    assert "Put back" in str(caught.value)
    later = ReadDigests(KEY)
    later.expect(before)
    with pytest.raises(InputError, match="changed since the run began"):
        read(path, later)
    write(path, ROWS)
    read(path, digests)


@pytest.mark.usefixtures("same_stamps")
def test_a_zone_of_times_is_part_of_what_was_read(tmp_path: Path) -> None:
    zoned = pa.array(ROWS["at"], pa.timestamp("us", "UTC"))
    digests = read(write(tmp_path / "rows.parquet", ROWS), ReadDigests(KEY))
    write(tmp_path / "rows.parquet", ROWS | {"at": zoned})
    with pytest.raises(InputError, match="changed"):
        read(tmp_path / "rows.parquet", digests)


def test_neither_batches_nor_dictionaries_nor_the_place_of_a_file_matter(tmp_path: Path) -> None:
    table = pa.table(ROWS)
    path = write(tmp_path / "one" / "rows.parquet", table, row_group_size=2)
    whole = digest(path)
    assert len(bytes.fromhex(whole)) == 32
    for chunk_rows in (1, 2, 3):
        assert digest(path, chunk_rows=chunk_rows) == whole
    coded = table.set_column(0, "id", table["id"].dictionary_encode())
    assert digest(write(tmp_path / "two" / "rows.parquet", coded, row_group_size=2)) == whole
    assert digest(path, key=b"l" * 16) != whole


def test_columns_that_are_read_later_are_added_to_those_read_before(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", ROWS, row_group_size=2)
    digests = read(path, ReadDigests(KEY), columns=["id"])
    first = digests.digest()
    assert read(path, digests).digest() == digest(path) != first
    # What was broken off is not taken for a whole.
    table = open_table(path, **USES, digests=(broken := ReadDigests(KEY)).of("table"))
    next(table.read(table.pieces(), ["id"], 1))
    assert b"/id" not in broken.export() and b"/id" in digests.export()


TOUCHED = {
    "touched": lambda path: os.utime(path, ns=(1, 1)),
    "gone": lambda path: path.unlink(),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
}


@pytest.mark.parametrize("change", TOUCHED)
def test_a_file_that_changes_while_a_table_is_read_is_refused(tmp_path: Path, change: str) -> None:
    for name in "ab":
        write(tmp_path / "t" / f"{name}.parquet", ROWS)
    digests = ReadDigests(KEY)
    table = open_table(tmp_path / "t", **USES, digests=digests.of("table"))
    chunks = table.read(table.pieces(), ["id"])
    next(chunks)
    TOUCHED[change](tmp_path / "t" / "b.parquet")
    with pytest.raises(InputError, match=r"changed since the run began.*b\.parquet"):
        next(chunks)
    with pytest.raises(InputError, match=r"changed since the run began.*b\.parquet"):
        digests.check_unchanged()


def test_files_that_come_and_go_between_steps_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    for name in "ab":
        write(folder / f"{name}.parquet", ROWS)
    before = read(folder, ReadDigests(KEY)).export()

    def again() -> None:
        later = ReadDigests(KEY)
        later.expect(before)
        read(folder, later)
        later.check_all_listed()

    again()
    added = write(folder / "c.parquet", ROWS)
    with pytest.raises(InputError, match=r"not there when the run began.*c\.parquet"):
        again()
    added.unlink()
    (folder / "b.parquet").rename(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"is gone.*b\.parquet"):
        again()
    (tmp_path / "b.parquet").rename(folder / "b.parquet")
    again()
    os.utime(folder / "a.parquet", ns=(1, 1))
    with pytest.raises(InputError, match=r"changed since the run began.*a\.parquet"):
        again()
    # Elsewhere files have other times; there the digests decide alone.
    elsewhere = ReadDigests(KEY)
    elsewhere.expect(before, stamps=False)
    read(folder, elsewhere)


def test_a_list_that_is_added_or_dropped_between_steps_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", ROWS)
    out = write(tmp_path / "out.parquet", {"id": ["1"]})

    def step(before: bytes, lists: int) -> ReadDigests:
        digests = ReadDigests(KEY)
        digests.expect(before)
        read(path, digests)
        for number in range(lists):
            table = open_table(out, id="id", digests=digests.of(f"exclude {number}"))
            assert len(list(table.chunks())) == 1
        digests.check_all_listed()
        return digests

    digests = ReadDigests(KEY)
    read(path, digests)
    for _ in open_table(out, id="id", digests=digests.of("exclude 0")).chunks():
        pass
    before = digests.export()
    step(before, 1)
    with pytest.raises(InputError, match="not there when the run began"):
        step(before, 2)
    with pytest.raises(InputError, match="is gone"):
        step(before, 0)


texts = st.lists(st.one_of(st.none(), st.text(max_size=70)), max_size=30)


@given(texts, texts)
def test_words_are_equal_exactly_where_values_are(
    first: list[str | None], second: list[str | None]
) -> None:
    both = [*first, *second]
    words = row_words(KEY, pa.array(both, pa.string()).dictionary_encode()).tolist()
    apart = [
        *row_words(KEY, pa.array(first, pa.string()).dictionary_encode()).tolist(),
        *row_words(KEY, pa.array(second, pa.string()).dictionary_encode()).tolist(),
    ]
    assert words == apart
    assert len(set(words)) == len(set(both))


def test_a_digest_tells_nothing_and_does_not_travel(tmp_path: Path) -> None:
    digests = read(write(tmp_path / "rows.parquet", ROWS), ReadDigests(KEY))
    assert b"xxxx" not in digests.export()
    assert "rows" not in repr(digests)
    with pytest.raises(TypeError):
        pickle.dumps(digests)
    assert np.asarray(row_words(KEY, pa.array([1.0, 2.0]))).tolist() == [1.0, 2.0]
