"""Proofs of keys: what must hold for masks to hide everything, and keys for which it does not."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from math import gcd, prod
from pathlib import Path

import pytest
from gmpy2 import invert, is_prime, mpz, next_prime, powmod

from xstat_ray.crypto import key_proof
from xstat_ray.crypto.key_proof import KeyProof, challenges, check, prove
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.errors import ProtocolError

PATH = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((PATH / "key_proof.json").read_text())
KEY = json.loads((PATH / "paillier.json").read_text())["key"]
SMALL_FACTOR = "has a prime factor below 6,370"
NO_RESIDUE = "generator is not the n-th power of the number shown"
NO_ROOTS = "does not come with the n-th roots"


def fixed_key() -> PrivateKey:
    return PrivateKey(*(mpz(KEY[name], 16) for name in ("p", "q", "alpha", "beta", "y")))


def product(primes: list[mpz], bits: int = 2048) -> mpz:
    """Multiply `primes` with one more, so that the product has exactly `bits` bits."""
    rest = prod(primes)
    return rest * next_prime((mpz(3) << (bits - 2)) // rest)


def best_proof(n: mpz) -> tuple[PublicKey, KeyProof]:
    """What a key holder of bad faith can show: roots where there are any, a guess elsewhere.

    The modulus given is accepted as a public key; only the proof can tell what it is.
    """
    public = PublicKey(n, powmod(2, n, n * n))
    assert PublicKey.decode(public.encode()) == public
    return public, KeyProof(mpz(2), tuple(challenges(n)))


def test_the_vector_files_are_complete() -> None:
    made = runpy.run_path(str(PATH / "make_masking.py"))["vectors"]()
    assert made["key_proof"] == VECTORS


def test_the_proof_is_that_of_the_vectors() -> None:
    key = fixed_key()
    proof = prove(key)
    check(key.public, proof)
    assert [f"{z:x}" for z in challenges(key.public.n)] == VECTORS["challenges"]
    assert proof.encode(key.public).hex() == VECTORS["proof"]
    assert KeyProof.decode(key.public, bytes.fromhex(VECTORS["proof"])) == proof


def test_proofs_of_keys_of_every_size_hold(
    private_key: PrivateKey, private_key_3072: PrivateKey
) -> None:
    for key in (private_key, private_key_3072):
        proof = KeyProof.decode(key.public, prove(key).encode(key.public))
        assert proof == prove(key)
        check(PublicKey.decode(key.public.encode()), proof)


def test_challenges_are_apart_and_full_size(private_key: PrivateKey) -> None:
    n = private_key.public.n
    found = challenges(n)
    assert len(set(found) | set(challenges(n + 2))) == 22
    assert max(z.bit_length() for z in found) > n.bit_length() - 10
    assert len(found) == key_proof.ROOTS == 11
    assert 6370**11 > 2**128


@pytest.mark.parametrize("size", [0, 1, 11 * 256, 12 * 256 - 1, 12 * 256 + 1, 13 * 256])
def test_proofs_of_another_size_are_refused(size: int, private_key: PrivateKey) -> None:
    with pytest.raises(ProtocolError, match="wrong size"):
        KeyProof.decode(private_key.public, bytes(size))


def test_any_root_that_is_wrong_is_refused(private_key: PrivateKey) -> None:
    proof = prove(private_key)
    for place in range(11):
        for wrong in (proof.roots[place] + 1, private_key.public.n - proof.roots[place]):
            roots = [*proof.roots[:place], wrong, *proof.roots[place + 1 :]]
            with pytest.raises(ProtocolError, match=NO_ROOTS):
                check(private_key.public, replace(proof, roots=tuple(roots)))


def test_roots_out_of_range_or_missing_are_refused(private_key: PrivateKey) -> None:
    proof = prove(private_key)
    n = private_key.public.n
    for roots in (proof.roots[:10], (*proof.roots[:10], proof.roots[10] + n), (mpz(0),) * 11, ()):
        with pytest.raises(ProtocolError, match="roots out of range"):
            check(private_key.public, replace(proof, roots=roots))


def test_the_proof_of_another_key_is_refused(private_key: PrivateKey) -> None:
    other = fixed_key()
    with pytest.raises(ProtocolError, match=NO_RESIDUE):
        check(private_key.public, prove(other))
    # A root of the other key may not even be below this one's modulus.
    with pytest.raises(ProtocolError, match=f"{NO_ROOTS}|roots out of range"):
        check(private_key.public, replace(prove(private_key), roots=prove(other).roots))


def test_a_generator_that_encrypts_something_is_refused(private_key: PrivateKey) -> None:
    """With h = y^n (1 + n) whoever re-randomises adds the exponent to the count."""
    public = private_key.public
    marked = PublicKey(public.n, public.h * (1 + public.n) % public.n2)
    assert PublicKey.decode(marked.encode()) == marked
    proof = prove(private_key)
    for y in (proof.y, proof.y + public.n, mpz(0), mpz(1)):
        with pytest.raises(ProtocolError, match=NO_RESIDUE):
            check(marked, replace(proof, y=y))


@pytest.mark.parametrize("factor", [3, 7, 6367])
def test_a_small_factor_is_refused(factor: int) -> None:
    public, proof = best_proof(product([mpz(factor), next_prime(mpz(2) ** 1000)]))
    with pytest.raises(ProtocolError, match=SMALL_FACTOR):
        check(public, proof)


def test_the_least_factor_that_the_roots_are_enough_for_is_let_pass() -> None:
    """6,373 is prime and no smaller number from 6,370 on; whether roots exist decides."""
    primes = [mpz(6373), next_prime(mpz(2) ** 1000)]
    n = product(primes)
    primes.append(n // prod(primes))
    phi = prod(prime - 1 for prime in primes)
    assert gcd(n, phi) == 1
    roots = tuple(powmod(z, invert(n, phi), n) for z in challenges(n))
    check(PublicKey(n, powmod(3, n, n * n)), KeyProof(mpz(3), roots))


def with_a_factor_that_divides_another_less_one(p: mpz, bits: int) -> mpz:
    """A prime q of `bits` bits such that p divides q - 1."""
    k = ((mpz(3) << (bits - 2)) // p) & ~mpz(1)
    while not is_prime(k * p + 1):
        k += 2
    return k * p + 1


def bad_moduli() -> dict[str, mpz]:
    """Moduli with gcd(n, phi(n)) > 1, which decode as public keys all the same."""
    p = next_prime(mpz(2) ** 900)
    small = next_prime(mpz(2) ** 40)
    between = with_a_factor_that_divides_another_less_one(small, 900)
    return {
        "p divides q - 1": p * with_a_factor_that_divides_another_less_one(p, 2048 - 900),
        "three primes, one divides another less one": product([small, between]),
        "p squared times q": product([p, p]),
    }


@pytest.mark.parametrize("why", ["p divides q - 1", "three primes, one divides another less one",
                                 "p squared times q"])  # fmt: skip
def test_a_modulus_with_a_factor_in_common_with_its_order_is_refused(why: str) -> None:
    n = bad_moduli()[why]
    assert n.bit_length() == 2048
    public, proof = best_proof(n)
    with pytest.raises(ProtocolError, match=NO_ROOTS):
        check(public, proof)


def test_of_such_a_modulus_few_numbers_have_roots() -> None:
    """Small enough to count: 6,373 divides q - 1, and one in 6,373 of the units has a root."""
    p = 6373
    q = 12 * p + 1
    while not is_prime(q):
        q += 2 * p
    # Modulo q the n-th powers are those of order (q - 1) / p; modulo p all are n-th powers.
    powers = {pow(x, p * q, q) for x in range(1, q)}
    assert len(powers) == (q - 1) // p
    assert {pow(x, p * q, p) for x in range(1, p)} == set(range(1, p))


def test_masks_under_such_a_modulus_do_not_cover_the_group() -> None:
    """Why the proof is asked for: (M, rho) reach all of Z*_{n^2} exactly if the gcd is 1."""
    for primes, covers in (
        ((5, 7), True),
        ((3, 5, 17), True),
        ((3, 7), False),
        ((3, 5, 11), False),
    ):
        n = prod(primes)
        assert (gcd(n, prod(p - 1 for p in primes)) == 1) is covers
        units = [x for x in range(n) if gcd(x, n) == 1]
        residues = {pow(rho, n, n * n) for rho in units}
        masked = {(1 + m * n) * residue % n**2 for m in range(n) for residue in residues}
        assert (len(masked) == n * len(units)) is covers
