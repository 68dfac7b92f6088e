"""Several row parties: none names the other's people, and a column party names neither's.

The aggregator finds nothing of a flag that is for the rows of the one among the flags for the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import matrices, shared_keys, united
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, Record, Recorder
from tests.adversary.test_several_parties import names_some, some_of_them
from tests.case import study
from tests.several import keys_at_hand
from tests.sizes import thorough
from xstat_ray.crypto import oprf
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link

STUDY = study(row={"parties": [{"name": "north"}, {"name": "south"}]})
ROWS = ("north", "south")
Tables = dict[str, list[str]]


def recorded(people: Tables, folder: Path, *roles: str) -> Record:
    """Play a run with these people in the tables of `north`, `south` and `column`."""
    paths = {}
    for name, ids in people.items():
        column, labels = ("area", "ab") if name in ROWS else ("kind", "xy")
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"id": ids, column: in_turn(labels, len(ids))}), paths[name])
    plan = make_plan(STUDY, key_bits=2048)
    rows = {name: paths[name] for name in ROWS}
    with keys_at_hand(), Recorder(*roles).recording(NOBODY) as record:
        play(plan, row_table=rows, column_table=paths["column"], ledger=folder / "ledger")
    return record


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
