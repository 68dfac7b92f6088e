"""What a flag counts is hidden: the aggregator cannot tell one slot from another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import gmpy2
import numpy as np
from numpy.typing import NDArray

from tests.adversary.criterion import DRAWS, LEARN, Guesses, chance, guess_worlds
from tests.adversary.deployments import played
from tests.adversary.features import features
from tests.adversary.people import NUMBERS, People
from tests.adversary.planted.flags import without_randomness
from tests.adversary.recorder import RECEIVED, Thing
from tests.case import study
from tests.sizes import slow
from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey

STUDY = study(noise="laplace")
PEOPLE = People(NUMBERS[:10], NUMBERS[:10])


def of_ciphertexts(rows: NDArray[np.uint8], n: int) -> dict[str, float]:
    """What can be computed of ciphertexts with the public key alone."""
    numbers = [int(number) for number in from_rows(np.ascontiguousarray(rows))]
    parts = {
        "residue": [number % n for number in numbers],
        "quotient": [number // n for number in numbers],
        "whole": numbers,
    }
    found = {f"mean of byte {place}": float(mean) for place, mean in enumerate(rows.mean(axis=0))}
    for name, values in parts.items():
        found |= {
            f"{name} distinct": len(set(values)),
            f"{name} odd": sum(value & 1 for value in values),
            f"{name} Jacobi": sum(gmpy2.jacobi(value, n) for value in values),
            f"{name} bits": sum(value.bit_length() for value in values) / len(values),
        }
    return found


def game(folder: Path, key: PrivateKey) -> Guesses:
    """Let the aggregator guess whether everybody boarded under one kind or under the other."""
    number = iter(range(1000))

    def world(kind: str) -> dict[str, float]:
        place = folder / str(next(number))
        things = played(STUDY, PEOPLE.tables(kind=kind), place, "aggregator").of("aggregator")
        (rows,) = ciphertexts(things, key.public.width)
        received = features(thing for thing in things if thing.kind == RECEIVED)
        return received | of_ciphertexts(rows, int(key.public.n))

    return guess_worlds([partial(world, kind) for kind in "xy"], LEARN, DRAWS)


def ciphertexts(things: list[Thing], width: int) -> list[NDArray[np.uint8]]:
    """The ciphertexts of all flags that came."""
    found = {
        thing.value.tobytes(): thing.value.reshape(-1, width)
        for thing in things
        if thing.kind == RECEIVED and isinstance(thing.value, np.ndarray)
        if thing.value.ndim == 3 and len(thing.value) == 10
    }
    return list(found.values())


@slow
def test_the_aggregator_cannot_tell_what_a_flag_counts(tmp_path, paillier_key):
    assert not game(tmp_path, paillier_key).beat(chance())


@slow
def test_flags_without_randomness_tell_it(tmp_path, paillier_key, monkeypatch):
    monkeypatch.setattr(OwnerEncryptor, "encrypt_indexed", without_randomness)
    assert game(tmp_path, paillier_key).beat(chance())
