"""A party's own record of its intake: complete, sealed on its way, and for the party alone."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path

import pytest

from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.tables import open_table
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.intake_record import INTAKE_RECORD, IntakeRecord

CHANNEL = Channel(b"k" * 32, "row")


def noted(**counts: int) -> IntakeRecord:
    record = IntakeRecord("row")
    record.taken = IntakeCounts(**counts)
    record.start_reading(b"k" * 16)
    return record


def test_what_was_surveyed_counts_once_and_what_was_emitted_is_added_up(tmp_path: Path) -> None:
    records = [noted(rows=12, persons=5, excluded=1) for _ in range(2)]
    records[0].emitted[range(0, 4)] = IntakeCounts(kept=2, over_bound=1)
    records[1].emitted[range(4, 8)] = IntakeCounts(kept=1)
    records[0].unsorted = ["a.parquet"]
    records[0].set_aside = (InputError("the file is empty", file="b.parquet", remedy="Write it"),)
    digest = records[0].write(tmp_path, CHANNEL, [record.report(CHANNEL) for record in records])
    assert len(bytes.fromhex(digest)) == 32
    path = tmp_path / INTAKE_RECORD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = json.loads(path.read_text())
    (aside,) = written.pop("set_aside")
    assert aside["file"] == "b.parquet" and "empty" in aside["problem"]
    # A row that no reading met lies outside the span.
    assert written == IntakeCounts(
        rows=12, excluded=1, kept=3, over_bound=1, outside_span=7, persons=5
    ).as_dict() | {
        "party": "row",
        "unsorted": ["a.parquet"],
        "forms": {"invalid_id": [], "outside_domain": []},
        "exclude": [],
    }


def test_counts_on_their_way_are_sealed(tmp_path: Path) -> None:
    record = noted(rows=41_237)
    report = record.report(CHANNEL)
    assert b"41237" not in report and b"rows" not in report
    with pytest.raises(ProtocolError):
        record.write(tmp_path, CHANNEL, [report[:-1] + bytes([report[-1] ^ 1])])
    assert list(tmp_path.iterdir()) == []


def reading(record: IntakeRecord, path: Path) -> None:
    table = open_table(path, id="id", digests=record.digests.of("table"))
    assert sum(len(chunk.columns["id"]) for chunk in table.chunks()) == 2


def test_the_digest_covers_what_each_environment_has_read(tmp_path: Path) -> None:
    for one in "12":
        (tmp_path / one).mkdir()
        (tmp_path / one / "rows.csv").write_text(f"id\n{one}\n3\n")

    def digest(*ids: str) -> str:
        records = [noted(rows=2) for _ in ids]
        for record, one in zip(records, ids, strict=True):
            reading(record, tmp_path / one / "rows.csv")
            record.end_survey()
        reports = [record.report(CHANNEL) for record in records]
        return records[0].write(tmp_path / "private", CHANNEL, reports)

    assert digest("1", "1") == digest("1", "1")
    assert len({digest(*ids) for ids in ("11", "22", "1")}) == 3
    with pytest.raises(InputError, match="environments of the row party have read different"):
        digest("1", "2")


def test_a_file_that_changed_after_it_was_read_is_noticed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id\n1\n3\n")
    record = noted(rows=2)
    reading(record, path)
    record.report(CHANNEL)
    path.write_text("id\n1\n3\n4\n")
    with pytest.raises(InputError, match="changed since the run began"):
        record.report(CHANNEL)


def test_before_the_intake_there_is_nothing_to_tell() -> None:
    with pytest.raises(ProtocolError, match="intake has not taken place"):
        IntakeRecord("row").report(CHANNEL)


def test_a_record_does_not_travel() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(noted(rows=1))
    assert "41237" not in repr(noted(rows=41_237))
