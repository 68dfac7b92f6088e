"""The report of a benchmark: its file, the machine, and the table on the terminal."""

from __future__ import annotations

import io
import json
import platform
from dataclasses import replace

import pytest
from rich.console import Console

from xstat_ray.benchmarks.report import machine, read, show, write
from xstat_ray.benchmarks.timing import Record
from xstat_ray.errors import InputError

RECORDS = [
    Record("paillier.encrypt.owner.2048", 8_512.5, "1/s", (8_000.0, 9_000.0), 92.0, 92.5),
    Record("join.rows_per_s", 25_844_257.0, "rows/s", (2e7, 3e7)),
    Record("paillier.interop.mismatches.2048", 0, "count"),
]


def test_the_file_holds_everything(tmp_path):
    path = write("paillier", RECORDS, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "benchmark.json"
    content = json.loads(path.read_text())
    assert list(content) == ["suite", "version", "machine", "records"]
    assert content["suite"] == "paillier" and content["machine"] == machine()
    first, second, third = content["records"]
    assert first == {
        "metric": "paillier.encrypt.owner.2048",
        "value": 8512.5,
        "unit": "1/s",
        "spread": [8000.0, 9000.0],
        "baseline": 92.0,
        "ratio": 92.5,
    }
    assert second["baseline"] is None and second["ratio"] is None
    assert third["value"] == 0 and third["spread"] is None


def test_what_was_written_is_read(tmp_path):
    path = write("paillier", RECORDS, tmp_path)
    assert read(path, "paillier") == [
        replace(record, spread=record.spread and list(record.spread)) for record in RECORDS
    ]
    with pytest.raises(InputError, match="these are records of paillier"):
        read(path, "shards")
    path.write_text('{"suite": "paillier"}')
    for file in (path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no records of a benchmark"):
            read(file, "paillier")


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the output"):
        write("tags", RECORDS, tmp_path / "file")


def test_the_machine_is_described_but_not_named():
    text = json.dumps(machine())
    assert machine()["cores"] >= 1 and "gmpy2" in machine()["packages"]
    assert platform.node() not in text


def test_the_table_shows_every_record_in_80_columns(tmp_path):
    out = io.StringIO()
    show("paillier", RECORDS, tmp_path / "benchmark.json", Console(file=out, width=80))
    text = out.getvalue()
    for part in (
        "paillier.encrypt.owner.2048",
        "8.51 k",
        "8 k",
        "9 k",
        "92.5 x",
        "25.8 M",
        "rows/s",
    ):
        assert part in text
    assert all(len(line) <= 80 for line in text.splitlines()[:-1])
    assert str(tmp_path) in text
