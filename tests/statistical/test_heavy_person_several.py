"""Somebody with as much as the bounds allow in the tables of two column parties at once.

The counts with that person and without are as far apart as the study declares, and no farther,
also where a row party of bad faith keeps the person's tags apart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.several import Several, joined
from tests.sizes import thorough
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import RowParty

HOURS = 12
START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
SEEDS = {name: bytes(32) for name in ("row", "jal", "hac")}
Boardings = Sequence[tuple[int, str]]
"""Hours and kinds."""
OTHERS: Boardings = [(hour, kind) for hour in (3, 5) for kind in "xy"]


def study(rows: int = 2, hours: int = HOURS) -> Study:
    """R rows an hour; two boardings of one party, one of the other, one of each in a column."""
    parties = [
        {"name": "jal", "boardings": 2, "per_column": 1, "persons": 10},
        {"name": "hac", "boardings": 1, "per_column": 1, "persons": 10},
    ]
    end = (START + dt.timedelta(hours=hours)).isoformat()
    raw = {
        "name": "heavy",
        "period": {"grain": "hour", "start": START.isoformat(), "end": end},
        "row": {"id": "id", "time": "t", "dimensions": [{"name": "area", "values": ["a", "b"]}]},
        "column": {
            "id": "id",
            "time": "t",
            "dimensions": [{"name": "kind", "values": ["x", "y"]}],
            "parties": parties,
        },
        "bounds": {"rows": rows},
    }
    return parse({"study": raw, "privacy": {"noise": "off"}}, origin="heavy")


def table(label: str, of_person: dict[str, Boardings]) -> pa.Table:
    """A table of (id, hour, label)."""
    rows = [(person, *one) for person, many in of_person.items() for one in many]
    times = [START + dt.timedelta(hours=hour) for _, hour, _ in rows]
    labels = [what for _, _, what in rows]
    columns = {"id": [person for person, _, _ in rows], "t": times, label: labels}
    return pa.table(columns)


def counts(
    declared: Study, boardings: dict[str, Boardings], heavy: bool, folder: Path
) -> NDArray[np.int64]:
    """Counts with a person who has too much in every table, or without; (cells, slots)."""
    there: Boardings = [(hour, "a") for hour in range(len(declared.period.span))] * 3
    few = (
        {"other": [(3, "a"), (5, "b")]} if len(declared.period.span) > 5 else {"other": [(0, "a")]}
    )
    rows = table("area", few | ({"heavy": there} if heavy else {}))
    flags = {
        name: table("kind", {"other": [(0, "x")]} | ({"heavy": of_party} if heavy else {}))
        for name, of_party in boardings.items()
    }
    folder.mkdir(parents=True)
    run = joined(make_plan(declared, key_bits=2048), Several(declared, rows, flags, SEEDS), folder)
    total: NDArray[np.int64] = sum(run.counts)[run.row._blinding().forward]
    return total


def moved(declared: Study, boardings: dict[str, Boardings], folder: Path) -> NDArray[np.int64]:
    """By how much that person moves each count."""
    with_and_without = (
        counts(declared, boardings, heavy, folder / str(heavy)) for heavy in (True, False)
    )
    here, gone = with_and_without
    return here - gone


APART: dict[str, Boardings] = {
    "jal": [(1, "x"), (1, "x"), (2, "x"), (7, "y"), (8, "y")],
    "hac": [(4, "x"), (6, "x"), (9, "x")],
}
"""In hours of which none is both parties'."""


def test_one_person_in_all_tables_moves_the_counts_by_what_is_declared(tmp_path: Path) -> None:
    declared = study()
    sensitivity = declared.sensitivity
    assert (sensitivity.l1, sensitivity.column_units, sensitivity.l2_squared) == (6, 4, 20)
    change = moved(declared, APART, tmp_path)
    assert np.abs(change).sum() == sensitivity.l1
    assert np.abs(change).sum(axis=0).max() == sensitivity.column_units
    assert (change**2).sum() == sensitivity.l2_squared


@thorough
def test_where_flags_of_both_parties_meet_it_is_less(tmp_path: Path) -> None:
    same: dict[str, Boardings] = {"jal": [(1, "x"), (2, "y")], "hac": [(1, "x")]}
    change = moved(study(), same, tmp_path)
    assert np.abs(change).sum() == 4


def tags_apart(self: RowParty, shard: Shard, *, honest: object) -> Rows:
    """Send every row twice: with the tag for the one party alone, and with that for the other."""
    assert callable(honest)
    sent: Rows = honest(self, shard)
    noise = np.random.default_rng(5).integers(0, 256, sent.tags.shape, np.uint8)
    first = sent.tags.copy()
    second = sent.tags.copy()
    first[:, 16:] = noise[:, 16:]
    second[:, :16] = noise[:, :16]
    tags = np.concatenate([first, second])
    words = np.ascontiguousarray(tags[:, :16]).view("<u8")
    order = np.lexsort((words[:, 1], words[:, 0]))
    cells = np.concatenate([sent.cells, sent.cells])[order]
    return Rows(view=sent.view, shard=sent.shard, tags=tags[order], cells=cells)


@thorough
def test_a_row_party_that_keeps_tags_apart_moves_them_no_farther(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = study(rows=1, hours=1)
    honest = RowParty.emit

    def emit(self: RowParty, shard: Shard) -> Rows:
        return tags_apart(self, shard, honest=honest)

    both: dict[str, Boardings] = {"jal": [(0, "x")], "hac": [(0, "x")]}
    assert np.abs(moved(declared, both, tmp_path / "honest")).sum() == 1
    monkeypatch.setattr(RowParty, "emit", emit)
    change = moved(declared, both, tmp_path / "bad")
    assert np.abs(change).sum() == declared.sensitivity.l1 == 2
