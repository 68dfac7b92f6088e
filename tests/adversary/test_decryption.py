"""An aggregator has the key holder decrypt what no encryption has made.

With the exponents of the subgroup, what comes out of such numbers would tell of the private key: where
c is any number, the values of c and of c (1 + n) differ by one that is c^alpha modulo p and c^beta
modulo q. The ordinary decryption gives every number of the group a value, and these two always
differ by one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gmpy2 import mpz, powmod

from tests.roles.test_key_holder import RELEASE, STUDY, masked_table
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.model.messages import MaskedTable
from xstat_ray.roles import KeyHolder


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(2048)


def forged(key: PrivateKey, chosen: mpz) -> MaskedTable:
    """Replace two ciphertexts of a good table by `chosen` and its product with 1 + n."""
    table = masked_table(key)
    ciphertexts = table.ciphertexts.copy()
    pair = [chosen, chosen * (1 + key.public.n) % key.public.n2]
    ciphertexts.reshape(-1, key.public.width)[:2] = to_rows(pair, key.public.width)
    return replace(table, ciphertexts=ciphertexts)


def test_what_the_key_holder_opens_tells_nothing_of_its_key(key):
    drawn = np.random.default_rng(1).integers(0, 256, (20, key.public.width), np.uint8)
    chosen = [mpz(3), key.public.n2 - 1, *(value % key.public.n2 for value in from_rows(drawn))]
    for number in chosen:
        holder = KeyHolder(STUDY, key)
        opened = holder.decrypt(forged(key, number), RELEASE, range(2))
        first, second = from_rows(opened.numbers.reshape(-1, key.public.width // 2)[:2])
        assert (second - first) % key.public.n == 1


def test_an_answer_would_tell_a_power_with_the_secret_exponent(key):
    """The leak planted: the values as they come out if the order of c is not looked at."""
    c = mpz(3)
    table = forged(key, c).ciphertexts.reshape(-1, key.public.width)
    values = []
    for number in from_rows(table[:2]):
        halves = []
        for prime, order in ((key.p, key.alpha), (key.q, key.beta)):
            square = prime * prime
            scale = powmod((powmod(1 + key.public.n, order, square) - 1) // prime, -1, prime)
            halves.append((powmod(number, order, square) - 1) // prime * scale % prime)
        values.append(halves)
    (first_p, first_q), (second_p, second_q) = values
    assert (second_p - first_p) % key.p == powmod(c, key.alpha, key.p) != 1
    assert (second_q - first_q) % key.q == powmod(c, key.beta, key.q) != 1
