"""Several column parties: none of them, nor two together, nor the row party names who matched.

The aggregator, which sees of which parties a row met flags, sees nothing of people without a row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.matching import learnt, namings
from tests.adversary.matrices import namings_of_matrices
from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import matrices, shared_keys
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, Record, Recorder, Thing
from tests.case import study
from tests.several import keys_at_hand
from tests.sizes import thorough
from xstat_ray.crypto import oprf
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty
from xstat_ray.roles.link import Link

PARTIES = [{"name": "jal", "persons": 200}, {"name": "hac", "persons": 200}]
STUDY = study(bounds={"rows": 1}, column={"parties": PARTIES})
ASKED = 60
Tables = dict[str, list[str]]


def some_of_them(seed: int) -> tuple[list[str], list[str]]:
    """60 people, and 60 of whom each of these is one by a coin."""
    draw = np.random.default_rng(seed)
    pool = draw.permutation(NUMBERS).tolist()
    asked = pool[:ASKED]
    coin = draw.integers(0, 2, ASKED).astype(bool)
    both = [person for person, met in zip(asked, coin, strict=True) if met]
    strangers = pool[ASKED : 2 * ASKED - len(both)]
    return asked, draw.permutation(both + strangers).tolist()


def recorded(people: Tables, folder: Path, *roles: str) -> Record:
    """Play a run with these people in the tables of `row`, `jal` and `hac`."""
    paths = {}
    for name, ids in people.items():
        column, labels = ("area", "ab") if name == "row" else ("kind", "xy")
        paths[name] = folder / f"{name}.parquet"
        table = {"id": ids, column: in_turn(labels, len(ids))}
        pq.write_table(pa.table(table), paths[name])
    plan = make_plan(STUDY, key_bits=2048)
    row = paths.pop("row")
    with keys_at_hand(), Recorder(*roles).recording(NOBODY) as record:
        play(plan, row_table=row, column_table=paths, ledger=folder / "ledger")
    return record


def names_some(things: list[Thing], own: list[str], others: list[str]) -> bool:
    """Whether one can tell better than by chance which of its people are in another table."""
    mine = frozenset(person.encode() for person in own)
    both = mine & {person.encode() for person in others}
    found = [*namings(things, mine), *namings_of_matrices(things, mine)]
    return learnt(found, both)[1]


def told_of_the_row_party(folder: Path) -> dict[str, bool]:
    """Whether column parties, who have the same people, name those of the row party."""
    asked, row = some_of_them(1)
    record = recorded({"row": row, "jal": asked, "hac": asked}, folder, "jal", "hac")
    assert {thing.role for thing in record.things.values()} == {"jal", "hac"}
    adversaries = [("jal",), ("hac",), ("jal", "hac")]
    return {" and ".join(names): names_some(record.of(*names), asked, row) for names in adversaries}


def told_of_the_second_party(folder: Path) -> dict[str, bool]:
    """Whether row party and first column party name those of the second one."""
    asked, hac = some_of_them(2)
    record = recorded({"row": asked, "jal": asked, "hac": hac}, folder, "row", "jal")
    return {name: names_some(record.of(name), asked, hac) for name in ("row", "jal")}


@thorough
def test_column_parties_name_nobody_alone_or_two_together(tmp_path: Path) -> None:
    assert not any(told_of_the_row_party(tmp_path).values())


@thorough
def test_row_party_and_first_column_party_name_nobody_of_the_second(tmp_path: Path) -> None:
    assert not any(told_of_the_second_party(tmp_path).values())


@thorough
def test_matrices_without_pads_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    assert all(told_of_the_row_party(tmp_path).values())
    assert told_of_the_second_party(tmp_path)["row"]


@thorough
def test_hashes_of_ids_beside_what_was_opened_name_the_second_partys_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.item_hashes, shared_keys.without_salt)
    monkeypatch.setattr(ColumnParty, "open_residues", shared_keys.residues_with_persons)
    monkeypatch.setattr(ColumnParty, "add_residues", shared_keys.sum_of_more_than_residues)
    assert told_of_the_second_party(tmp_path)["jal"]


def seen_twice(folder: Path) -> int:
    """Tags of the one column party that the aggregator also sees from another party.

    Column parties have the same people, and the row party none of them.
    """
    people = {"row": list(NUMBERS[:40]), "jal": list(NUMBERS[60:]), "hac": list(NUMBERS[60:])}
    record = recorded(people, folder, "aggregator")
    things = [thing for thing in record.of("aggregator") if thing.name.endswith(".tags")]
    arrays = [thing.value for thing in things if isinstance(thing.value, np.ndarray)]
    tags = {tag.tobytes() for array in arrays if len(array) == 100 for tag in array}
    assert len(tags) >= 100
    return 200 - len(tags)


def test_the_aggregator_sees_no_overlap_of_people_without_a_row(tmp_path: Path) -> None:
    assert seen_twice(tmp_path) == 0


def test_tags_under_one_key_show_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_everywhere(monkeypatch, oprf.item_hashes, shared_keys.without_salt)
    monkeypatch.setattr(Link, "tags", shared_keys.tags_under_one_key)
    assert seen_twice(tmp_path) == 100
