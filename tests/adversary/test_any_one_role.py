"""Several column parties: any one role against all the others, for two and for three of them.

A coin throws one of two worlds. What is published is the same in both, without noise, and so is the
table of the role that guesses; between the others something has changed places: what a party counts
by column, how many of whose people matched, or who paid how much. The role has everything that it
receives, holds and computes, and what is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.criterion import DRAWS, LEARN, Features, Guesses, guess_drawn
from tests.adversary.features import features
from tests.adversary.matching import learnt, namings
from tests.adversary.matrices import namings_of_matrices
from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import masks, matrices, shared_keys
from tests.adversary.planted.flags import without_randomness
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, RECEIVED, Record, Recorder, Thing
from tests.adversary.test_flags import of_ciphertexts
from tests.case import study
from tests.several import KEY_BITS, key_of, keys_at_hand
from tests.sizes import first, slow, thorough
from xstat_ray.crypto import oprf
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import OwnerEncryptor
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty

MOST = 60_000
NAMES = ("jal", "hac", "ana")
EACH = 12
"""People whom a party has in the row party's table, or who are in that table of a party's."""
OF_A_NAME = 8
"""Large numbers of one name that are looked into."""
Tables = Mapping[str, Mapping[str, list[Any]]]
Leak = Callable[[pytest.MonkeyPatch], None]


def study_of(parties: int) -> Study:
    """Make a study of areas by kinds, with fares."""
    column = {
        "parties": [{"name": name, "persons": 200} for name in NAMES[:parties]],
        "measures": [{"name": "fare", "low": 0, "high": MOST}],
    }
    return study(bounds={"rows": 1}, column=column)


def flags(people: Sequence[str], kinds: str, fares: Sequence[int] = (MOST // 2,)) -> dict[str, Any]:
    """Make a column party's table, with kinds and fares in turn."""
    paid = [fares[place % len(fares)] for place in range(len(people))]
    return {"id": list(people), "kind": in_turn(kinds, len(people)), "fare": paid}


def rows(people: Sequence[str]) -> dict[str, Any]:
    """Make the row party's table, with areas in turn."""
    return {"id": list(people), "area": in_turn("ab", len(people))}


@dataclass(frozen=True)
class Game:
    """Two worlds, and the roles that cannot tell which it is by what they had before."""

    worlds: tuple[Tables, Tables]
    roles: tuple[str, ...]


def games(parties: int) -> dict[str, Game]:
    """Make the games with so many column parties."""
    bystander = NAMES[2:parties]
    blocks = [NUMBERS[start : start + 2 * EACH] for start in range(0, 6 * EACH, 2 * EACH)]
    matched = [block[:EACH] for block in blocks]
    third = {name: flags(blocks[2], "x") for name in bystander}

    def with_kinds(of_jal: str, of_hac: str) -> Tables:
        people = [person for block in matched for person in block]
        parties = {"jal": flags(matched[0], of_jal), "hac": flags(matched[1], of_hac)}
        return {"row": rows(people), **parties, **third}

    def with_matches(of_jal: int) -> Tables:
        few = EACH + EACH // 2, EACH // 2
        numbers = few if of_jal else few[::-1]
        met = [*blocks[0][: numbers[0]], *blocks[1][: numbers[1]], *matched[2]]
        return {
            "row": rows(met),
            "jal": flags(blocks[0], "x"),
            "hac": flags(blocks[1], "x"),
            **third,
        }

    def with_fares(fares: Sequence[int]) -> Tables:
        people = [person for block in matched for person in block]
        parties = {"jal": flags(matched[0], "x"), "hac": flags(matched[1], "x", fares)}
        return {"row": rows(people), **parties, **third}

    return {
        "kinds": Game(
            (with_kinds("x", "y"), with_kinds("y", "x")), ("row", "aggregator", *bystander)
        ),
        "matches": Game((with_matches(1), with_matches(0)), ("jal", "hac", *bystander)),
        "fares": Game(
            (with_fares([0, 0, MOST, MOST]), with_fares([MOST // 2])),
            ("row", "aggregator", "jal", *bystander),
        ),
    }


def recorded(made: Study, tables: Tables, folder: Path, *roles: str) -> tuple[Record, Any]:
    """Play a run; returns what these roles had, and what is published."""
    folder.mkdir()
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, columns in tables.items():
        pq.write_table(pa.table(dict(columns)), paths[name])
    plan = make_plan(made, key_bits=KEY_BITS)
    row = paths.pop("row")
    with keys_at_hand(), Recorder(*roles).recording(NOBODY) as record:
        published = play(plan, row_table=row, column_table=paths, ledger=folder / "ledger")
    return record, published.values.tolist()


def slots_of_large_numbers(things: Sequence[Thing], packing: Packing) -> Features:
    """The slots of all numbers that are too large to be looked at as they are, modulo B."""
    found: dict[str, float] = {}
    times = Counter[str]()
    for thing in things:
        if not isinstance(thing.value, int) or thing.value < 1 << 40:
            continue
        times[thing.name] += 1
        if times[thing.name] <= OF_A_NAME:
            number = thing.value % int(packing.sum_modulus)
            for slot in range(packing.per_block):
                low = number >> packing.slot_bits * slot & ((1 << packing.slot_bits) - 1)
                found[f"{thing.name} #{times[thing.name]} slot {slot}"] = float(low)
    return found


def of_flags(things: Sequence[Thing]) -> Features:
    """What can be computed of the flags' ciphertexts with the public keys."""
    found: dict[str, float] = {}
    for number in range(len(NAMES)):
        public = key_of(number)[0].public
        for thing in things:
            value = thing.value
            if thing.kind == RECEIVED and isinstance(value, np.ndarray) and value.ndim == 3:
                of_key = of_ciphertexts(value.reshape(-1, value.shape[-1]), int(public.n))
                found |= {f"{thing.name}, key {number}, {name}": n for name, n in of_key.items()}
    return found


def seen_by(role: str, record: Record, packing: Packing) -> Features:
    """All that a role can make numbers of."""
    things = record.of(role)
    found = dict(features(things)) | dict(slots_of_large_numbers(things, packing))
    return found | dict(of_flags(things)) if role == "aggregator" else found


def guesses(parties: int, name: str, folder: Path) -> dict[str, Guesses]:
    """Let every role of a game guess the world."""
    made = study_of(parties)
    game = games(parties)[name]
    packing = make_plan(made, key_bits=KEY_BITS).packing
    coin = np.random.default_rng(7).integers(0, 2, DRAWS).tolist()
    drawn: dict[str, list[tuple[Features, int]]] = {role: [] for role in game.roles}
    published = []
    for number, world in enumerate([0, 1] * LEARN + coin):
        place = folder / str(number)
        record, told = recorded(made, game.worlds[world], place, *game.roles)
        published.append(told)
        for role in game.roles:
            drawn[role].append((seen_by(role, record, packing), world))
    assert all(told == published[0] for told in published)
    return {role: guess_drawn(draws, LEARN) for role, draws in drawn.items()}


CASES = [(2, "kinds"), (2, "matches"), (2, "fares"), (3, "kinds"), (3, "matches"), (3, "fares")]


@slow
@pytest.mark.parametrize(("parties", "name"), CASES)
def test_no_role_tells_what_it_is_not_to_know(parties: int, name: str, tmp_path: Path) -> None:
    found = guesses(parties, name, tmp_path)
    assert {role: made.beat(0.5) for role, made in found.items()} == dict.fromkeys(found, False)


def no_randomness(patch: pytest.MonkeyPatch) -> None:
    """Encrypt flags without randomness."""
    patch.setattr(OwnerEncryptor, "encrypt_indexed", without_randomness)


def debits_with_counts(patch: pytest.MonkeyPatch) -> None:
    """Tell the row party what a column party has in each column."""
    patch.setattr(ColumnParty, "tell_debit", shared_keys.debit_with_counts)
    patch.setattr(RowParty, "accept_debits", shared_keys.more_than_debits)


@slow
@pytest.mark.parametrize(
    ("leak", "parties", "name", "roles"),
    [
        (no_randomness, 2, "kinds", {"aggregator"}),
        (no_randomness, 3, "fares", {"aggregator"}),
        (debits_with_counts, 2, "kinds", {"row"}),
        (masks.of_the_first_party_alone, 2, "matches", {"jal", "hac"}),
        (masks.of_the_first_party_alone, 3, "matches", {"jal", "hac"}),
    ],
)
def test_with_a_leak_it_tells(
    leak: Leak,
    parties: int,
    name: str,
    roles: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leak(monkeypatch)
    found = guesses(parties, name, tmp_path)
    assert {role for role, made in found.items() if made.beat(0.5)} == roles


ASKED = 60


def named_by(parties: int, hidden: str, folder: Path) -> dict[str, bool]:
    """Whether a role names those of its people who are in the hidden table, by a coin each.

    All other parties have the same people.
    """
    draw = np.random.default_rng(len(hidden) + parties)
    pool = draw.permutation(NUMBERS).tolist()
    asked = pool[:ASKED]
    coin = draw.integers(0, 2, ASKED).astype(bool)
    both = [person for person, met in zip(asked, coin, strict=True) if met]
    strangers = pool[ASKED : 2 * ASKED - len(both)]
    some = draw.permutation(both + strangers).tolist()
    names = ("row", *NAMES[:parties])
    tables = {name: some if name == hidden else asked for name in names}
    made = {
        name: rows(people) if name == "row" else flags(people, "xy")
        for name, people in tables.items()
    }
    record, _ = recorded(study_of(parties), made, folder / hidden, *names, "aggregator")
    mine = frozenset(person.encode() for person in asked)
    truth = {person.encode() for person in both}
    found = {}
    for role in (*names, "aggregator"):
        if role != hidden:
            things = record.of(role)
            ways = [*namings(things, mine), *namings_of_matrices(things, mine)]
            found[role] = learnt(ways, truth)[1]
    return found


@thorough
@pytest.mark.parametrize(
    ("parties", "hidden"),
    first(
        1,
        [(3, "hac"), (2, "jal"), (2, "row"), (2, "hac"), (3, "row"), (3, "jal"), (3, "ana")],
        slow,
    ),
)
def test_no_role_names_its_people_in_anothers_table(
    parties: int, hidden: str, tmp_path: Path
) -> None:
    found = named_by(parties, hidden, tmp_path)
    assert not any(found.values()), found
    assert len(found) == parties + 1


@thorough
@pytest.mark.parametrize(("parties", "hidden"), first(1, [(3, "hac"), (2, "row")], slow))
def test_matrices_without_pads_name_them(
    parties: int, hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    found = named_by(parties, hidden, tmp_path)
    # Matrices go between the row party and each column party.
    told = {"row"} if hidden != "row" else set(NAMES[:parties])
    assert {role for role, named in found.items() if named} == told
