"""Masks under several keys: independent, gone in the sum, and told by their sum alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from xstat_ray.crypto.masking import SEED_BYTES, mask_numbers
from xstat_ray.crypto.packing import SUM_FREE_BITS, WRAP_BITS, plan_packing
from xstat_ray.crypto.sum_masks import mask_limit, sum_mask_numbers
from xstat_ray.errors import ProtocolError

SUM_SEED = bytes(range(SEED_BYTES))
SEED = bytes(range(100, 100 + SEED_BYTES))
MODULI = [mpz(3) << 2046 | 1, mpz(2) ** 2047 + 9, mpz(2) ** 2048 - 1]
LAYOUT = plan_packing(slots=5, max_value=40, noise_tail=25, key_bits=2048, free_bits=SUM_FREE_BITS)


def masks_of(moduli, modulus=LAYOUT.sum_modulus, rows=range(4), seeds=(SUM_SEED, SEED)):
    return sum_mask_numbers(*seeds, moduli, modulus, rows)


@pytest.mark.parametrize("keys", [2, 3, 8])
def test_the_sum_of_masks_follows_from_the_seed_that_is_shown(keys):
    moduli = [*MODULI, *(mpz(2) ** 2047 + 2 * number + 11 for number in range(5))][:keys]
    modulus = LAYOUT.sum_modulus
    masks = masks_of(moduli, rows=range(20))
    assert len(masks) == keys and {len(of_key) for of_key in masks} == {20}
    sums = [sum(of_row) % modulus for of_row in zip(*masks, strict=True)]
    assert sums == mask_numbers(SUM_SEED, modulus, range(20))
    for of_key, n in zip(masks, moduli, strict=True):
        assert max(of_key) < mask_limit(n, modulus) <= n < mask_limit(n, modulus) + modulus
    assert [of_key[3:9] for of_key in masks] == masks_of(moduli, rows=range(3, 9))


def test_no_single_mask_follows_from_the_seed_that_is_shown():
    """With another secret seed the sums are the same, and every single mask is another one."""
    modulus = LAYOUT.sum_modulus
    first = masks_of(MODULI)
    second = masks_of(MODULI, seeds=(SUM_SEED, bytes(SEED_BYTES)))
    for one, other in zip(first, second, strict=True):
        assert not {int(m % modulus) for m in one} & {int(m % modulus) for m in other}
    assert [sum(row) % modulus for row in zip(*first, strict=True)] == [
        sum(row) % modulus for row in zip(*second, strict=True)
    ]


def test_single_masks_are_uniform_and_independent_of_their_sum():
    """Chi-square over (M_1, M_2, S) modulo 8, rejected in both directions once in two million.

    The leak planted: the masks of one key that are the sum's own are found by the same figure.
    """
    moduli = [mpz(2) ** 110 + 7, mpz(2) ** 110 + 9, mpz(2) ** 110 + 33]
    masks = masks_of(moduli, mpz(8), range(16_000))
    sums = mask_numbers(SUM_SEED, mpz(8), range(16_000))
    for pair in (masks[:2], masks[1:], [masks[0], masks[2]]):
        low, high = chi2.ppf([5e-8 / 3, 1 - 5e-8 / 3], 511)
        assert low < statistic(*pair, sums) < high
    assert statistic(masks[0], sums, sums) > 10 * chi2.ppf(1 - 1e-9, 511)


def statistic(*columns):
    cells = np.zeros((8, 8, 8))
    residues = [np.array([int(number % 8) for number in column]) for column in columns]
    np.add.at(cells, tuple(residues), 1)
    expected = len(residues[0]) / cells.size
    return float(((cells - expected) ** 2).sum() / expected)


@pytest.mark.parametrize("number", range(3))
def test_single_masks_are_uniform_below_their_limit(number):
    masks = masks_of(MODULI, rows=range(4_000))[number]
    limit = mask_limit(MODULI[number], LAYOUT.sum_modulus)
    counts = np.bincount([int(64 * mask // limit) for mask in masks], minlength=64)
    figure = float(((counts - len(masks) / 64) ** 2).sum() / (len(masks) / 64))
    low, high = chi2.ppf([1e-7, 1 - 1e-7], 63)
    assert low < figure < high


def test_residues_tell_nothing_of_any_party_at_a_size_that_can_be_counted():
    """Over all masks with one sum the residues of all keys but one take all values equally often.

    With B = 2, n_j of 4 and 6 and 4: whatever the three plaintexts are, given their sum.
    """
    limits = (4, 6, 4)
    seen = {}
    for plain in ((0, 0, 0), (1, 1, 0), (0, 1, 1)):
        views = sorted(
            tuple((p + m) % 2 for p, m in zip(plain, masks, strict=True))
            for masks in product(*map(range, limits))
            if sum(masks) % 2 == 1
        )
        seen[plain] = views
    assert seen[0, 0, 0] == seen[1, 1, 0] == seen[0, 1, 1]


counts = st.lists(st.integers(0, 13), min_size=5, max_size=5)
noises = st.lists(st.integers(-25, 25), min_size=5, max_size=5)


@settings(max_examples=20)
@given(st.lists(counts, min_size=2, max_size=3), noises, st.binary(min_size=32, max_size=32))
def test_what_all_parties_open_sums_up_to_the_whole(parts, noise, seed):
    """Each opens plaintext plus mask modulo n; residues are added, and the sum of masks leaves."""
    modulus = LAYOUT.sum_modulus
    moduli = MODULI[: len(parts)]
    masks = masks_of(moduli, rows=range(1), seeds=(SUM_SEED, seed))
    packed = [signed(part) for part in parts]
    opened = [(p + m) % n for p, (m,), n in zip(packed, masks, moduli, strict=True)]
    share = signed(noise) + (mpz(7) << 93)
    total = (sum(v % modulus for v in opened) + share) % modulus
    (sums,) = mask_numbers(SUM_SEED, modulus, range(1))
    back = (total - sums - (mpz(7) << 93)) % modulus
    expected = np.array([*parts, noise]).sum(0).tolist()
    assert LAYOUT.unpack_signed([back], modulus).tolist() == [expected]


def signed(row):
    return sum(mpz(value) << LAYOUT.slot_bits * place for place, value in enumerate(row))


@pytest.mark.parametrize("lost", range(3))
def test_a_lost_residue_and_garbage_are_refused(lost):
    modulus = LAYOUT.sum_modulus
    masks = masks_of(MODULI, rows=range(1))
    residues = [mask % modulus for (mask,) in masks]
    (sums,) = mask_numbers(SUM_SEED, modulus, range(1))
    assert not LAYOUT.unpack_signed([(sum(residues) - sums) % modulus], modulus).any()
    wrong = [
        residues[:lost] + residues[lost + 1 :],
        [*residues[:lost], mask_numbers(SEED, modulus, range(1))[0], *residues[lost + 1 :]],
        [*residues, residues[lost]],
    ]
    for numbers in wrong:
        with pytest.raises(ProtocolError, match="larger than any packed one"):
            LAYOUT.unpack_signed([(sum(numbers) - sums) % modulus], modulus)


@pytest.mark.parametrize("key_bits", [2048, 3072, 4096])
@pytest.mark.parametrize("slots", [1, 31, 300])
def test_every_plan_leaves_the_bits_that_the_masks_need(key_bits, slots):
    layout = plan_packing(
        slots=slots, max_value=2**20, noise_tail=99, key_bits=key_bits, free_bits=SUM_FREE_BITS
    )
    smallest = mpz(1) << (key_bits - 1)
    assert smallest >> WRAP_BITS >= layout.sum_modulus
    assert mask_limit(smallest, layout.sum_modulus) == smallest
    with pytest.raises(ValueError, match="bits more than the sums"):
        mask_limit((layout.sum_modulus << WRAP_BITS) - 1, layout.sum_modulus)


def test_seeds_of_another_size_are_refused():
    for seeds in ((SUM_SEED[:-1], SEED), (SUM_SEED, SEED + b"0")):
        with pytest.raises(ValueError, match="32 bytes"):
            masks_of(MODULI, seeds=seeds)
