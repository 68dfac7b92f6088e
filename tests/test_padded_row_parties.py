"""Padding with several row parties: counts are exact, and each has dummies of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.several import keys_at_hand, met_together
from tests.several_rows import United, padded
from tests.sizes import first, thorough
from tests.test_several_row_parties import played
from xstat_ray.joint_opening import column_parties, meet, row_parties
from xstat_ray.model.shards import Shard
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.protocol import agree, exchange_persons
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.dummies import FlagDummies, RowDummies


def plan_of(made: United) -> Plan:
    """A plan of four shards in two batches."""
    return make_plan(made.study, key_bits=2048, shards=4, batch="day")


@pytest.mark.parametrize(
    ("rows", "columns", "overlap"),
    first(1, [(2, 1, 0.5), (2, 2, 0.5), (2, 1, 0.0), (2, 1, 1.0), (3, 2, 1.0), (5, 1, 0.4)]),
)
def test_the_sum_over_all_row_parties_equals_a_query_over_their_tables(
    rows: int, columns: int, overlap: float, tmp_path: Path
) -> None:
    made = padded(rows, columns, overlap)
    expected = made.expected()
    assert (played(made, tmp_path, plan_of(made)) == expected).all()
    assert expected.sum() > 100


class Ready(NamedTuple):
    """Parties that are ready to emit."""

    rows: Sequence[RowParty]
    columns: Sequence[ColumnParty]

    @classmethod
    def of(cls, made: United, plan: Plan, folder: Path) -> Ready:
        """Play everything up to the first rows."""
        folder.mkdir()
        row_tables, column_tables = made.write(folder)
        study = plan.study
        rows = row_parties(study, row_tables, folder / "ledger", made.seeds)
        columns = column_parties(study, column_tables, folder / "ledger", made.seeds)
        with keys_at_hand():
            agree(plan, rows[0], columns)
        meet(rows, columns)
        exchange_persons(rows[0], columns, *rows[1:])
        for party in (*rows, *columns):
            party.prepare(plan.grid, party.draw_dummies(plan.grid))
        return cls(rows, columns)

    def flags_for(self, row: RowParty, batch: int) -> list[NDArray[np.uint8]]:
        """(M, 16) tags of every column party's flags for the rows of a row party."""
        return [
            column._with_dummies(batch, slice(*column._starts[batch : batch + 2]), link).tag
            for column in self.columns
            for link in [column.link(row.row_party)]
            if column._starts is not None
        ]

    def seen(self, row: RowParty, plan: Plan) -> NDArray[np.int64]:
        """(kinds, batches, cells) rows of a row party by the column parties whose flags they meet."""
        shape = (1 << len(self.columns), len(plan.grid.batches), plan.grid.cells)
        found = np.zeros(shape, np.int64)
        for shard in plan.grid.shards:
            sent = row.emit(shard)
            kinds = met_together(sent, self.flags_for(row, shard.batch))
            np.add.at(found, (kinds, shard.batch, sent.cells), 1)
        return found


def note_draws(patch: pytest.MonkeyPatch) -> dict[type, list[NDArray[np.int64]]]:
    """Keep what is drawn, party by party."""
    drawn: dict[type, list[NDArray[np.int64]]] = {RowDummies: [], FlagDummies: []}
    for kind, kept in drawn.items():

        def draw(padding: Any, honest: Any = kind.draw, kept: Any = kept) -> Any:
            kept.append(honest(padding))
            return kept[-1]

        patch.setattr(kind, "draw", staticmethod(draw))
    return drawn


@pytest.mark.parametrize("columns", first(1, [1, 2]))
def test_of_each_row_party_a_cell_has_as_many_more_rows_of_every_kind_as_it_drew(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = padded(2, columns)
    plan = plan_of(made)
    drawn = note_draws(monkeypatch)
    run = Ready.of(made, plan, tmp_path / "padded")
    bare = replace(made.study, privacy=replace(made.study.privacy, padding="off"))
    without = replace(plan, study=bare, padding=None)
    other = Ready.of(made._replace(study=bare), without, tmp_path / "bare")
    assert len(drawn[RowDummies]) == len(run.rows)
    for row, unpadded, dummies in zip(run.rows, other.rows, drawn[RowDummies], strict=True):
        assert (run.seen(row, plan) == other.seen(unpadded, without) + dummies).all()
    assert plan.padding is not None and plan.padding.rows == (2, 1)
    for column, bare_column, unmet in zip(
        run.columns, other.columns, drawn[FlagDummies], strict=True
    ):
        for row, most, of_row in zip(run.rows, plan.padding.rows, unmet, strict=True):
            real = np.array(bare_column.sizes_for(row.row_party)) * most
            padded_sizes = np.array(column.sizes_for(row.row_party))
            assert (padded_sizes == real + plan.padding.reserve + of_row).all()


def test_every_party_draws_for_itself_and_a_column_party_for_each_row_party(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = note_draws(monkeypatch)
    made = padded(3)
    Ready.of(made, plan_of(made), tmp_path / "run")
    (flags,) = drawn[FlagDummies]
    assert flags.shape == (3, 2)
    for draws in (drawn[RowDummies], flags):
        assert len({draw.tobytes() for draw in draws}) == 3


def test_no_tag_of_a_row_or_flag_is_found_with_another_row_party(tmp_path: Path) -> None:
    made = padded(2)
    plan = plan_of(made)
    run = Ready.of(made, plan, tmp_path / "run")
    shards: Sequence[Shard] = plan.grid.shards
    tags = []
    for row in run.rows:
        sent = np.concatenate([row.emit(shard).tags for shard in shards])
        flags = [tag for batch in range(2) for tag in run.flags_for(row, batch)]
        for side in (sent, np.concatenate(flags)):
            assert len(np.unique(side, axis=0)) == len(side)
        tags.append({tag.tobytes() for tag in np.concatenate([sent, *flags])})
    assert not tags[0] & tags[1]


@thorough
def test_a_repeated_emission_for_each_row_party_gives_the_same_tags(tmp_path: Path) -> None:
    made = padded(2)
    plan = plan_of(made)
    run = Ready.of(made, plan, tmp_path / "run")
    (column,) = run.columns
    column.generate_key(2048)

    def emitted(name: str) -> bytes:
        size = column.sizes_for(name)[0]
        flags = column.emit(0, 0, range(min(size, 40)), plan.packing, name)
        return bytes(flags.tags)

    before = [emitted(row.row_party) for row in run.rows]
    column.prepare(plan.grid, column.draw_dummies(plan.grid))
    assert [emitted(row.row_party) for row in run.rows] == before
