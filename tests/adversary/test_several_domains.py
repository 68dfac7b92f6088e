"""Several column parties in domains of their own: what each domain's disk, mailbox and memory hold.

None holds what a single party counts, none but the first column party and the sender what a column
party decrypted, and none an id of another column party; nobody tells who is in another's table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.deployments import PUBLIC, READER, Watched
from tests.adversary.planted import matrices
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import Record, Thing
from tests.adversary.test_several_parties import (
    PARTIES,
    STUDY,
    Tables,
    in_turn,
    names_some,
    some_of_them,
)
from tests.adversary.test_single_parties import no_mask_of_the_second
from tests.case import study
from tests.federation.canaries import TOKEN, encodings, hashed
from tests.federation.domains import RUN
from tests.several import key_of, keys_at_hand
from tests.sizes import slow
from xstat_ray.crypto import oprf
from xstat_ray.federation.envelope import open_message
from xstat_ray.federation.identity import Peers
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.model.messages import MaskedTable
from xstat_ray.model.study import Study
from xstat_ray.roles import ColumnParty
from xstat_ray.roles.opening import bytes_below

COUNTED = study(areas=["a"], bounds={"rows": 400}, column={"parties": PARTIES})
PEOPLE: dict[str, list[tuple[str, str, int]]] = {
    "jal": [("1", "x", 300), ("3", "y", 250), ("5", "x", 311), ("7", "y", 271)],
    "hac": [("2", "x", 200), ("4", "y", 180), ("6", "x", 233), ("8", "y", 209)],
}
"""Of each column party a number of every person, the kind, and rows of the row party."""
SINGLE = {"jal": (611, 521), "hac": (433, 389)}
"""What each of them counts."""
WHOLE = (1044, 910)
WORD = 8
"""Bytes of the shortest number that is looked for."""


class Run(NamedTuple):
    """A run that is over."""

    domains: Watched
    record: Record


def id_of(number: str) -> str:
    return f"{number}-{TOKEN}-0123456789ABCDEF"


def run(agreed: Study, tables: dict[str, Any], folder: Path) -> Run:
    """Run all domains on these tables, and record what each holds."""
    folder.mkdir(exist_ok=True)
    paths = {}
    for name, columns in tables.items():
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), paths[name])
    domains = Watched(folder / "domains", agreed, paths)
    with keys_at_hand():
        domains.run()
    record = domains.recorder.record
    record.add_files(PUBLIC, domains.out)
    record.add_files(READER, domains.exchange / RUN)
    return Run(domains, record)


def counted(folder: Path) -> Run:
    """Run the study in which what each column party counts is known."""
    everybody = sorted(person for people in PEOPLE.values() for person in people)
    ids = [id_of(number) for number, _, rows in everybody for _ in range(rows)]
    tables: dict[str, Any] = {"row": {"id": ids, "area": ["a"] * len(ids)}}
    for name, people in PEOPLE.items():
        kinds = [kind for _, kind, _ in people]
        tables[name] = {"id": [id_of(number) for number, *_ in people], "kind": kinds}
    return run(COUNTED, tables, folder)


def raw(things: Sequence[Thing]) -> Iterator[bytes]:
    for thing in things:
        value = thing.value
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            yield value.tobytes()
        elif isinstance(value, np.ndarray):
            yield repr(value.tolist()).encode()
        elif isinstance(value, int):
            size = max(WORD, value.bit_length() // 8 + 1)
            yield value.to_bytes(size, "little", signed=True)
        else:
            yield value if isinstance(value, bytes) else repr(value).encode()


def holders(record: Record, needles: Sequence[bytes]) -> set[str]:
    """Roles in whose disk, mailbox or memory one of these is."""
    roles = {thing.role for thing in record.things.values()}
    contents = {role: b"\0".join(set(raw(record.of(role)))) for role in roles}
    return {role for role in roles if any(needle in contents[role] for needle in needles)}


def pair(counts: tuple[int, int], slot_bits: int) -> list[bytes]:
    """Two counts as numbers of every kind beside each other, and packed."""
    packed = counts[0] | counts[1] << slot_bits
    kinds = ("<i8", ">i8", "<f8", ">f8", "<i4", ">i4")
    return [
        *(np.array(counts, kind).tobytes() for kind in kinds),
        b"%d, %d" % counts,
        packed.to_bytes(WORD, "little"),
        packed.to_bytes(WORD, "big"),
    ]


def decrypted(ran: Run) -> list[bytes]:
    """What the second column party decrypted, modulo B."""
    domains = ran.domains
    name = "aggregator-hac/000001.msg"
    keys = {name: identity.public for name, identity in domains.identities.items()}
    opened = open_message((domains.exchange / RUN / name).read_bytes(), name, Peers(keys))
    table = MaskedTable.decode(opened.payload, domains.study.digest)
    numbers = key_of(1)[0].decrypt(table.ciphertexts.reshape(-1, table.ciphertexts.shape[2]))
    modulus = domains.config("aggregator", "all").plan().packing.sum_modulus
    size = bytes_below(modulus)
    return [int(number % modulus).to_bytes(size, "little") for number in numbers]


def of_people(name: str) -> list[bytes]:
    """The id of one of a column party's people, in every form, and its hashes."""
    number = PEOPLE[name][0][0]
    found = encodings(number, id_of(number)) | hashed(number, id_of(number))
    return list(dict.fromkeys(found.values()))


@slow
def test_no_domain_holds_single_counts_residues_or_ids_of_others(tmp_path: Path) -> None:
    ran = counted(tmp_path)
    bits = ran.domains.config("aggregator", "all").plan().packing.slot_bits
    assert holders(ran.record, pair(SINGLE["jal"], bits)) == set()
    assert holders(ran.record, pair(SINGLE["hac"], bits)) == set()
    assert holders(ran.record, decrypted(ran)) == {"jal", "hac"}
    assert holders(ran.record, of_people("jal")) == {"row", "jal"}
    assert holders(ran.record, of_people("hac")) == {"row", "hac"}
    # The search finds what is there: what is published, noise being off.
    assert holders(ran.record, pair(WHOLE, bits)) >= {"row", "jal", "hac", PUBLIC}


@slow
def test_single_counts_without_masks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_mask_of_the_second(monkeypatch)
    ran = counted(tmp_path)
    bits = ran.domains.config("aggregator", "all").plan().packing.slot_bits
    assert holders(ran.record, pair(SINGLE["hac"], bits)) >= {"jal", "hac"}


@slow
def test_residues_and_ids_in_the_wrong_place_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second column party puts what it decrypted, and an id, beside its messages."""
    send = Mailbox.send
    decrypt = ColumnParty._residues
    seen: list[bytes] = []

    def noted(self: ColumnParty, masked: Any, told: Any, part: range) -> Any:
        numbers = decrypt(self, masked, told, part)
        if self.party == "hac":
            size = bytes_below(told.sum_modulus)
            seen.extend(int(number).to_bytes(size, "little") for number in numbers)
        return numbers

    def sending(self: Mailbox, receiver: str, kind: str, *args: Any, **place: Any) -> None:
        if (self.domain, kind) == ("hac", "residues"):
            self._exchange.put("extra/numbers", b"".join(seen))
            self._exchange.put("extra/person", b"before" + id_of("2").encode() + b"behind")
        send(self, receiver, kind, *args, **place)

    monkeypatch.setattr(ColumnParty, "_residues", noted)
    monkeypatch.setattr(Mailbox, "send", sending)
    ran = counted(tmp_path)
    assert holders(ran.record, decrypted(ran)) == {"jal", "hac", READER}
    assert holders(ran.record, of_people("hac")) == {"row", "hac", READER}


def people(tables: Tables, folder: Path) -> Run:
    """Run the study with these people in the tables."""
    made: dict[str, Any] = {}
    for name, ids in tables.items():
        column, labels = ("area", "ab") if name == "row" else ("kind", "xy")
        made[name] = {"id": ids, column: in_turn(labels, len(ids))}
    return run(STUDY, made, folder)


def told(folder: Path) -> dict[str, bool]:
    """Which adversaries name the row party's people, or those of the second column party.

    Each of them also reads the whole exchange.
    """
    asked, row = some_of_them(1)
    record = people({"row": row, "jal": asked, "hac": asked}, folder / "first").record
    adversaries = [("jal",), ("hac",), ("jal", "hac")]
    found = {
        " and ".join(names): names_some(record.of(*names, READER), asked, row)
        for names in adversaries
    }
    asked, hac = some_of_them(2)
    record = people({"row": asked, "jal": asked, "hac": hac}, folder / "second").record
    of_second = {name: names_some(record.of(name, READER), asked, hac) for name in ("row", "jal")}
    return found | {f"{name} of hac": named for name, named in of_second.items()}


@slow
def test_nobody_names_who_is_in_anothers_table(tmp_path: Path) -> None:
    assert not any(told(tmp_path).values())


@slow
def test_matrices_without_pads_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    found = told(tmp_path)
    assert all(found[name] for name in ("jal", "hac", "jal and hac", "row of hac"))
