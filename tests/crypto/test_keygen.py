from __future__ import annotations

from math import gcd, lcm

import pytest
from gmpy2 import is_prime, mpz, powmod

from xstat_ray.crypto import keygen
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.errors import PlanError


def check(key: PrivateKey, key_bits: int, order_bits: int) -> None:
    p = key.p
    q = key.q
    alpha = key.alpha
    beta = key.beta
    n = key.public.n
    h = key.public.h
    assert n == p * q
    assert (n.bit_length(), key.public.key_bits, key.public.width) == (
        key_bits,
        key_bits,
        key_bits // 4,
    )
    assert p.bit_length() == q.bit_length() == key_bits // 2
    assert alpha.bit_length() == beta.bit_length() == order_bits
    assert all(is_prime(prime, 50) for prime in (p, q, alpha, beta))
    assert (p - 1) % alpha == (q - 1) % beta == 0
    assert (p - 1) % alpha**2 and (q - 1) % beta**2
    assert alpha != beta
    assert p % 4 == q % 4 == 3
    assert gcd(p - 1, q - 1) == 2
    assert gcd(n, (p - 1) * (q - 1)) == 1
    assert abs(p - q) > 1 << (key_bits // 2 - 100)
    n2 = n * n
    assert 1 < h < n2
    assert 1 < key.y < n
    assert h == powmod(key.y, n, n2)
    # The order divides alpha * beta, both prime, and is none of 1, alpha and beta.
    assert powmod(h, alpha * beta, n2) == 1
    assert powmod(h, alpha, n2) != 1 != powmod(h, beta, n2)
    # The n-th residues are exactly the elements whose order divides lambda; 1 + n is none.
    assert powmod(h, lcm(p - 1, q - 1), n2) == 1 != powmod(1 + n, lcm(p - 1, q - 1), n2)


def test_a_key_of_2048_bits(private_key: PrivateKey) -> None:
    check(private_key, 2048, 224)


def test_a_key_of_3072_bits(private_key_3072: PrivateKey) -> None:
    check(private_key_3072, 3072, 256)


@pytest.mark.slow
def test_a_key_of_4096_bits() -> None:
    check(generate(4096), 4096, 256)


@pytest.mark.slow
def test_every_key_of_many_is_sound() -> None:
    for _ in range(30):
        check(generate(2048), 2048, 224)


def test_keys_share_nothing(private_key: PrivateKey) -> None:
    other = generate(2048)
    check(other, 2048, 224)
    parts = [
        number
        for key in (private_key, other)
        for number in (key.p, key.q, key.alpha, key.beta, key.y, key.public.h)
    ]
    assert len(set(parts)) == 12


def test_the_other_side_accepts_the_keys(
    private_key: PrivateKey, private_key_3072: PrivateKey
) -> None:
    for public in (private_key.public, private_key_3072.public):
        assert PublicKey.decode(public.encode()) == public


@pytest.mark.parametrize("key_bits", [0, 1024, 2000, 2047, 2049, 8192])
def test_other_sizes_are_refused(key_bits: int) -> None:
    with pytest.raises(
        PlanError, match=rf"a key of {key_bits} bits.*crypto\.key_bits.*Use 2048"
    ) as caught:
        generate(key_bits)
    assert caught.value.key == "crypto.key_bits"


@pytest.mark.parametrize(
    ("why", "primes", "sound"),
    [
        ("23 = 2*11 + 1 and 71 = 2*7*5 + 1", (23, 71, 11, 7), True),
        ("the subgroups have the same order", (23, 463, 11, 11), False),
        ("11 divides both", (23, 67, 11, 3), False),
        ("29 is 1 modulo 4", (29, 23, 7, 11), False),
        ("7 divides 491 - 1 twice", (23, 491, 11, 7), False),
        ("11 divides 727 - 1 twice", (727, 71, 11, 7), False),
        ("23 divides 47 - 1", (23, 47, 11, 23), False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_primes_that_do_not_fit_are_thrown_away(
    why: str, primes: tuple[int, ...], sound: bool
) -> None:
    assert keygen.is_sound(*map(mpz, primes)) is sound


def test_primes_too_close_to_each_other_are_thrown_away() -> None:
    # Not primes, but all else that is asked of them holds, so only their distance decides.
    p = mpz(22 * (2**296 + 1) + 1)
    q = mpz(14 * (2**296 + 1) + 1)
    close = next(q for q in range(p + 4, p + 10**5, 4) if q % 7 == 1 and _fits(p, q))
    far = next(q for q in range(q, q + 10**5, 4) if q % 7 == 1 and _fits(p, q))
    assert not keygen.is_sound(p, mpz(close), mpz(11), mpz(7))
    assert keygen.is_sound(p, mpz(far), mpz(11), mpz(7))


def _fits(p: int, q: int) -> bool:
    return gcd(p - 1, q - 1) == 2 and gcd(p * q, (p - 1) * (q - 1)) == 1 and (q - 1) % 49 != 0


def test_the_sieve_removes_exactly_the_multiples_of_small_primes() -> None:
    first = mpz(2**61 + 1)
    stride = mpz(4 * 1_000_003)
    kept = keygen.sieve(first, stride)
    small = [i for i in range(3, 2**16, 2) if is_prime(i)]
    for step in range(0, len(kept), 37):
        assert kept[step] == all((first + step * stride) % prime for prime in small)
