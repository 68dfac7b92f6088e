from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hokkaido.population.operator import Operator, cells_of, declare
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.areas import areas_of
from xstat_ray.hokkaido.population.presence import PresenceReader, Stays, bound_hours, open_presence
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.subscribers import Intake, LineTables, Pseudonyms, open_lines

KUSHIRO, NEMURO = (int(cells_of(home)[0]) for home in ("01206", "01223"))


def read(operator, folder, files=1, chunk_rows=1 << 20, **changes):
    """Reader and stays of the presence table."""
    if not operator.register:
        operator.residents("01206", "female", "40-44", 10)
    tables = operator.write(folder, files)
    declaration = declare(**changes)
    Pseudonyms.draw_key(folder / "key")
    pseudonyms = Pseudonyms(folder / "key", declaration)
    intake = Intake(declaration, read_register(tables.register), pseudonyms)
    lines = intake.take(LineTables(open_lines(tables.lines), tables.excluded))
    reader = PresenceReader(declaration, areas_of(declaration), lines, pseudonyms)
    table = open_presence(tables.presence)
    parts = [part for number in range(files) for part in reader.stays(table, number, chunk_rows)]
    every = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("line", "day", "hour", "seconds", "place")
    ]
    return reader, Stays(*every)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4000)), max_size=60))
def test_shares_of_an_hour_add_up_to_one_at_most(rows):
    group, hour, seconds = (
        (np.array(part, np.int64) for part in zip(*sorted(rows), strict=True))
        if rows
        else [np.zeros(0, np.int64)] * 3
    )
    stays = Stays(group, group, hour, seconds, group)
    bounded = bound_hours(stays, group)
    for one in set(zip(group.tolist(), hour.tolist(), strict=True)):
        own = (group == one[0]) & (hour == one[1])
        total = seconds[own].sum()
        after = bounded.seconds[own]
        assert after.sum() <= 3600
        assert total > 3600 or np.array_equal(after, seconds[own])
        # In proportion, less than a second each.
        assert total <= 3600 or (abs(after - seconds[own] * 3600 / total) < 1).all()


def test_stays_end_with_their_hour_and_are_cut_in_proportion(tmp_path):
    operator = Operator()
    one = operator.line()
    operator.stay(one, KUSHIRO, 9, 3600, minute=50)
    operator.stay(one, KUSHIRO, 10, 3600)
    operator.stay(one, NEMURO, 10, 1800, minute=30)
    operator.stay(one, NEMURO, 11, -5)
    _, stays = read(operator, tmp_path)
    assert stays.hour.tolist() == [9, 10, 10, 11]
    assert stays.seconds.tolist() == [600, 2400, 1200, 0]


def test_days_of_a_line_may_span_batches(tmp_path):
    operator = Operator()
    for number in range(7):
        one = operator.line()
        for hour in range(number + 1):
            operator.stay(one, KUSHIRO, hour, 3000)
            operator.stay(one, NEMURO, hour, 3000, minute=10)
    whole = read(operator, tmp_path / "whole")[1]
    for rows in (3, 8):
        again = read(operator, tmp_path / str(rows), chunk_rows=rows)[1]
        order = [np.lexsort((s.place, s.hour, s.line)) for s in (whole, again)]
        # The keys differ, and with them the numbers of the lines: compare how many there are of
        # each length.
        assert sorted(np.bincount(again.line).tolist()) == sorted(np.bincount(whole.line).tolist())
        assert again.seconds[order[1]].sum() == whole.seconds[order[0]].sum() == 28 * 3600


def test_rows_are_counted_by_what_became_of_them(tmp_path):
    operator = Operator()
    used = operator.line()
    gone = operator.line()
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
    one = operator.line()
    other = operator.line()
    operator.write(tmp_path)
    for line, hour in ((one, 1), (other, 1), (one, 2)):
        operator.stay(line, KUSHIRO, hour)

    class Unsorted(Operator):
        def write(self, folder, files=1):
            from tests.hokkaido.population.operator import PRESENCE, _write

            tables = Operator.write(self, folder, files)
            _write(self.presence, PRESENCE, folder / "presence" / "part-0.parquet")
            return tables

    mixed = Unsorted(operator.lines, operator.presence, operator.register, operator.excluded)
    for rows in (1, 2, 100):
        with pytest.raises(InputError, match="not together") as error:
            read(mixed, tmp_path / str(rows), chunk_rows=rows)
        assert error.value.file.endswith("part-0.parquet") and one not in str(error.value)
