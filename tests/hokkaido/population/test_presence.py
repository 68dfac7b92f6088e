"""The presence table: stays in hours, chunks, order of the rows, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hokkaido.population.operator import PRESENCE, Operator, cells_of, declare, write_rows
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.areas import areas_of
from xstat_ray.hokkaido.population.presence import (
    HourStays,
    PresenceReader,
    bound_hours,
    open_presence,
)
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.run import OperatorTables
from xstat_ray.hokkaido.population.subscribers import (
    Intake,
    Pseudonyms,
    SubscriberTables,
    open_subscribers,
)

KUSHIRO, NEMURO = (int(cells_of(home)[0]) for home in ("01206", "01223"))


def read(
    operator: Operator, folder: Path, files: int = 1, chunk_rows: int = 1 << 20, **changes: Any
) -> tuple[PresenceReader, HourStays]:
    """Write the tables and read presence back: the reader and all stays."""
    if not operator.register:
        operator.residents("01206", "female", "40-44", 10)
    tables = operator.write(folder, files)
    declaration = declare(**changes)
    Pseudonyms.draw_key(folder / "key")
    pseudonyms = Pseudonyms(folder / "key", declaration)
    intake = Intake(declaration, read_register(tables.register), pseudonyms)
    subscribers = intake.take(
        SubscriberTables(open_subscribers(tables.subscribers), tables.excluded)
    )
    reader = PresenceReader(declaration, areas_of(declaration), subscribers, pseudonyms)
    table = open_presence(tables.presence)
    parts = [part for number in range(files) for part in reader.stays(table, number, chunk_rows)]
    columns = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("subscriber", "day", "hour", "seconds", "place")
    ]
    return reader, HourStays(*columns)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4000)), max_size=60))
def test_shares_of_an_hour_add_up_to_one_at_most(rows):
    group, hour, seconds = (
        (np.array(part, np.int64) for part in zip(*sorted(rows), strict=True))
        if rows
        else [np.zeros(0, np.int64)] * 3
    )
    stays = HourStays(group, group, hour, seconds, group)
    bounded = bound_hours(stays, group)
    for day, of_day in set(zip(group.tolist(), hour.tolist(), strict=True)):
        in_hour = (group == day) & (hour == of_day)
        total = seconds[in_hour].sum()
        after = bounded.seconds[in_hour]
        assert after.sum() <= 3600
        assert total > 3600 or np.array_equal(after, seconds[in_hour])
        # Each stay is cut in proportion, to less than a second.
        assert total <= 3600 or (abs(after - seconds[in_hour] * 3600 / total) < 1).all()


def test_stays_end_with_their_hour_and_are_cut_in_proportion(tmp_path):
    operator = Operator()
    phone = operator.add_subscriber()
    operator.stay(phone, KUSHIRO, 9, 3600, minute=50)
    operator.stay(phone, KUSHIRO, 10, 3600)
    operator.stay(phone, NEMURO, 10, 1800, minute=30)
    operator.stay(phone, NEMURO, 11, -5)
    _, stays = read(operator, tmp_path)
    assert stays.hour.tolist() == [9, 10, 10, 11]
    assert stays.seconds.tolist() == [600, 2400, 1200, 0]


def test_days_of_a_subscriber_may_span_chunks(tmp_path):
    operator = Operator()
    for number in range(7):
        phone = operator.add_subscriber()
        for hour in range(number + 1):
            operator.stay(phone, KUSHIRO, hour, 3000)
            operator.stay(phone, NEMURO, hour, 3000, minute=10)
    whole = read(operator, tmp_path / "whole")[1]
    for rows in (3, 8):
        again = read(operator, tmp_path / str(rows), chunk_rows=rows)[1]
        order = [np.lexsort((s.place, s.hour, s.subscriber)) for s in (whole, again)]
        # The keys differ, and with them the numbers of subscribers: compare how many there are of
        # each length.
        assert sorted(np.bincount(again.subscriber).tolist()) == sorted(
            np.bincount(whole.subscriber).tolist()
        )
        assert again.seconds[order[1]].sum() == whole.seconds[order[0]].sum() == 28 * 3600


def test_rows_are_counted_by_what_became_of_them(tmp_path):
    operator = Operator()
    used = operator.add_subscriber()
    gone = operator.add_subscriber()
    operator.excluded.append(gone)
    operator.stay(used, KUSHIRO, 1)
    operator.stay(used, 533945991, 2)
    operator.stay(used, KUSHIRO, 3, day=1)
    operator.stay(gone, KUSHIRO, 1)
    operator.stay("+819099999999", KUSHIRO, 1)
    operator.stay("nobody", KUSHIRO, 1)
    reader, stays = read(operator, tmp_path)
    assert reader.counts.as_dict() == {
        "rows": 6,
        "not_used": 3,
        "outside_days": 1,
        "outside_areas": 1,
        "kept": 1,
    }
    assert stays.hour.tolist() == [1]


def test_unsorted_rows_are_refused(tmp_path):
    operator = Operator()
    phone = operator.add_subscriber()
    other = operator.add_subscriber()
    operator.write(tmp_path)
    for subscriber, hour in ((phone, 1), (other, 1), (phone, 2)):
        operator.stay(subscriber, KUSHIRO, hour)

    class Unsorted(Operator):
        def write(self, folder: Path, files: int = 1) -> OperatorTables:
            tables = Operator.write(self, folder, files)
            write_rows(self.presence, PRESENCE, folder / "presence" / "part-0.parquet")
            return tables

    mixed = Unsorted(operator.subscribers, operator.presence, operator.register, operator.excluded)
    for rows in (1, 2, 100):
        with pytest.raises(InputError, match="not together") as error:
            read(mixed, tmp_path / str(rows), chunk_rows=rows)
        assert error.value.file.endswith("part-0.parquet") and phone not in str(error.value)
