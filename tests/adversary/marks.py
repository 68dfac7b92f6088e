"""A key holder of bad faith marks its own flags, so that it recognises whoever matched.

It knows whose flag is whose, and its key. A mark multiplies up along with the ciphertext it is on,
and so shows in whatever the key holder reads of a cell, unless that is under a mask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import pytest
from gmpy2 import invert, mpz, next_prime, powmod
from numpy.typing import NDArray

from tests.adversary.matching import Naming
from tests.adversary.recorder import RECEIVED, Thing
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.envelope import MAGIC
from xstat_ray.model.messages import Flags, MaskedTable, Masks, Partial, RerandomisedTable
from xstat_ray.model.study import Study
from xstat_ray.roles import ColumnParty

Mark = Callable[[PrivateKey, mpz, int, Packing], mpz]
"""Encrypts a number of a person, by the person's number, with a mark."""
TABLES = (RerandomisedTable, MaskedTable, Masks, Partial)
"""Messages with ciphertexts that are not the key holder's."""
FREE_BITS = 63
"""Bits above the slots, but for the sign."""
SHARE_BITS = 128
"""Bits of a share of the noise, which is far wider than a slot."""
MARK_BITS = 8
"""Between two marks in a plaintext."""


def primes(count: int) -> list[mpz]:
    """The first odd primes."""
    found = [mpz(3)]
    while len(found) < count:
        found.append(next_prime(found[-1]))
    return found


PRIMES = primes(200)
"""Marks of persons in the randomness of their flags."""


def in_the_randomness(key: PrivateKey, number: mpz, person: int, packing: Packing) -> mpz:
    """Encrypt with the person's prime in the place of a random number."""
    del packing
    public = key.public
    return (1 + number * public.n) * powmod(PRIMES[person], public.n, public.n2) % public.n2


def above_the_slots(key: PrivateKey, number: mpz, person: int, packing: Packing) -> mpz:
    """Set a bit above the last slot, of which each person has another one."""
    public = key.public
    marked = number + (mpz(1) << first_free(packing) + MARK_BITS * person)
    return (1 + marked * public.n) * powmod(public.h, 3, public.n2) % public.n2


def first_free(packing: Packing) -> int:
    """The lowest bit that neither slots nor the row party's share of the noise reach."""
    return packing.slot_bits * packing.per_block + SHARE_BITS


def bad_key(key: PrivateKey) -> PrivateKey:
    """A key of the same primes whose h is -1: what others multiply with it hides nothing.

    Minus one is an n-th residue, so that the proof of the key holds.
    """
    return PrivateKey(key.p, key.q, key.alpha, key.beta, key.public.n - 1)


def mark_flags(patch: pytest.MonkeyPatch, mark: Mark) -> None:
    """Let the column party send flags with marks in the place of those that it should send."""
    honest = ColumnParty.emit

    def emit(party: ColumnParty, batch: int, part: int, rows: range, packing: Packing) -> Flags:
        flags = honest(party, batch, part, rows, packing)
        known = _known(party)
        key = party._private_key
        numbers = key.decrypt(flags.ciphertexts[:, 0])
        marked = [
            mark(key, number, known[tag.tobytes()], packing)
            for number, tag in zip(numbers, flags.tags, strict=True)
        ]
        ciphertexts = to_rows(marked, key.public.width)
        return replace(flags, ciphertexts=ciphertexts.reshape(flags.ciphertexts.shape))

    patch.setattr(ColumnParty, "emit", emit)


def _known(party: Any) -> dict[bytes, int]:
    """The number of the person behind each tag."""
    tags = party.tags(party._person, party._period)
    return {tag.tobytes(): int(who) for tag, who in zip(tags, party._person, strict=True)}


def namings(
    things: Iterable[Thing], key: PrivateKey, packing: Packing, persons: Collection[bytes]
) -> list[Naming]:
    """All ways in which the key holder can read its marks in tables that it was given.

    Args:
        things: what it had.
        key: its key.
        packing: of the slots.
        persons: ids of its people, by their numbers.
    """
    found = []
    for table in tables(things, key):
        numbers = [int(number) for number in key.decrypt(table)]
        readings = {
            "exact product": [
                _exactly(root, int(key.public.n), len(persons)) for root in roots(key, table)
            ],
            "divisor": [_divisors(root, len(persons)) for root in roots(key, table)],
            "bit": [_bits(number, first_free(packing), len(persons)) for number in numbers],
        }
        for name, cells in readings.items():
            numbers_of = frozenset().union(*cells)
            named = frozenset(one for number, one in enumerate(persons) if number in numbers_of)
            found.append(Naming((name, "marks"), frozenset(persons), named))
    return found


def tables(things: Iterable[Thing], key: PrivateKey) -> list[NDArray[np.uint8]]:
    """(N, width) rows of all tables of ciphertexts that a role was given."""
    return [
        thing.value.reshape(-1, key.public.width)
        for thing in things
        if thing.kind == RECEIVED and isinstance(thing.value, np.ndarray)
        if thing.value.dtype == np.uint8 and thing.value.shape[-1] == key.public.width
    ]


def tables_in_messages(
    things: Iterable[Thing], study: Study, key: PrivateKey
) -> list[NDArray[np.uint8]]:
    """(N, width) rows of all tables in messages that a role can read, be they for it or not."""
    found = []
    for thing in things:
        payload = payload_of(thing.value) if isinstance(thing.value, bytes) else b""
        for kind in TABLES:
            try:
                message = kind.decode(payload, study.digest)
            except ProtocolError:
                continue
            found.append(message.ciphertexts.reshape(-1, key.public.width))
    return found


def payload_of(data: bytes) -> bytes:
    """What is in the file of a message between domains; other bytes as they are."""
    fixed = len(MAGIC) + 8
    if not data.startswith(MAGIC):
        return data
    header = data[fixed : fixed + int.from_bytes(data[fixed - 4 : fixed], "little")]
    return data[-json.loads(header)["size"] :]


def plain(found: Sequence[NDArray[np.uint8]], key: PrivateKey) -> int:
    """How many numbers can be read that lie in the slots: counts, with noise or without.

    Each ciphertext is decrypted; it is divided by the one in the same place of each other table, and
    by the first of its own. Uniform numbers have bits above the slots, but for one of 2^63.
    """
    n = key.public.n
    different = {table.tobytes(): table for table in found}.values()
    numbers = [key.decrypt(table) for table in different]
    read = [list(of_table) for of_table in numbers]
    read += [[(number - first) % n for number in rest] for first, *rest in numbers]
    for one, other in combinations(numbers, 2):
        if len(one) == len(other):
            read.append([(a - b) % n for a, b in zip(one, other, strict=True)])
    return sum(min(number, n - number) < n >> FREE_BITS for part in read for number in part)


def roots(key: PrivateKey, table: NDArray[np.uint8]) -> list[int]:
    """What was raised to the power of n in every ciphertext, modulo n."""
    n = key.public.n
    exponent = invert(n, (key.p - 1) * (key.q - 1))
    return [int(powmod(number, exponent, n)) for number in from_rows(table)]


def _divisors(root: int, persons: int) -> set[int]:
    return {number for number in range(persons) if root % PRIMES[number] == 0}


def _exactly(root: int, n: int, persons: int) -> set[int]:
    """Persons whose primes make up a root, or minus it, and nothing else does."""
    for candidate in (root, n - root):
        found = _divisors(candidate, persons)
        if prod(int(PRIMES[number]) for number in found) == candidate:
            return found
    return set()


def _bits(number: int, first: int, persons: int) -> set[int]:
    number += 1 << first - 1  # so that the sum of slots below zero borrows nothing from the marks
    marks = (1 << MARK_BITS) - 1
    return {person for person in range(persons) if number >> first + MARK_BITS * person & marks}
