"""The values of measures are hidden: no other role can tell what somebody paid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.adversary.criterion import DRAWS, LEARN, Features, Guesses, chance, guess_worlds
from tests.adversary.deployments import options_of, played, sources_of
from tests.adversary.features import features
from tests.adversary.people import NUMBERS, People
from tests.adversary.planted.flags import without_randomness
from tests.adversary.planted.noise import all_of_one_party
from tests.adversary.recorder import RECEIVED
from tests.adversary.test_flags import ciphertexts, of_ciphertexts
from tests.case import study
from tests.sizes import slow, thorough
from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients
from xstat_ray.protocol import play
from xstat_ray.roles import RowParty

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


@thorough
def test_it_reads_them_all_where_there_is_no_randomness(tmp_path, paillier_key, monkeypatch):
    monkeypatch.setattr(OwnerEncryptor, "encrypt_indexed", without_randomness)
    assert read_values(tmp_path, paillier_key, FARES) == sorted(FARES)


def worlds_of_the_aggregator(folder: Path, key: PrivateKey) -> list[Callable[[], Features]]:
    """Make two worlds: in one everybody has paid nothing, in the other as much as can be."""
    number = iter(range(1000))

    def world(fare: int) -> Features:
        place = folder / str(next(number))
        things = played(STUDY, tables([fare] * 10), place, "aggregator").of("aggregator")
        (rows,) = ciphertexts(things, key.public.width)
        received = features(thing for thing in things if thing.kind == RECEIVED)
        return received | of_ciphertexts(rows, int(key.public.n))

    return [partial(world, fare) for fare in (0, MOST)]


@slow
def test_the_aggregator_cannot_tell_what_all_have_paid(tmp_path, paillier_key):
    worlds = worlds_of_the_aggregator(tmp_path, paillier_key)
    assert not guess_worlds(worlds, LEARN, DRAWS).beat(chance())


def sums_of_the_row_party(folder: Path, fare: int, patch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Play a release in which one has paid this and all others the middle of the bounds.

    Returns:
        What the row party reads as the sum over all cells, and the same less its share of the noise.
    """
    found = []
    honest = RowParty.unmask

    def unmask(self: RowParty, sealed: bytes, packing: Packing) -> Coefficients:
        opened = honest(self, sealed, packing)
        sums = np.s_[:, STUDY.slots :]
        low, high = (int(limb[sums].sum()) for limb in self._noise)
        whole = int(opened.values[sums].sum())
        found.append((whole, whole - low - (high << 32)))
        return opened

    sources = sources_of(tables([fare] + [MOST // 2] * 9), folder, {})
    with patch.context() as inside:
        inside.setattr(RowParty, "unmask", unmask)
        play(
            options_of(folder).plan(STUDY),
            row_table=sources["row"].table,
            column_table=sources["column"].table,
            ledger=folder / "ledger.sqlite",
        )
    ((whole, left),) = found
    return whole, left


def guesses_of_the_row_party(folder: Path, patch: pytest.MonkeyPatch) -> list[Guesses]:
    """Let the row party guess by the sign of both numbers whether that one paid much or nothing."""
    coin = np.random.default_rng(3).integers(0, 2, DRAWS).tolist()
    right = np.array(
        [
            [
                (number > 0) == world
                for number in sums_of_the_row_party(folder / str(draw), world * MOST, patch)
            ]
            for draw, world in enumerate(coin)
        ]
    )
    return [Guesses(int(of_number.sum()), DRAWS) for of_number in right.T]


@slow
def test_nor_the_row_party_what_one_has_paid_by_the_table_and_its_share_of_the_noise(
    tmp_path, monkeypatch
):
    by_table, with_share = guesses_of_the_row_party(tmp_path, monkeypatch)
    assert not by_table.beat(chance(EPSILON, 1e-9))
    assert not with_share.beat(chance(EPSILON, 1e-9))


@slow
def test_a_row_party_whose_share_is_all_the_noise_can_tell(tmp_path, monkeypatch):
    all_of_one_party(monkeypatch, "row")
    by_table, with_share = guesses_of_the_row_party(tmp_path, monkeypatch)
    assert not by_table.beat(chance(EPSILON, 1e-9))
    assert with_share.beat(chance(EPSILON, 1e-9))
