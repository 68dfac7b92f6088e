"""Several row parties: none names the other's people, and a column party names neither's.

The aggregator finds nothing of a flag that is for the rows of the one among the flags for the other.
`test_any_one_row_party` asks what else a role can tell.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.adversary.features import shape_of
from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import matrices, shared_keys, united
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, RECEIVED, Record, Recorder
from tests.adversary.test_several_parties import names_some, some_of_them
from tests.case import study
from tests.several import keys_at_hand
from tests.sizes import thorough
from xstat_ray.crypto import oprf
from xstat_ray.crypto.packing import Packing
from xstat_ray.model.messages import Flags
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link

STUDY = study(row={"parties": [{"name": "north"}, {"name": "south"}]})
ROWS = ("north", "south")
Tables = dict[str, list[str]]


def recorded(people: Tables, folder: Path, *roles: str) -> Record:
    """Play a run with these people in the tables of `north`, `south` and `column`."""
    with Recorder(*roles).recording(NOBODY) as record:
        published(people, folder)
    return record


def published(people: Tables, folder: Path) -> NDArray[np.int64]:
    """Play a run; returns (cells, slots) what is published."""
    paths = {}
    for name, ids in people.items():
        column, labels = ("area", "ab") if name in ROWS else ("kind", "xy")
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"id": ids, column: in_turn(labels, len(ids))}), paths[name])
    plan = make_plan(STUDY, key_bits=2048)
    rows = {name: paths[name] for name in ROWS}
    with keys_at_hand():
        made = play(plan, row_table=rows, column_table=paths["column"], ledger=folder / "ledger")
    values: NDArray[np.int64] = made.values
    return values


def told_of_another(who: str, whom: str, folder: Path) -> bool:
    """Whether a party, which has the same people as the third, names those of another one."""
    asked, others = some_of_them(3)
    people = dict.fromkeys(("north", "south", "column"), asked) | {whom: others}
    record = recorded(people, folder, who)
    assert {thing.role for thing in record.things.values()} == {who}
    return names_some(record.of(who), asked, others)


@thorough
@pytest.mark.parametrize(
    ("who", "whom"),
    [("north", "south"), ("south", "north"), ("column", "south"), ("column", "north")],
)
def test_a_party_names_nobody_of_a_row_party(who: str, whom: str, tmp_path: Path) -> None:
    assert not told_of_another(who, whom, tmp_path)


@thorough
@pytest.mark.parametrize("who", ROWS)
def test_a_row_party_names_nobody_of_the_column_party(who: str, tmp_path: Path) -> None:
    assert not told_of_another(who, "column", tmp_path)


@thorough
def test_hashes_of_ids_beside_the_sessions_name_the_other_row_partys_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.item_hashes, shared_keys.without_salt)
    monkeypatch.setattr(RowParty, "consent", united.consent_with_persons)
    monkeypatch.setattr(RowParty, "tell_terms", united.terms_with_persons)
    assert told_of_another("south", "north", tmp_path)


@thorough
def test_matrices_without_pads_name_a_row_partys_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    assert told_of_another("column", "south", tmp_path)


def found_twice(folder: Path) -> tuple[int, int]:
    """Tags, and ciphertexts, among the flags for one row party that are among those for the other.

    All parties have the same 100 people.
    """
    people = {name: list(NUMBERS[:100]) for name in (*ROWS, "column")}
    record = recorded(people, folder, "aggregator")
    found = []
    for what in (".tags", ".ciphertexts"):
        things = [thing for thing in record.of("aggregator") if thing.name.endswith(what)]
        arrays = [thing.value for thing in things if isinstance(thing.value, np.ndarray)]
        flags = {flag.tobytes() for array in arrays if len(array) == 100 for flag in array}
        found.append(flags)
    tags, ciphertexts = found
    # The rows carry the same tags as the flags.
    return 200 - len(tags), 200 - len(ciphertexts)


def test_the_aggregator_finds_no_flag_for_one_row_party_among_those_for_another(
    tmp_path: Path,
) -> None:
    assert found_twice(tmp_path) == (0, 0)


def test_flags_that_are_encrypted_once_are_found_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.item_hashes, shared_keys.without_salt)
    monkeypatch.setattr(Link, "tags", shared_keys.tags_under_one_key)
    monkeypatch.setattr(ColumnParty, "emit", united.encrypted_once())
    assert found_twice(tmp_path) == (100, 100)


def shapes(who: str, whose: str, people: int, folder: Path) -> Counter[tuple[Any, ...]]:
    """How much of what a row party is sent where the other one has so many people."""
    folder.mkdir()
    tables = {name: list(NUMBERS[:30]) for name in (*ROWS, "column")}
    tables[whose] = list(NUMBERS[:people])
    things = recorded(tables, folder, who).of(who)
    return shape_of(thing for thing in things if thing.kind == RECEIVED)


@thorough
@pytest.mark.parametrize(("who", "whose"), [("south", "north"), ("north", "south")])
def test_nothing_that_a_row_party_is_sent_tells_by_its_size_what_another_one_has(
    who: str, whose: str, tmp_path: Path
) -> None:
    few, many = (shapes(who, whose, people, tmp_path / str(people)) for people in (12, 90))
    assert few == many


@thorough
def test_a_table_beside_the_terms_is_seen_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    united.the_first_tells_row_parties(monkeypatch)
    few, many = (shapes("south", "north", n, tmp_path / str(n)) for n in (12, 90))
    assert few != many


@thorough
def test_a_column_party_of_bad_faith_can_count_the_customers_of_each_row_party_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags are made anew for each row party, so nobody sees whether they are the same.

    What comes of it is what is published, with its noise, of which nobody moves more than before.
    """
    honest = ColumnParty.emit

    def emit(
        self: ColumnParty, batch: int, part: int, rows: range, packing: Packing, row_party: str
    ) -> Flags:
        kept = self._slot
        self._slot = np.full_like(kept, ROWS.index(row_party))
        self._kept = None
        made: Flags = honest(self, batch, part, rows, packing, row_party)
        self._slot = kept
        return made

    people = {"north": list(NUMBERS[:9]), "south": list(NUMBERS[5:25]), "column": list(NUMBERS)}
    monkeypatch.setattr(ColumnParty, "emit", emit)
    assert published(people, tmp_path).sum(axis=0).tolist() == [9, 20]
