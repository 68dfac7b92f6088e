"""Sums of values in the protocol, played in one function, beside SQL over both tables."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests import oracle
from tests.bad_faith import bound_nothing
from tests.case import use_key
from tests.measured import BALANCE, FARE, measured, with_values
from tests.several import several
from tests.sizes import first, slow, thorough
from tests.synthetic import make_study
from tests.test_joint_opening import played as play_several
from xstat_ray.crypto.keygen import generate
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.row_tree import tree_of
from xstat_ray.model.study import Bounds, Study, View
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play

SEEDS = {"row": bytes(range(32)), "column": bytes(range(32))}


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture(autouse=True)
def one_key(key, monkeypatch):
    use_key(key, monkeypatch.setattr)


@pytest.fixture(scope="module")
def tables(small, tmp_path_factory):
    """The synthetic tables, with values."""
    flags = with_values(small.flags)
    path = tmp_path_factory.mktemp("values") / "boarding.parquet"
    pq.write_table(flags, path)
    return SimpleNamespace(rows=small.rows, flags=flags, row=small.row, column=path)


def played(study: Study, tables: SimpleNamespace, folder, **options):
    """Counts, then the sums of each measure, (1 + measures, nodes, slots)."""
    plan = make_plan(study, key_bits=2048, shards=3, **options)
    paths = {"row_table": tables.row, "column_table": tables.column}
    coefficients = play(plan, **paths, ledger=folder / "ledger", seeds=SEEDS).values
    assert coefficients.shape == (plan.design.nodes, study.width)
    return plan, np.stack(np.split(coefficients, len(plan.design.quantities), axis=1))


def expected(study, tables, seeds=SEEDS):
    counts = oracle.count(study, tables.rows, tables.flags, seeds)
    return np.stack([counts, *oracle.sums(study, tables.rows, tables.flags, seeds)])


@pytest.mark.parametrize("offset_dimension", first(1, [True, False]))
def test_sums_are_those_of_sql_with_windows_and_bounds(tables, tmp_path, offset_dimension):
    study = measured(make_study(offset_dimension=offset_dimension))
    _, found = played(study, tables, tmp_path)
    wanted = expected(study, tables)
    assert (found == wanted).all()
    # Both signs, and other rows than without the random words.
    assert (wanted[1:] < 0).any() and (wanted[1:] > 0).any()
    assert (wanted != expected(study, tables, oracle.UNBOUNDED)).any()


@thorough
def test_values_decide_with_what_else_is_in_a_row_which_of_a_persons_is_kept(tables, tmp_path):
    """Otherwise it would depend on where a row stands in the file."""
    study = measured(make_study())
    backwards = tables.flags.take(list(reversed(range(len(tables.flags)))))
    pq.write_table(backwards, tmp_path / "backwards.parquet")
    turned = SimpleNamespace(row=tables.row, column=tmp_path / "backwards.parquet")
    assert (played(study, turned, tmp_path)[1] == expected(study, tables)).all()


@thorough
def test_sums_spread_over_several_ciphertexts(tables, tmp_path):
    # Labels that nobody has.
    labels = ("CTS", "OKA", *(f"r{number}" for number in range(20)))
    route = Dimension("route", "route", labels, tuple((label,) for label in labels))
    study = measured(make_study())
    study = replace(study, column=replace(study.column, dimensions=(route,)))
    plan, found = played(study, tables, tmp_path, slot_bits=62)
    assert plan.packing.blocks > 2 and plan.packing.width > 64
    assert (found == expected(study, tables)).all()


@pytest.mark.parametrize("rows", first(1, [2, 1]))
def test_whoever_has_more_rows_than_the_bound_adds_to_no_sum(tables, tmp_path, monkeypatch, rows):
    """The aggregator divides out of a cell what such a flag contributed, whatever its value is."""
    bound_nothing(monkeypatch.setattr)
    study = measured(make_study())
    study = replace(
        study,
        row=replace(study.row, weight=None),
        bounds=replace(study.bounds, rows=rows),
    )
    _, found = played(study, tables, tmp_path)
    given = (study, tables.rows, tables.flags, SEEDS)
    counts = oracle.count(*given, rows_per_flag=rows)
    wanted = np.stack([counts, *oracle.sums(*given, rows_per_flag=rows)])
    assert (found == wanted).all() and (wanted[1:] != 0).any()
    assert counts.sum() < oracle.count(*given, rows_per_flag=100).sum()


@thorough
def test_of_several_parties_the_values_of_the_first_are_summed(tmp_path):
    made = several(2, 0.5)
    flags = {
        name: with_values(table, seed) for seed, (name, table) in enumerate(made.flags.items())
    }
    made = made._replace(study=measured(made.study), flags=flags)
    wanted = made.expected_sums()
    assert (wanted[1:] < 0).any() and (wanted[1:] > 0).any()
    found = play_several(made, tmp_path).values
    assert (found == np.concatenate(wanted, axis=1)).all()


@thorough
@pytest.mark.parametrize("rows", first(1, [1, 3], slow))
def test_padding_changes_no_sum(tables, tmp_path, rows):
    study = measured(
        make_study(offset_dimension=False),
        FARE,
        padding="dp",
        view=View(Fraction(10), Fraction(1, 1000)),
    )
    study = replace(study, bounds=Bounds(rows=rows, boardings=2, persons=100))
    _, found = played(study, tables, tmp_path, batch="day")
    assert (found == expected(study, tables)).all()


def test_a_tree_sums_sums_up(tables, tmp_path):
    study = measured(make_study(), BALANCE, mechanism="tree")
    plan, found = played(study, tables, tmp_path)
    wanted = expected(study, tables)
    tree = tree_of(study.row.dimensions)
    assert len(plan.design.levels) > 1
    for level, section in zip(plan.design.levels, plan.design.sections, strict=True):
        ancestor = tree.ancestors(0, level.level)
        sums = np.zeros((2, level.nodes, study.slots), int)
        np.add.at(sums, (slice(None), ancestor), wanted[:, tree.nodes[0]])
        assert (found[:, section][:, tree.nodes[level.level]] == sums).all()
