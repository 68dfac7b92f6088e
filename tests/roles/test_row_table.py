"""The row table beside a plain reading of the same rows, in every layout that files come in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.sizes import first
from tests.synthetic import START, make_study, make_tables
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.tables import Table
from xstat_ray.roles.bounds import Part
from xstat_ray.roles.row_table import RowTable
from xstat_ray.roles.survey import Survey

STUDY = replace(make_study(), id_form="text")
PERIODS = STUDY.period.span
ROWS = make_tables()[0]
SORTED = ROWS.sort_by([("person", "ascending"), ("at", "ascending")])
SOURCES = ["by_time", "by_person", "by_day", "text"]


def write(folder, kind):
    """The rows in one of the layouts that tables come in."""
    if kind == "text":
        pa_csv.write_csv(ROWS, folder / "rows.csv")
        return folder / "rows.csv"
    if kind == "by_day":
        for day in (0, 1):
            at = SORTED["at"].cast(pa.int64()).to_numpy() - int(START.timestamp()) * 10**6
            part = SORTED.filter(
                pa.array(at // (86400 * 10**6) > 0 if day else at // (86400 * 10**6) <= 0)
            )
            (folder / f"day={day}").mkdir()
            pq.write_table(part, folder / f"day={day}" / "rows.parquet", row_group_size=100)
        return folder
    table = SORTED if kind == "by_person" else ROWS.sort_by([("at", "ascending")])
    pq.write_table(table, folder / "rows.parquet", row_group_size=100)
    return folder / "rows.parquet"


def surveyed(path, exclude=()):
    digests = ReadDigests(bytes(16))
    table = RowTable(STUDY, Source(path, exclude), digests)
    table.take(table.survey())
    table.check_usable()
    return table, table.ids


def in_stretches(path, number):
    """Survey the table in stretches, each by an environment of its own; returns one of them."""
    tables = [RowTable(STUDY, Source(path), ReadDigests(bytes(16))) for _ in range(number)]
    surveys = [table.survey(place, number) for place, table in enumerate(tables)]
    assert [survey.pieces.stop for survey in surveys[:-1]] == [
        survey.pieces.start for survey in surveys[1:]
    ]
    for table in tables:
        table.take(reduce(Survey.joined, surveys))
    assert len({table._digests.digest() for table in tables}) == 1
    return tables[-1]


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("number", first(1, [2, 3, 7]))
def test_a_survey_in_stretches_finds_what_one_finds(tmp_path, kind, number):
    path = write(tmp_path, kind)
    whole, ids = surveyed(path)
    table = in_stretches(path, number)
    assert table.ids.tolist() == ids.tolist()
    assert table.counts == whole.counts
    assert table.dropped.export() == whole.dropped.export()
    assert table._digests.digest() == whole._digests.digest()
    assert table.unsorted == whole.unsorted
    assert content(table, ids, PERIODS) == plain()


def test_ids_that_are_out_of_order_between_two_stretches_are_noticed(tmp_path):
    half = len(SORTED) // 2
    turned = pa.concat_tables([SORTED.slice(half), SORTED.slice(0, half)])
    for number, rows in enumerate((turned, SORTED)):
        pq.write_table(rows, tmp_path / f"{number}.parquet", row_group_size=half)
        assert bool(in_stretches(tmp_path / f"{number}.parquet", 2).unsorted) == (number == 0)


def test_only_a_survey_of_the_whole_table_is_taken(tmp_path):
    path = write(tmp_path, "by_time")
    table = RowTable(STUDY, Source(path), ReadDigests(bytes(16)))
    survey = table.survey(0, 2)
    with pytest.raises(ProtocolError, match="of the whole table"):
        table.take(survey)
    with pytest.raises(ProtocolError, match="other pieces"):
        survey.joined(survey)


def test_stretches_of_other_tables_are_not_put_together(tmp_path):
    tables = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / "rows.parquet"
        pq.write_table(SORTED.slice(number), path, row_group_size=100)
        tables.append(RowTable(STUDY, Source(path), ReadDigests(bytes(16))))
    surveys = [table.survey(number, 2) for number, table in enumerate(tables)]
    with pytest.raises(InputError, match="environments of the row party have read different"):
        surveys[0].joined(surveys[1])


def content(table, ids, wanted):
    """What a range of periods holds: (id, period, cell, weight) of every row."""
    rows, weight = Part.join(table.read(wanted, lambda part: part).results)
    return Counter(
        zip(
            ids[rows.person].tolist(),
            rows.period.tolist(),
            rows.cell.tolist(),
            weight.tolist(),
            strict=True,
        )
    )


def plain():
    """What the whole table holds, read row by row without the row table."""
    found = Counter()
    zones = ["north", "south", "west"]
    first = PERIODS.start
    for row in ROWS.to_pylist():
        hour = int((row["at"] - START).total_seconds() // 3600)
        usable = (
            row["person"]
            and row["zone"] in zones
            and 1 <= row["area"] <= 4
            and 0 <= hour < len(PERIODS)
        )
        if usable:
            cell = zones.index(row["zone"]) * 4 + row["area"] - 1
            found[row["person"].encode(), first + hour, cell, row["dwell"] or 0.0] += 1
    return found


def outside_domain():
    """Number of rows of known persons within the study's hours that lie in no cell."""
    return sum(
        1
        for row in ROWS.to_pylist()
        if row["person"]
        and 0 <= (row["at"] - START).total_seconds() < 3600 * len(PERIODS)
        and not (row["zone"] in ("north", "south", "west") and 1 <= row["area"] <= 4)
    )


@pytest.mark.parametrize("kind", SOURCES)
def test_every_layout_and_cut_gives_the_same_rows(tmp_path, kind):
    table, ids = surveyed(write(tmp_path, kind))
    found = Counter()
    counts = Counter(table.counts.as_dict())
    for batch in (PERIODS[:5], PERIODS[5:20], PERIODS[20:]):
        found += content(table, ids, batch)
        reading = table.read(batch, lambda part: len(part.rows.cell))
        counts["usable"] += reading.usable
        counts["outside_domain"] += reading.outside_domain
        assert sum(reading.results) == reading.usable
    assert found == plain()
    assert counts["rows"] == len(ROWS) and counts["usable"] == plain().total()
    assert counts["invalid_id"] == ROWS["person"].null_count
    assert counts["outside_domain"] == outside_domain()


def pieces_read(monkeypatch, table, wanted):
    read = []
    original = Table.read

    def spy(self, pieces, columns, chunk_rows=1 << 20):
        read.extend(pieces)
        return original(self, pieces, columns, chunk_rows)

    monkeypatch.setattr(Table, "read", spy)
    table.read(wanted, lambda part: part)
    return len(read)


def test_only_row_groups_that_can_hold_the_batch_are_read(tmp_path, monkeypatch):
    for kind in SOURCES:
        (tmp_path / kind).mkdir()
    groups = -(-len(ROWS) // 100)
    by_time, _ = surveyed(write(tmp_path / "by_time", "by_time"))
    assert pieces_read(monkeypatch, by_time, PERIODS[:4]) <= 4 / 36 * groups + 2
    text, _ = surveyed(write(tmp_path / "text", "text"))
    assert pieces_read(monkeypatch, text, PERIODS[:4]) == 1


WIDE = str.maketrans("p0123456789", "ｐ０１２３４５６７８９")


def test_ids_in_another_form_are_found(tmp_path):
    wide = ROWS.set_column(
        0, "person", [[i and i.translate(WIDE) for i in ROWS["person"].to_pylist()]]
    )
    pq.write_table(
        wide.sort_by([("person", "ascending")]), tmp_path / "rows.parquet", row_group_size=100
    )
    assert content(*surveyed(tmp_path / "rows.parquet"), PERIODS) == plain()


def test_excluded_persons_have_no_rows(tmp_path):
    pq.write_table(pa.table({"person": ["ｐ７", "p9", "stranger"]}), tmp_path / "out.parquet")
    (tmp_path / "rows").mkdir()
    table, ids = surveyed(write(tmp_path / "rows", "by_time"), exclude=[tmp_path / "out.parquet"])
    found = content(table, ids, PERIODS)
    assert found == Counter({row: n for row, n in plain().items() if row[0] not in (b"p7", b"p9")})
    assert table.counts.excluded == sum(
        person in ("p7", "p9") for person in ROWS["person"].to_pylist()
    )


def test_a_table_without_a_usable_row_is_refused(tmp_path):
    late = ROWS.set_column(
        1, "at", pa.compute.add(ROWS["at"], pa.scalar(10**6 * 86400 * 30, pa.duration("us")))
    )
    pq.write_table(late, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="rows.parquet"):
        surveyed(tmp_path / "rows.parquet")


def test_bad_text_behind_the_first_rows_is_refused_before_anything_is_read_for_use(tmp_path):
    path = write(tmp_path, "text")
    with path.open("a") as file:
        file.write('"p1","2024-05-01T25:00Z","north",1,2\n')
    with pytest.raises(InputError, match=r"rows.csv, column at, row 3,?001"):
        surveyed(path)


def test_batches_that_lie_in_the_same_pieces_are_read_together(tmp_path):
    by_day, _ = surveyed(write(tmp_path, "by_day"))
    hours = [PERIODS[hour : hour + 1] for hour in range(len(PERIODS))]
    every = range(len(hours))
    # Midnight of the second day is in both files' footers, as the first ends there.
    groups = {by_day.read_together(hours, batch, every) for batch in every}
    assert sorted(hour for group in groups for hour in group) == list(range(len(hours)))
    assert len(groups) <= 3
    assert all(
        by_day.read_together(hours, batch, every) == group for group in groups for batch in group
    )
    # Others than those that are emitted here are left alone.
    (first, *_) = sorted(groups, key=lambda group: group.start)
    assert by_day.read_together(hours, 2, range(2, 4)) == range(2, 4) != first
    assert all(map(by_day.has_rows, hours))
    assert not by_day.has_rows(range(PERIODS.stop + 100, PERIODS.stop + 101))


def test_a_batch_in_pieces_with_very_many_rows_is_read_alone(tmp_path, monkeypatch):
    text, _ = surveyed(write(tmp_path, "text"))
    halves = [PERIODS[:18], PERIODS[18:]]
    assert text.read_together(halves, 1, range(2)) == range(1, 2)
    (tmp_path / "by_person").mkdir()
    by_person, _ = surveyed(write(tmp_path / "by_person", "by_person"))
    assert by_person.read_together(halves, 1, range(2)) == range(2)
    monkeypatch.setattr(by_person, "_most_rows", len(ROWS))
    assert by_person.read_together(halves, 1, range(2)) == range(1, 2)
