"""The values of measures are hidden: no other role can tell what somebody paid."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tests.adversary.criterion import DRAWS, LEARN, Guesses, chance, guess_worlds
from tests.adversary.deployments import options_of, played
from tests.adversary.features import features
from tests.adversary.people import NUMBERS, People
from tests.adversary.planted.flags import without_randomness
from tests.adversary.planted.noise import all_of_one_party
from tests.adversary.recorder import RECEIVED
from tests.adversary.test_flags import ciphertexts, of_ciphertexts
from tests.case import study
from tests.sizes import slow
from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey
from xstat_ray.errors import ProtocolError

MOST = 60_000
EPSILON = 0.1
STUDY = study(
    noise="laplace",
    column={"measures": [{"name": "fare", "low": 0, "high": MOST}]},
    privacy={"epsilon": str(EPSILON)},
)
PEOPLE = People(NUMBERS[:10], NUMBERS[:10])


def tables(fares: list[int]):
    """Ten people in both tables, with these fares."""
    made = PEOPLE.tables()
    made["column"]["fare"] = fares
    return made


def read_values(folder: Path, key: PrivateKey, fares: list[int]) -> list[int]:
    """What the aggregator reads of the fares, if it takes ciphertexts for bare plaintexts.

    A ciphertext is (1 + m n) r mod n^2. Where r is 1, its quotient by n is m.
    """
    things = played(STUDY, tables(fares), folder, "aggregator").of("aggregator")
    (rows,) = ciphertexts(things, key.public.width)
    packing = options_of(folder).plan(STUDY).packing
    found = []
    for number in from_rows(np.ascontiguousarray(rows)):
        try:
            values = packing.unpack_signed([number // key.public.n], key.public.n)[0]
        except ProtocolError:
            continue
        counts, sums = np.split(values, 2)
        if counts.sum() == 1:
            found.append(int(sums.sum()) + MOST // 2)
    return sorted(found)


FARES = [0, 60_000, 30_000, 29_999, 12, 345, 6_789, 54_321, 1, 59_999]


def test_the_aggregator_reads_no_value_out_of_flags(tmp_path, paillier_key):
    assert read_values(tmp_path, paillier_key, FARES) == []


def test_it_reads_them_all_where_there_is_no_randomness(tmp_path, paillier_key, monkeypatch):
    monkeypatch.setattr(OwnerEncryptor, "encrypt_indexed", without_randomness)
    assert read_values(tmp_path, paillier_key, FARES) == sorted(FARES)


def game(folder: Path, key: PrivateKey, role: str, changed: int) -> Guesses:
    """Let a role guess whether some paid nothing or as much as can be.

    Args:
        folder: for the runs.
        key: of the column party.
        role: who guesses, by everything that it had.
        changed: how many people paid that; the others paid the middle.
    """
    number = iter(range(1000))

    def world(fare: int) -> dict[str, float]:
        fares = [fare] * changed + [MOST // 2] * (10 - changed)
        things = played(STUDY, tables(fares), folder / str(next(number)), role).of(role)
        found = features(things)
        if role == "aggregator":
            (rows,) = ciphertexts(things, key.public.width)
            received = features(thing for thing in things if thing.kind == RECEIVED)
            found = received | of_ciphertexts(rows, int(key.public.n))
        return found

    return guess_worlds([partial(world, fare) for fare in (0, MOST)], LEARN, DRAWS)


@slow
def test_the_aggregator_cannot_tell_what_all_have_paid(tmp_path, paillier_key):
    assert not game(tmp_path, paillier_key, "aggregator", 10).beat(chance())


@slow
def test_nor_the_row_party_what_one_has_paid_who_is_alone_in_a_cell(tmp_path, paillier_key):
    assert not game(tmp_path, paillier_key, "row", 1).beat(chance(EPSILON, 1e-9))


@slow
def test_a_row_party_that_knows_the_noise_can_tell(tmp_path, paillier_key, monkeypatch):
    all_of_one_party(monkeypatch, "row")
    assert game(tmp_path, paillier_key, "row", 1).beat(chance(EPSILON, 1e-9))
