"""Masks: what they encrypt, that they are uniform, and that they hide what is under a bad key."""

from __future__ import annotations

import json
import runpy
from math import prod
from pathlib import Path

import numpy as np
import phe
import pytest
from gmpy2 import gcd, invert, mpz, next_prime, powmod
from scipy.stats import chi2

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.masking import (
    SEED_BYTES,
    MaskEncryptor,
    add,
    check_commitment,
    commitment,
    draw_seed,
    mask_numbers,
    subtract,
)
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey, PublicEncryptor, PublicKey
from xstat_ray.crypto.sums import multiply
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import VARIABLE

PATH = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((PATH / "masking.json").read_text())
KEY = json.loads((PATH / "paillier.json").read_text())["key"]
SEED = bytes(range(SEED_BYTES))


@pytest.fixture(scope="module")
def fixed_public() -> PublicKey:
    return PublicKey(mpz(KEY["n"], 16), mpz(KEY["h"], 16))


# Vectors


def test_the_vector_file_is_complete() -> None:
    assert runpy.run_path(str(PATH / "make_masking.py"))["vectors"]()["masking"] == VECTORS


@pytest.mark.parametrize("case", VECTORS["masks"], ids=lambda case: case["seed"][:4])
def test_mask_numbers_and_commitments_are_those_of_the_vectors(
    case: dict[str, object], fixed_public: PublicKey
) -> None:
    seed = bytes.fromhex(str(case["seed"]))
    assert commitment(seed).hex() == case["commitment"]
    for row, text in case["numbers"].items():
        assert mask_numbers(seed, fixed_public.n, range(int(row), int(row) + 1)) == [mpz(text, 16)]


def test_ciphertexts_are_those_of_the_vectors(fixed_public: PublicKey) -> None:
    cases = VECTORS["ciphertexts"]
    rho = to_rows([mpz(case["rho"], 16) for case in cases], 256)
    made = MaskEncryptor(fixed_public, 4).encrypt([mpz(case["m"], 16) for case in cases], rho)
    assert (made.dtype, made.shape) == (np.uint8, (4, 512))
    assert [row.tobytes().hex() for row in made] == [case["row"] for case in cases]


# Mask numbers


def test_any_part_of_the_numbers_comes_by_itself(fixed_public: PublicKey) -> None:
    n = fixed_public.n
    whole = mask_numbers(SEED, n, range(300))
    assert len(set(whole)) == 300
    assert mask_numbers(SEED, n, range(0)) == []
    for part in (range(1), range(7, 9), range(250, 300)):
        assert mask_numbers(SEED, n, part) == whole[part.start : part.stop]
    assert not set(whole) & set(mask_numbers(bytes(SEED_BYTES), n, range(300)))


@pytest.mark.parametrize("n", [mpz(2) ** 2047 + 9, mpz(3) << 2046 | 1, mpz(2) ** 2048 - 1])
def test_mask_numbers_are_uniform_below_n(n: mpz) -> None:
    """Chi-square of 256 equal parts, rejected in both directions once in two million keys."""
    numbers = mask_numbers(SEED, n, range(20_000))
    assert 0 <= min(numbers) < n >> 8
    assert n - (n >> 8) < max(numbers) < n
    for parts in (
        np.array([int(256 * number // n) for number in numbers]),
        np.array([int(number % 256) for number in numbers]),
    ):
        counts = np.bincount(parts, minlength=256)
        statistic = float(((counts - len(numbers) / 256) ** 2).sum() / (len(numbers) / 256))
        assert chi2.ppf(1e-7, 255) < statistic < chi2.ppf(1 - 1e-7, 255)


def test_adding_and_subtracting_wrap_around_n() -> None:
    n = mpz(2) ** 2047 + 9
    numbers = [mpz(0), n - 1, mpz(5)]
    masks = [n - 1, n - 1, mpz(0)]
    assert add(numbers, masks, n) == [n - 1, n - 2, 5]
    assert subtract(add(numbers, masks, n), masks, n) == numbers
    assert subtract(numbers, masks, n) == [1, 0, 5]
    for function in (add, subtract):
        with pytest.raises(ValueError, match="zip"):
            function(numbers, masks[:2], n)


def test_a_commitment_is_to_one_seed() -> None:
    seed = draw_seed()
    assert len(seed) == SEED_BYTES and seed != draw_seed()
    committed = commitment(seed)
    check_commitment(committed, seed)
    for wrong in (bytes(SEED_BYTES), seed[:-1], seed + b"\0", b""):
        with pytest.raises(ProtocolError, match="not the one that was committed to"):
            check_commitment(committed, wrong)
    with pytest.raises(ProtocolError, match="not the one that was committed to"):
        check_commitment(committed[:-1], seed)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_seeds_of_another_size_are_refused(size: int, fixed_public: PublicKey) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mask_numbers(bytes(size), fixed_public.n, range(1))
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(bytes(size))


# Ciphertexts


def test_masked_sums_open_to_uniform_numbers_and_without_the_mask_to_the_sum(
    private_key: PrivateKey,
) -> None:
    public = private_key.public
    n = public.n
    counts = [mpz(0), mpz(1), n - 1, mpz(2) ** 1900, *map(mpz, range(7))]
    shares = [mpz(3), n - 1, mpz(1), n - 2**1900, *map(mpz, range(7))]
    masks = mask_numbers(SEED, n, range(len(counts)))
    table = OwnerEncryptor(private_key, len(counts)).encrypt(counts)
    sent = MaskEncryptor(public, len(counts)).encrypt(add(masks, shares, n))
    opened = private_key.decrypt(multiply(public, table, sent))
    assert opened == [(c + s + m) % n for c, s, m in zip(counts, shares, masks, strict=True)]
    assert subtract(opened, masks, n) == [(c + s) % n for c, s in zip(counts, shares, strict=True)]
    stock = phe.PaillierPrivateKey(
        phe.PaillierPublicKey(int(n)), int(private_key.p), int(private_key.q)
    )
    assert [stock.raw_decrypt(int(value)) for value in from_rows(sent)] == add(masks, shares, n)


@pytest.mark.parametrize("count", [0, 1, 8, 17])
def test_randomness_is_fresh_and_full_size(count: int, private_key: PrivateKey) -> None:
    public = private_key.public
    encryptor = MaskEncryptor(public, count)
    made = [from_rows(encryptor.encrypt([mpz(7)] * count)) for _ in range(2)]
    assert len({*made[0], *made[1]}) == 2 * count
    order = private_key.alpha * private_key.beta
    for value in (*made[0], *made[1]):
        residue = value * invert(1 + 7 * public.n, public.n2) % public.n2
        # An n-th residue, and not in the subgroup that h generates.
        assert powmod(residue, (private_key.p - 1) * (private_key.q - 1), public.n2) == 1
        assert powmod(residue, order, public.n2) != 1


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_change_nothing(
    threads: str, fixed_public: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, threads)
    numbers = mask_numbers(SEED, fixed_public.n, range(33))
    rho = to_rows(mask_numbers(bytes(32), fixed_public.n, range(33)), 256)
    made = MaskEncryptor(fixed_public, 33).encrypt(numbers, rho)
    n2 = fixed_public.n2
    assert from_rows(made) == [
        (1 + m * fixed_public.n) * powmod(r, fixed_public.n, n2) % n2
        for m, r in zip(numbers, from_rows(rho), strict=True)
    ]


def test_numbers_out_of_range_and_randomness_of_another_shape_are_refused(
    fixed_public: PublicKey,
) -> None:
    encryptor = MaskEncryptor(fixed_public, 2)
    for wrong in (mpz(-1), fixed_public.n, fixed_public.n2):
        with pytest.raises(ValueError, match=r"not in \[0, n\)"):
            encryptor.encrypt([mpz(1), wrong])
    for shape in ((1, 256), (2, 255), (2, 512)):
        with pytest.raises(ValueError, match="a row of 256 bytes"):
            encryptor.encrypt([mpz(1), mpz(2)], np.ones(shape, np.uint8))


# A key of bad faith. Its owner gives each person's flag a randomness of its own, q_i^n with the
# i-th prime q_i, and an h of order 2: whoever re-randomises by powers of h changes the sign alone.
# From the product of a cell's flags it takes the n-th root, and reads off who is in the cell.


class BadKey:
    """Three primes, h = -1; all else as an honest key."""

    def __init__(self) -> None:
        primes = [next_prime(mpz(2) ** 700), next_prime(mpz(2) ** 701)]
        primes.append(next_prime((mpz(3) << 2046) // prod(primes)))
        self.n = prod(primes)
        self.phi = prod(prime - 1 for prime in primes)
        self.public = PublicKey(self.n, self.n**2 - 1)
        assert gcd(self.n, self.phi) == 1
        assert PublicKey.decode(self.public.encode()) == self.public

    def flags(self, people: list[int]) -> np.ndarray:
        """A cell: the product of the flags of these people."""
        product = mpz(1)
        for person in people:
            product = product * (1 + self.n) * powmod(PRIMES[person], self.n, self.n**2) % self.n**2
        return to_rows([product], self.public.width)

    def people_in(self, ciphertext: np.ndarray) -> list[int] | None:
        """The attack: the people whose primes make up the randomness; None if it fails."""
        (c,) = from_rows(ciphertext)
        root = powmod(c, invert(self.n, self.phi), self.n)
        for candidate in (root, self.n - root):
            found = [person for person, prime in enumerate(PRIMES) if candidate % prime == 0]
            if candidate == prod(PRIMES[person] for person in found):
                return found
        return None


PRIMES = [mpz(q) for q in range(3, 300) if all(q % d for d in range(2, q))]
PEOPLE = [1, 4, 5, 17, 40]


@pytest.fixture(scope="module")
def bad_key() -> BadKey:
    return BadKey()


def test_marked_randomness_is_read_through_masks_by_powers_of_h(bad_key: BadKey) -> None:
    """The leak planted: the mask is right in its number, and its randomness is a power of h."""
    public = bad_key.public
    cell = bad_key.flags(PEOPLE)
    again = multiply(public, cell, PublicEncryptor(public, 1).encrypt([0]))
    assert bad_key.people_in(again) == PEOPLE
    mask = PublicEncryptor(public, 1).encrypt(mask_numbers(SEED, public.n, range(1)))
    assert bad_key.people_in(multiply(public, again, mask)) == PEOPLE


@pytest.mark.parametrize("planned", [20, 10_000], ids=["powers", "tables"])
def test_nothing_is_read_through_full_size_randomness(planned: int, bad_key: BadKey) -> None:
    public = bad_key.public
    cell = bad_key.flags(PEOPLE)
    masks = MaskEncryptor(public, planned).encrypt(mask_numbers(SEED, public.n, range(20)))
    for row in range(20):
        assert bad_key.people_in(multiply(public, cell, masks[row : row + 1])) is None


def test_the_key_holder_sees_the_same_whoever_is_in_the_cell() -> None:
    """At a size that can be counted: masked ciphertexts of any two cells are equally distributed."""
    n = mpz(5 * 7 * 13)
    phi = 4 * 6 * 12
    assert gcd(n, phi) == 1
    units = [x for x in range(int(n)) if gcd(x, n) == 1]
    masks = {int((1 + m * n) * powmod(r, n, n * n) % n**2) for m in range(int(n)) for r in units}
    assert len(masks) == n * len(units)
    for cell in (1, 2, int(1 + n), int(n * n - 1)):
        assert {cell * mask % int(n * n) for mask in masks} == masks


def test_whoever_learns_rho_takes_the_mask_off(bad_key: BadKey) -> None:
    """Why rho is forgotten and drawn apart from M, which is shown: with both, the attack is back."""
    public = bad_key.public
    cell = bad_key.flags(PEOPLE)
    rho = to_rows([mpz(2) ** 1000 + 7], 256)
    numbers = mask_numbers(SEED, public.n, range(1))
    masked = multiply(public, cell, MaskEncryptor(public, 1).encrypt(numbers, rho))
    assert bad_key.people_in(masked) is None
    (c,) = from_rows(masked)
    known = (1 + numbers[0] * public.n) * powmod(from_rows(rho)[0], public.n, public.n2)
    assert bad_key.people_in(to_rows([c * invert(known, public.n2) % public.n2], 512)) == PEOPLE
