"""Padding with several column parties: counts are exact, and every combination has its dummies."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.several import Joined, Several, joined, met_together, several
from tests.sizes import first, thorough
from xstat_ray.model.study import View
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.roles.dummies import FlagDummies, RowDummies


def padded(parties: int, overlap: float, rows: int = 2, boardings: int = 1) -> Several:
    """Make a padded study, with few dummies."""
    made = several(parties, overlap, rows, boardings)
    view = View(Fraction(40), Fraction(1, 10))
    privacy = replace(made.study.privacy, padding="dp", view=view)
    return made._replace(study=replace(made.study, privacy=privacy))


@pytest.mark.parametrize(
    ("parties", "overlap"),
    first(2, [(2, 0.5), (3, 1.0), (2, 0.0), (2, 1.0), (3, 0.0), (3, 0.5)]),
)
def test_the_sum_over_all_parties_equals_a_query_over_their_tables(
    parties: int, overlap: float, tmp_path: Path
) -> None:
    made = padded(parties, overlap)
    plan = make_plan(made.study, key_bits=2048, shards=4, batch="day")
    run = joined(plan, made, tmp_path)
    expected = made.expected()
    assert (sum(run.counts)[run.row._blinding().forward] == expected).all()
    assert expected.sum() > 50


def rows_seen(run: Joined, plan: Plan) -> NDArray[np.int64]:
    """(kinds, batches, cells) rows by the column parties whose flags they meet."""
    found = np.zeros((1 << len(run.columns), len(plan.grid.batches), plan.grid.cells), np.int64)
    for shard in plan.grid.shards:
        rows = run.row.emit(shard)
        flags = []
        for column in run.columns:
            assert column._starts is not None
            flags.append(column._in_order(shard.batch, column._starts).tag)
            assert len(np.unique(flags[-1], axis=0)) == len(flags[-1])
        np.add.at(found, (met_together(rows, flags), shard.batch, rows.cells), 1)
    return found


def test_a_cell_has_as_many_more_rows_of_every_kind_as_were_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[Any]] = {"rows": [], "flags": []}
    for kind, name in ((RowDummies, "rows"), (FlagDummies, "flags")):
        honest = kind.draw

        def draw(padding: Any, honest: Any = honest, name: str = name) -> Any:
            drawn[name].append(honest(padding))
            return drawn[name][-1]

        monkeypatch.setattr(kind, "draw", staticmethod(draw))
    made = padded(2, 0.5)
    plan = make_plan(made.study, key_bits=2048, shards=4, batch="day")
    run = joined(plan, made, tmp_path)
    bare = replace(made.study, privacy=replace(made.study.privacy, padding="off"))
    without = replace(plan, study=bare, padding=None)
    other = joined(without, made._replace(study=bare), tmp_path)
    (rows,) = drawn["rows"]
    assert (rows_seen(run, plan) == rows_seen(other, without) + rows).all()
    for column, unpadded, of_party in zip(run.columns, other.columns, drawn["flags"], strict=True):
        assert plan.padding is not None
        real = np.array(unpadded.sizes_for("row")) * plan.padding.copies
        assert (np.array(column.sizes_for("row")) == real + plan.padding.reserve + of_party).all()


@thorough
def test_tags_of_all_rows_differ_for_every_party(tmp_path: Path) -> None:
    made = padded(3, 0.5)
    plan = make_plan(made.study, key_bits=2048, shards=4, batch="day")
    run = joined(plan, made, tmp_path)
    tags = np.concatenate([run.row.emit(shard).tags for shard in plan.grid.shards])
    for number in range(3):
        own = tags[:, 16 * number : 16 * number + 16]
        assert len(np.unique(own, axis=0)) == len(own)
