"""Key generation for subgroup Paillier.

Primes p = 2*alpha*k + 1 and q = 2*beta*l + 1 with prime alpha and beta, so that the n-th residues
modulo n^2 have a subgroup of order alpha*beta in which short exponents are enough: Damgard, Jurik
and Nielsen (International Journal of Information Security, 2010) with the parameters of Ma, Han and
Wang (ACSAC 2021): |alpha*beta| = 448 bits at a security of 112 bits, 512 at 128.
"""

from __future__ import annotations

import secrets
from functools import cache
from math import gcd, isqrt

import numpy as np
from gmpy2 import is_prime, mpz, next_prime, powmod
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import SUBGROUP_BITS, PrivateKey
from xstat_ray.errors import PlanError

_ROUNDS = 40
_SIEVED = 1 << 13
_SMALL = 1 << 16


def generate(key_bits: int, constant_time: bool = False) -> PrivateKey:
    """A fresh key whose modulus has exactly `key_bits` bits, to be used in constant time or not.

    Raises:
        PlanError: the size is not one of 2048, 3072, 4096.
    """
    if key_bits not in SUBGROUP_BITS:
        raise PlanError(
            f"a key of {key_bits} bits cannot be made",
            key="crypto.key_bits",
            remedy="Use 2048 (the least that is safe), 3072 or 4096",
        )
    while True:
        alpha = _subgroup_prime(SUBGROUP_BITS[key_bits])
        beta = _subgroup_prime(SUBGROUP_BITS[key_bits])
        p = _modulus_prime(alpha, key_bits // 2)
        q = _modulus_prime(beta, key_bits // 2)
        if not is_sound(p, q, alpha, beta):
            continue
        y = _root_of_generator(p, q, alpha, beta)
        return PrivateKey(p, q, alpha, beta, y, constant_time=constant_time)


def is_sound(p: mpz, q: mpz, alpha: mpz, beta: mpz) -> bool:
    """Whether the primes of a modulus satisfy the conditions of the paper.

    The subgroup orders `alpha` and `beta` differ and occur once, p-1 and q-1 share no factor but 2
    and none with the modulus, and p and q lie far apart.
    """
    p_rest = (p - 1) // (2 * alpha)
    q_rest = (q - 1) // (2 * beta)
    coprime = (
        gcd(p - 1, q - 1) == 2
        and gcd(p_rest, alpha) == gcd(q_rest, beta) == 1
        and gcd(p * q, (p - 1) * (q - 1)) == 1
    )
    far_apart = abs(p - q).bit_length() > p.bit_length() - 100
    return alpha != beta and p % 4 == q % 4 == 3 and coprime and far_apart


def _subgroup_prime(bits: int) -> mpz:
    while True:
        prime = next_prime(mpz(secrets.randbits(bits) | 1 << (bits - 1)))
        if prime.bit_length() == bits:
            return prime


def _modulus_prime(order: mpz, bits: int) -> mpz:
    """A prime 2*order*k + 1 of `bits` bits, at least sqrt(2)*2^(bits-1).

    A product of two then has all bits. k is odd, searched upwards from a random start; candidates
    with a prime factor below 2^16 are sieved out first.
    """
    low = isqrt(1 << (2 * bits - 1)) // (2 * order) + 1
    high = (1 << bits) // (2 * order)
    while True:
        start = mpz(low + secrets.randbelow(int(high - low))) | 1
        for step in np.flatnonzero(sieve(2 * order * start + 1, 4 * order)).tolist():
            candidate = 2 * order * (start + 2 * step) + 1
            if candidate.bit_length() == bits and is_prime(candidate, _ROUNDS):
                return candidate


def sieve(first: mpz, stride: mpz) -> NDArray[np.bool_]:
    """Which of first + stride*j, j in [0, 2^13), have no small prime factor."""
    alive = np.ones(_SIEVED, bool)
    for prime in _small_primes():
        residue = int(stride % prime)
        if residue:
            alive[int(-first * pow(residue, -1, prime) % prime) :: prime] = False
    return alive


@cache
def _small_primes() -> list[int]:
    composite = np.zeros(_SMALL, bool)
    for i in range(2, isqrt(_SMALL) + 1):
        composite[i * i :: i] = True
    return [int(i) for i in np.flatnonzero(~composite) if i > 2]


def _root_of_generator(p: mpz, q: mpz, alpha: mpz, beta: mpz) -> mpz:
    """A number y of order alpha*beta modulo n.

    y^n modulo n^2 then has that order too, and generates the subgroup of the n-th residues.
    """
    n = p * q
    while True:
        drawn = mpz(secrets.randbelow(int(n) - 2) + 2)
        if gcd(drawn, n) != 1:
            continue
        by_p = powmod(drawn, (p - 1) // alpha, p)
        by_q = powmod(drawn, (q - 1) // beta, q)
        if by_p != 1 and by_q != 1:
            return by_p + p * ((by_q - by_p) * powmod(p, -1, q) % q)
