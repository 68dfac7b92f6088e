"""Removing one person changes no sum by more than declared, and one changes it by as much."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.sizes import first
from tests.statistical import auditor
from tests.statistical.auditor import HIERARCHY, SECRET, make_study, make_tables, taken_in, write
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.model.measure import Measure
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Bounds, Noise, Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.design import Design, shown_tree
from xstat_ray.roles import ColumnParty, RowParty, column_party
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.join import match

FARE = Measure("fare", "fare", 0, 1001)
"""Values less 500 reach from -500 to 501."""
POINTS = Measure("points", "points", -70, 30)
BOUNDS = Bounds(rows=2, boardings=2, per_column=2, persons=20)
Levels = list[NDArray[np.int64]]
"""(quantities, nodes, slots) by level."""


def study_of(bounds: Bounds = BOUNDS, noise: Noise = "off", *measures: Measure) -> Study:
    study = make_study(bounds, True, False, noise)
    column = replace(study.column, measures=measures or (FARE, POINTS))
    return replace(study, column=column)


def tables_of(seed: int, bounds: Bounds, fare: float, points: int) -> tuple[pa.Table, pa.Table]:
    """Add values to the auditor's tables; `most` has these in all rows."""
    rows, columns = make_tables(seed, bounds)
    draw = np.random.default_rng(seed)
    of_most = np.array([person == "most" for person in columns["id"].to_pylist()])
    fares = np.where(of_most, fare, draw.integers(-500, 1500, len(of_most)).astype(float))
    fares[~of_most & (draw.random(len(of_most)) < 0.2)] = np.nan
    balances = np.where(of_most, points, draw.integers(-100, 60, len(of_most)))
    columns = columns.append_column("fare", pa.array(fares))
    return rows, columns.append_column("points", pa.array(balances))


def plain(_: Any, table: Any, index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Leave flags unencrypted: plaintexts in the place of ciphertexts."""
    return to_rows([table[place] for place in index.tolist()], 256)


def coefficients(study: Study, row: RowParty, column: ColumnParty, packing: Packing) -> Levels:
    """Counts and sums of every level, from the messages of the parties."""
    declared = np.argsort(Blinding(shown_tree(study), SECRET["row"]).forward)
    grid = ShardGrid.plan(study.cells, study.period.span, 1)
    row.prepare(grid)
    (number,) = column.prepare(grid)
    flags = column.emit(0, 0, range(number), packing)
    assert packing.blocks == 1
    read = packing.unpack_signed(from_rows(flags.ciphertexts[:, 0]), column._public.n)
    (shard,) = grid.shards
    rows = row.emit(shard)
    met, flag, _ = match(rows.tags, flags.tags, len(rows.tags))
    table = np.zeros((study.cells, study.width), np.int64)
    np.add.at(table, declared[rows.cells[met]], read[flag])
    levels = [table]
    for level in HIERARCHY:
        sums = np.zeros((len(level.labels), study.width), np.int64)
        np.add.at(sums, list(level.parents), levels[-1])
        levels.append(sums)
    levels.append(table.sum(axis=0, keepdims=True))
    quantities = study.width // study.slots
    return [np.stack(np.split(level, quantities, axis=1)) for level in levels]


def changes(study: Study, tables: Any, folder: Any, monkeypatch: Any) -> dict[str, Levels]:
    """Find the change of all levels for each person who can be removed."""
    packing = make_plan(study, key_bits=2048).packing
    people = auditor.note_people(monkeypatch)
    monkeypatch.setattr(auditor.Unencrypted, "encrypt_indexed", plain)
    whole = coefficients(study, *taken_in(study, write(tables, folder)), packing)
    found = {}
    for person in sorted({*people["row"], *people["column"]}):
        parties = taken_in(study, write(tables, folder, without=person))
        left = coefficients(study, *parties, packing)
        found[person] = [before - after for before, after in zip(whole, left, strict=True)]
    return found


def moved(found: dict[str, Levels], power: int) -> NDArray[np.int64]:
    """(persons, levels, quantities) sums of the powers of what each person changes."""
    return np.array(
        [[(abs(level) ** power).sum(axis=(1, 2)) for level in levels] for levels in found.values()]
    )


@pytest.mark.parametrize(
    ("fare", "points"), first(1, [(9999.0, -200), (1001.0, 99), (0.0, -70), (-1.0, 30)])
)
def test_sums_move_as_far_as_declared_and_no_further(fare, points, tmp_path, monkeypatch):
    study = study_of()
    levels = Design.of_study(study).levels
    l1 = []
    l2_squared = []
    for seed in range(1):
        found = changes(study, tables_of(seed, BOUNDS, fare, points), tmp_path, monkeypatch)
        l1.append(moved(found, 1))
        l2_squared.append(moved(found, 2))
    most, most_squared = (np.concatenate(parts).max(axis=0) for parts in (l1, l2_squared))
    for place, level in enumerate(levels):
        declared = [(one.l1, one.l2_squared) for one in level.mechanisms]
        reached = list(zip(most[place].tolist(), most_squared[place].tolist(), strict=True))
        assert reached[0] == declared[0]
        for measure, value, allowed, there in zip(
            study.column.measures, (fare, points), declared[1:], reached[1:], strict=True
        ):
            assert there[0] <= allowed[0] and there[1] <= allowed[1]
            kept = min(max(value, measure.low), measure.high) - measure.mid
            if abs(kept) == measure.reach:
                assert there == allowed
    assert study.sensitivity.l1 * 501 == levels[0].sums[0].l1
    # Random people move sums, too, by less.
    assert ((np.concatenate(l1)[:, 0, 1] > 0) & (np.concatenate(l1)[:, 0, 1] < most[0, 1])).any()


@pytest.mark.parametrize("noise", first(1, ["laplace", "gaussian"]))
def test_the_loss_over_levels_counts_and_sums_is_the_budget_once(noise, tmp_path, monkeypatch):
    study = study_of(BOUNDS, noise)
    design = Design.of_study(study)
    found = changes(study, tables_of(3, BOUNDS, 2000.0, -99), tmp_path, monkeypatch)
    losses = {}
    for person, levels in found.items():
        losses[person] = Fraction(0)
        for measured in design.levels:
            for change, of_one in zip(levels[measured.level], measured.mechanisms, strict=True):
                if noise == "laplace":
                    losses[person] += int(abs(change).sum()) / Fraction(of_one.scale)
                else:
                    faced = 2 * Fraction(of_one.share_scale) ** 2 - Fraction(1, 11)
                    losses[person] += int((change**2).sum()) / (2 * faced)
    budget = design.budget.epsilon if noise == "laplace" else design.budget.rho
    assert max(losses.values()) == losses["most"]
    assert 0.99 * budget < losses["most"] <= budget


def test_an_auditor_of_values_that_are_not_clipped_would_have_noticed(tmp_path, monkeypatch):
    study = study_of(Bounds(rows=1, boardings=1, persons=20), "off", FARE)
    read = column_party.read_values

    def beyond(measures: Any, *columns: Any) -> Any:
        wide = [replace(measure, low=-1000, high=2001) for measure in measures]
        return read(wide, *columns)

    monkeypatch.setattr(column_party, "read_values", beyond)
    found = changes(study, tables_of(0, study.bounds, 1900.0, 0), tmp_path, monkeypatch)
    declared = Design.of_study(study).levels[0].sums[0]
    assert moved(found, 1)[:, 0, 1].max() > declared.l1
