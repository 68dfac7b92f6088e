"""Products of fixed bases: how far from uniform, by the bound, by counting, and by drawing."""

from __future__ import annotations

import itertools
import pickle
from fractions import Fraction

import numpy as np
import pytest
from gmpy2 import gcd, invert, mpz, powmod
from numpy.typing import NDArray
from scipy.stats import chi2

from tests.sizes import first
from xstat_ray.crypto import masking, residues
from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.key_proof import LEAST_FACTOR
from xstat_ray.crypto.masking import MaskEncryptor
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.crypto.residues import ResidueProducts, base_count, uniform_units

SMALL = PublicKey(mpz(5 * 7 * 13 * 89), mpz(2))
"""A modulus of 16 bits: four factors, and gcd(n, phi(n)) = 1."""


def chance(order: int, rank: int, bases: int, values: int) -> Fraction:
    """What (2 * distance)^2 is at most, by docs/decisions/08_masks.md.

    Args:
        order: elements of the group.
        rank: cyclic groups of which it is a product, at most.
        bases: uniform elements, each to the power of an independent exponent.
        values: the exponents are uniform in [0, values).
    """
    total = Fraction(order, values**bases)
    for h in range(2, values):
        total += h**rank * Fraction(-(-values // h), values) ** bases
    return total


@pytest.mark.parametrize("key_bits", [2048, 3072, 4096])
def test_a_million_products_are_uniform_up_to_one_in_two_to_the_64(key_bits: int) -> None:
    rank = 0
    while LEAST_FACTOR ** (rank + 1) < 2**key_bits:
        rank += 1
    found = chance(2**key_bits, rank, base_count(key_bits), 256)
    # The square of 2^20 distances, each half the root of what is bounded, against that of 2^-64.
    assert Fraction(2**40, 4) * found < Fraction(1, 2**128)
    # Five bases fewer would not do, so the count is no larger than it must be.
    fewer = chance(2**key_bits, rank, base_count(key_bits) - 5, 256)
    assert Fraction(2**40, 4) * fewer > Fraction(1, 2**128) or key_bits == 4096


def test_the_number_of_bases() -> None:
    assert [base_count(bits) for bits in (2048, 3072, 4096)] == [330, 411, 533]


@pytest.mark.parametrize("bases", [3, 4, 5])
@pytest.mark.parametrize(
    ("orders", "values"), [((2, 4), 4), ((2, 2, 2), 4), ((2, 6), 8), ((7,), 3)]
)
def test_counted_out_the_distance_is_within_the_bound(
    orders: tuple[int, ...], values: int, bases: int
) -> None:
    """The distance of (bases, product) from (bases, uniform), over all of a small group."""
    elements = list(itertools.product(*map(range, orders)))
    place = {element: number for number, element in enumerate(elements)}
    add = np.array(
        [[place[tuple((a + b) % m for a, b, m in zip(x, y, orders, strict=True))] for y in elements]
         for x in elements]
    )  # fmt: skip
    drawn = np.array(list(itertools.product(range(len(elements)), repeat=bases)))
    found = np.zeros((len(drawn), len(elements)))
    found[:, 0] = 1
    for column in drawn.T:
        mixed = np.zeros_like(found)
        multiple = np.zeros(len(drawn), int)
        for _ in range(values):
            # The mass at g moves to g + multiple, so that at g comes from g - multiple.
            np.put_along_axis(moved := np.empty_like(found), add[multiple], found, axis=1)
            mixed += moved / values
            multiple = add[multiple, column]
        found = mixed
    distance = float(np.abs(found - 1 / len(elements)).sum(axis=1).mean() / 2)
    assert found.sum(axis=1) == pytest.approx(1)
    bound = float(chance(len(elements), len(orders), bases, values)) ** 0.5 / 2
    assert 0 < distance <= bound


def classes(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Which of 4 * 6 * 12 classes modulo 25, 49 and 169 the residues of `SMALL` are in."""
    n = int(SMALL.n)
    values = np.array([int(value) for value in from_rows(rows)], np.int64)
    number = np.zeros(len(values), np.int64)
    for prime in (5, 7, 13):
        powers = sorted({pow(x, n, prime**2) for x in range(1, prime)})
        found = np.searchsorted(powers, values % prime**2)
        assert (np.array(powers)[found] == values % prime**2).all()
        number = number * len(powers) + found
    return number


def looks_uniform(numbers: NDArray[np.int64], count: int) -> bool:
    """Chi-square, rejected in both directions once in five million."""
    expected = len(numbers) / count
    statistic = float(((np.bincount(numbers, minlength=count) - expected) ** 2).sum() / expected)
    return bool(chi2.ppf(1e-7, count - 1) < statistic < chi2.ppf(1 - 1e-7, count - 1))


def test_products_are_uniform_among_the_residues() -> None:
    assert gcd(SMALL.n, 4 * 6 * 12 * 88) == 1
    made = ResidueProducts(SMALL).encrypt([mpz(0)] * 20_000)
    assert looks_uniform(classes(made), 4 * 6 * 12)


@pytest.mark.parametrize("power", first(1, [2, 3, 88]))
def test_products_of_bases_that_are_not_uniform_are_found(
    power: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flaw planted: the bases are squares, cubes, or in a subgroup as small as that of an h."""
    honest = residues.residues

    def flawed(public: PublicKey, units: NDArray[np.uint8]) -> NDArray[np.uint8]:
        powers = [powmod(value, power, public.n2) for value in from_rows(honest(public, units))]
        return residues.to_rows(powers, public.width)

    monkeypatch.setattr(residues, "residues", flawed)
    made = ResidueProducts(SMALL).encrypt([mpz(0)] * 20_000)
    assert not looks_uniform(classes(made), 4 * 6 * 12)


def test_units_are_drawn_again_where_they_are_none() -> None:
    """A bad key may have small factors; a product with one would not be a ciphertext."""
    n = mpz(15015)
    drawn = from_rows(uniform_units(n, 5000))
    assert all(gcd(value, n) == 1 for value in drawn)
    units = np.flatnonzero([gcd(x, n) == 1 for x in range(int(n))])
    places = np.searchsorted(units, [int(value) for value in drawn])
    assert looks_uniform(places, len(units))


@pytest.fixture(scope="module")
def products(private_key: PrivateKey) -> ResidueProducts:
    return ResidueProducts(private_key.public)


@pytest.mark.parametrize("count", [0, 1, 9, 150])
def test_numbers_come_back_and_residues_are_fresh(
    count: int, products: ResidueProducts, private_key: PrivateKey
) -> None:
    public = private_key.public
    numbers = [public.n - 1 - 7 * i for i in range(count)]
    made = [products.encrypt(numbers) for _ in range(2)]
    assert made[0].shape == (count, public.width)
    assert private_key.decrypt(made[0]) == private_key.decrypt(made[1]) == numbers
    values = [*from_rows(made[0]), *from_rows(made[1])]
    assert len(set(values)) == 2 * count
    order = private_key.alpha * private_key.beta
    for value, number in itertools.islice(zip(values, numbers, strict=False), 5):
        residue = value * invert(1 + number * public.n, public.n2) % public.n2
        assert powmod(residue, order, public.n2) != 1


def test_residues_of_different_encryptors_are_apart(private_key: PrivateKey) -> None:
    """Bases and exponents come from the system each time: nothing can be replayed."""
    drawn = [ResidueProducts(SMALL).encrypt([mpz(0)] * 50).tobytes() for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_tables_are_made_where_they_pay(
    private_key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = private_key.public
    made: list[PublicKey] = []
    monkeypatch.setattr(masking, "ResidueProducts", made.append)
    MaskEncryptor(public, 2 * base_count(2048))
    MaskEncryptor(public, 100_000, constant_time=True)
    assert made == []
    MaskEncryptor(public, 2 * base_count(2048) + 1)
    assert made == ([public] if kernel().tables else [])


def test_bases_refuse_to_travel_and_to_print(products: ResidueProducts) -> None:
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(products)
    assert repr(products) == "<ResidueProducts redacted>"
