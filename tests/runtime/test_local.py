from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest

from tests import oracle
from tests.runtime.running import coefficients, counts, seeds
from tests.synthetic import make_study
from xstat_ray import Options, crosstab
from xstat_ray.model.study import Privacy, View
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.executor import LocalExecutor

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("key_bits", "shards"),
    [
        (2048, 1),
        (2048, 3),
        (2048, 16),
        *(pytest.param(3072, shards, marks=SLOW) for shards in (1, 3, 16)),
    ],
)
def test_equals_the_group_by_on_every_cell_of_the_demo(
    nycflights, nycflights_expected, key_bits, shards
):
    study = nycflights.study
    release = crosstab(
        study,
        row=nycflights.row,
        column=nycflights.column,
        options=Options(key_bits=key_bits, shards=shards, allow_no_noise=True),
    )
    table = release.statistics
    assert (
        table["noisy"].to_numpy().reshape(study.cells, study.slots) == nycflights_expected
    ).all()
    labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
    names, domains = zip(*labels, strict=True)
    assert list(zip(*(table[name].to_pylist() for name in names), strict=True)) == list(
        itertools.product(*domains)
    )
    assert release.plan["shards"] == shards


def test_padding_changes_no_count(small, tmp_path):
    privacy = Privacy(
        noise="off", mechanism="tree", padding="dp", view=View(Fraction(10), Fraction(1, 1000))
    )
    plan = make_plan(replace(small.study, privacy=privacy), key_bits=2048, shards=7, batch="day")
    with LocalExecutor(plan.study, small.sources) as executor:
        table = counts(executor, plan, tmp_path / "ledger")
        expected = oracle.count(plan.study, small.rows, small.flags, seeds(executor))
    assert (table == coefficients(plan, expected)).all()


@pytest.mark.parametrize("offset_dimension", [True, False])
@pytest.mark.parametrize(("shards", "mechanism"), [(1, "flat"), (36, "tree"), (80, "flat")])
def test_windows_and_bounds(small, tmp_path, offset_dimension, shards, mechanism):
    study = replace(
        make_study(offset_dimension=offset_dimension),
        privacy=Privacy(noise="off", mechanism=mechanism),
    )
    plan = make_plan(study, key_bits=2048, shards=shards)
    with LocalExecutor(study, small.sources) as executor:
        table = counts(executor, plan, tmp_path / "ledger")
        expected = oracle.count(study, small.rows, small.flags, seeds(executor))
    assert len(plan.design.levels) == (1 if mechanism == "flat" else 3)
    assert (table == coefficients(plan, expected)).all()
