"""The protocol played in one function, beside one SQL query over both tables in the clear."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import oracle
from tests.bad_faith import bound_nothing
from tests.sizes import every_other, first, slow, thorough
from tests.synthetic import make_study
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study, View
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play

SEED = bytes(range(32))


SEEDS = {"row": SEED, "column": SEED}


def played(plan, tables, folder, seeds=None):
    """Coefficients of the protocol on these tables."""
    paths = {"row_table": tables.row, "column_table": tables.column}
    return play(plan, **paths, ledger=folder / "ledger", seeds=seeds or {})


@slow
def test_equals_the_group_by_over_the_join_on_every_cell_of_the_demo(
    nycflights, nycflights_expected, tmp_path
):
    study = nycflights.study
    counts = played(make_plan(study, key_bits=2048, shards=3), nycflights, tmp_path)
    expected = nycflights_expected
    assert expected.sum() > 280_000 and (expected == 0).any()
    assert (counts.values == expected).all()


@thorough
@pytest.mark.parametrize("weight", first(1, ["distance", "air_time", None], slow))
def test_bounds_that_bind_keep_the_same_rows_as_row_number(nycflights, weight, tmp_path):
    study = replace(
        nycflights.study,
        row=replace(
            nycflights.study.row, weight=weight, dimensions=nycflights.study.row.dimensions[:1]
        ),
        bounds=Bounds(rows=3, boardings=1, persons=4000),
    )
    counts = played(make_plan(study, key_bits=2048, shards=2), nycflights, tmp_path, SEEDS)
    expected = oracle.count(study, nycflights.rows, nycflights.flags, SEEDS)
    assert 8_000 < expected.sum() <= 3 * 3322
    assert (counts.values == expected).all()


@pytest.mark.parametrize("offset_dimension", [True, False])
@pytest.mark.parametrize("shards", every_other(2, [1, 5, 80]))
def test_windows_and_both_bounds(small, tmp_path, offset_dimension, shards):
    study = make_study(offset_dimension=offset_dimension)
    plan = make_plan(study, key_bits=2048, shards=shards)
    counts = played(plan, small, tmp_path, SEEDS)
    expected = oracle.count(study, small.rows, small.flags, SEEDS)
    assert expected.sum() > 100
    assert (counts.values == expected).all()
    # The synthetic tables are such that every rule binds: without the random words other rows would
    # be kept.
    assert (expected != oracle.count(study, small.rows, small.flags)).any()
    assert min(shards, 36) <= len(plan.grid.batches) <= 36 and len(plan.grid.shards) >= shards


def test_many_slots_spread_over_several_ciphertexts(small, tmp_path):
    # Slots of 62 bits: the eight columns still fit one block, so a wide domain of labels nobody has
    # is added.
    labels = tuple(f"r{i}" for i in range(40))
    route = Dimension(
        "route",
        "route",
        ("CTS", "OKA", *labels),
        (("CTS",), ("OKA",), *((label,) for label in labels)),
    )
    study = replace(small.study, column=replace(small.study.column, dimensions=(route,)))
    plan = make_plan(study, key_bits=2048, shards=3, slot_bits=62)
    assert plan.packing.blocks > 1
    counts = played(plan, small, tmp_path, SEEDS)
    assert (counts.values == oracle.count(study, small.rows, small.flags, SEEDS)).all()


VIEW = View(Fraction(10), Fraction(1, 1000))
"""Dummies in every cell, and few enough for a test."""


@pytest.mark.slow
@thorough
def test_padding_changes_no_count_of_the_demo(nycflights, tmp_path):
    study = replace(
        nycflights.study,
        bounds=Bounds(rows=8, boardings=1, persons=4000),
        privacy=Privacy(noise="off", padding="dp", view=VIEW),
    )
    plan = make_plan(study, key_bits=2048, shards=3)
    counts = played(plan, nycflights, tmp_path, SEEDS)
    expected = oracle.count(study, nycflights.rows, nycflights.flags, SEEDS)
    assert plan.padding.matched.shift > 5 and plan.padding.copies == 8 and expected.sum() > 15_000
    assert (counts.values == expected).all()


@pytest.mark.parametrize("batch", ["release", "day"])
@pytest.mark.parametrize("rows", first(1, [1, 3]))
def test_padding_changes_no_count_with_windows_and_both_bounds(small, tmp_path, batch, rows):
    study = make_study(offset_dimension=False)
    study = replace(
        study,
        bounds=Bounds(rows=rows, boardings=2, persons=100),
        privacy=Privacy(noise="off", padding="dp", view=VIEW),
    )
    plan = make_plan(study, key_bits=2048, shards=6, batch=batch)
    counts = played(plan, small, tmp_path, SEEDS)
    expected = oracle.count(study, small.rows, small.flags, SEEDS)
    assert expected.sum() > 100 and (counts.values == expected).all()


NAMES = ["a", "b", "c", "d"]
tables = st.tuples(
    st.lists(
        st.tuples(st.sampled_from([*NAMES, None]), st.integers(0, 3)), min_size=1, max_size=25
    ),
    st.lists(st.tuples(st.sampled_from([*NAMES, "e"]), st.integers(0, 2)), min_size=1, max_size=8),
)


def counted(folder, rows, flags, rows_bound, privacy):
    """Counts (x, y) of the protocol on tables of (id, x) and of one y for each id."""
    for name, column, pairs in (("rows", "x", rows), ("flags", "y", flags.items())):
        ids, values = zip(*pairs, strict=True)
        pq.write_table(pa.table({"id": ids, column: values}), folder / f"{name}.parquet")
    study = Study(
        "tiny",
        RowSide("id", (Dimension("x", "x", ("0", "1", "2"), (("0",), ("1",), ("2",))),)),
        ColumnSide("id", (Dimension("y", "y", ("0", "1"), (("0",), ("1",))),)),
        bounds=Bounds(rows=rows_bound, boardings=1, persons=10),
        privacy=privacy,
    )
    return play(
        make_plan(study, key_bits=2048, shards=2),
        row_table=folder / "rows.parquet",
        column_table=folder / "flags.parquet",
        ledger=folder / "ledger",
    ).values


def by_dictionary(rows, flags):
    """Counts (x, y) of rows and flags within the domains."""
    expected = np.zeros((3, 2), int)
    for name, x in rows:
        if x < 3 and flags.get(name, 2) < 2:
            expected[x, flags[name]] += 1
    return expected


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables)
def test_random_tables_are_counted_like_a_dictionary_does(tmp_path, tables):
    rows = [*tables[0], ("a", 0)]
    flags = dict([*tables[1], ("e", 0)])
    counts = counted(tmp_path, rows, flags, 30, Privacy(noise="off"))
    assert (counts == by_dictionary(rows, flags)).all()


@thorough
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.integers(1, 4), st.sampled_from(["off", "dp"]))
def test_whoever_has_more_rows_than_the_bound_counts_nowhere(tmp_path, tables, limit, padding):
    rows = [*tables[0], ("a", 0)]
    flags = dict([*tables[1], ("e", 0)])
    with pytest.MonkeyPatch.context() as patch:
        bound_nothing(patch.setattr)
        privacy = Privacy(noise="off", padding=padding, view=VIEW)
        counts = counted(tmp_path, rows, flags, limit, privacy)
    met = Counter(name for name, x in rows if x < 3)
    most = 1 if padding == "dp" else limit
    within = [(name, x) for name, x in rows if met[name] <= most]
    assert (counts == by_dictionary(within, flags)).all()
