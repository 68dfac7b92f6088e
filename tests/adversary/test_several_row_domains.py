"""Several row parties in domains of their own: what each domain's disk, mailbox and memory hold.

None holds what a single row party counts, nor an id of another row party; nobody tells who is in
another's table; and the aggregator, who reads the whole exchange, finds no flag for the rows of one
row party among those for another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary.deployments import PUBLIC, READER
from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import matrices, shared_keys, united
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.test_several_domains import Run, holders, id_of, pair, run
from tests.adversary.test_several_parties import names_some, some_of_them
from tests.case import study
from tests.federation.canaries import encodings, hashed
from tests.sizes import slow, thorough
from xstat_ray.crypto import oprf
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.roles import Aggregator, ColumnParty
from xstat_ray.roles.link import Link

ROWS = ("north", "south")
STUDY = study(row={"parties": [{"name": name} for name in ROWS]})
COUNTED = study(
    areas=["a"],
    bounds={"persons": 50},
    row={"parties": [{"name": name, "rows": 400} for name in ROWS]},
)
PEOPLE: dict[str, list[tuple[str, str, int]]] = {
    "north": [("1", "x", 300), ("3", "y", 250), ("5", "x", 311), ("7", "y", 271)],
    "south": [("2", "x", 200), ("4", "y", 180), ("6", "x", 233), ("8", "y", 209)],
}
"""Of each row party a number of every person, the kind that the column party knows, and rows."""
SINGLE = {"north": (611, 521), "south": (433, 389)}
"""What is counted of the rows of each."""
WHOLE = (1044, 910)


def counted(folder: Path) -> Run:
    """Run the study in which what is counted of each row party is known."""
    tables: dict[str, Any] = {}
    for name, people in PEOPLE.items():
        ids = [id_of(number) for number, _, rows in people for _ in range(rows)]
        tables[name] = {"id": ids, "area": ["a"] * len(ids)}
    everybody = [person for people in PEOPLE.values() for person in people]
    tables["column"] = {
        "id": [id_of(number) for number, *_ in everybody],
        "kind": [kind for _, kind, _ in everybody],
    }
    return run(COUNTED, tables, folder)


def of_people(name: str) -> list[bytes]:
    """The id of one of a row party's people, in every form, and its hashes."""
    number = PEOPLE[name][0][0]
    found = encodings(number, id_of(number)) | hashed(number, id_of(number))
    return list(dict.fromkeys(found.values()))


def slot_bits(ran: Run) -> int:
    return ran.domains.config("aggregator", "all").plan().packing.slot_bits


@thorough
def test_no_domain_holds_single_counts_or_ids_of_another_row_party(tmp_path: Path) -> None:
    ran = counted(tmp_path)
    bits = slot_bits(ran)
    for name, counts in SINGLE.items():
        assert holders(ran.record, pair(counts, bits)) == set()
        assert holders(ran.record, of_people(name)) == {name, "column"}
    # The search finds what is there: what is published, noise being off. The second row party is
    # sent none of it.
    assert holders(ran.record, pair(WHOLE, bits)) == {"north", "column", PUBLIC}


@slow
def test_counts_of_one_row_party_that_are_opened_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Aggregator, "unite", lambda self, *partials: partials[1])
    ran = counted(tmp_path)
    assert holders(ran.record, pair(SINGLE["south"], slot_bits(ran))) >= {"north", "column"}


@slow
def test_an_id_beside_what_a_row_party_sends_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Mailbox.send

    def sending(self: Mailbox, receiver: str, kind: str, *args: Any, **place: Any) -> None:
        if (self.domain, kind) == ("south", "sessions"):
            self._exchange.put("extra/person", b"before" + id_of("2").encode() + b"behind")
        send(self, receiver, kind, *args, **place)

    monkeypatch.setattr(Mailbox, "send", sending)
    ran = counted(tmp_path)
    # The aggregator has looked through the exchange for secrets before it began.
    assert holders(ran.record, of_people("south")) == {"south", "column", "aggregator", READER}


def people(tables: dict[str, list[str]], folder: Path) -> Run:
    """Run the study with these people in the tables."""
    made: dict[str, Any] = {}
    for name, ids in tables.items():
        column, labels = ("area", "ab") if name in ROWS else ("kind", "xy")
        made[name] = {"id": ids, column: in_turn(labels, len(ids))}
    return run(STUDY, made, folder)


def told(folder: Path, whom: str) -> dict[str, bool]:
    """Which of the other parties, who have the same people, name those of this one.

    Each of them also reads the whole exchange.
    """
    asked, others = some_of_them(len(whom))
    adversaries = [name for name in (*ROWS, "column") if name != whom]
    record = people(dict.fromkeys(adversaries, asked) | {whom: others}, folder).record
    return {name: names_some(record.of(name, READER), asked, others) for name in adversaries}


@slow
@pytest.mark.parametrize("whom", [*ROWS, "column"])
def test_nobody_names_who_is_in_anothers_table(whom: str, tmp_path: Path) -> None:
    assert not any(told(tmp_path, whom).values())


@slow
def test_matrices_without_pads_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    assert told(tmp_path, "south")["column"]


def found_twice(folder: Path) -> tuple[int, int]:
    """Tags, and ciphertexts, among the flags for one row party that are among those for the other.

    All parties have the same 100 people.
    """
    ids = list(NUMBERS[:100])
    record = people(dict.fromkeys((*ROWS, "column"), ids), folder).record
    found = []
    for what in (".tags", ".ciphertexts"):
        things = [thing for thing in record.of("aggregator") if thing.name.endswith(what)]
        arrays = [thing.value for thing in things if isinstance(thing.value, np.ndarray)]
        found.append({flag.tobytes() for array in arrays if len(array) == 100 for flag in array})
    tags, ciphertexts = found
    return 200 - len(tags), 200 - len(ciphertexts)


@thorough
def test_the_aggregator_finds_no_flag_for_one_row_party_among_those_for_another(
    tmp_path: Path,
) -> None:
    assert found_twice(tmp_path) == (0, 0)


@slow
def test_flags_that_are_encrypted_once_are_found_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.item_hashes, shared_keys.without_salt)
    monkeypatch.setattr(Link, "tags", shared_keys.tags_under_one_key)
    monkeypatch.setattr(ColumnParty, "emit", united.encrypted_once())
    assert found_twice(tmp_path) == (100, 100)
