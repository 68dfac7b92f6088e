"""Rates by kernel and key size: what is slower by design is slower in the plan."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from xstat_ray.crypto.kernels.choice import NAMES
from xstat_ray.planning.limits import KEY_BITS
from xstat_ray.planning.rates import rates


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("key_bits", KEY_BITS)
def test_every_kernel_has_rates_and_the_native_one_the_higher(
    key_bits: int, constant_time: bool
) -> None:
    slow, fast = (rates(kernel, key_bits, constant_time) for kernel in ("portable", "ifma"))
    assert all(less < more for less, more in zip(astuple(slow)[:7], astuple(fast)[:7], strict=True))
    # Reading does no arithmetic on large numbers.
    assert slow.rows == fast.rows


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("key_bits", KEY_BITS)
def test_avx2_is_between_them_where_its_owner_encrypts_and_else_as_fast_as_aesni(
    key_bits: int, constant_time: bool
) -> None:
    slow, middle, fast = (
        astuple(rates(kernel, key_bits, constant_time)) for kernel in ("aesni", "avx2", "ifma")
    )
    assert slow[0] < middle[0] < fast[0]
    assert slow[1:] == middle[1:]


@pytest.mark.parametrize("key_bits", KEY_BITS)
def test_the_reference_kernel_is_the_slowest(key_bits: int) -> None:
    reference, portable = (rates(kernel, key_bits, False) for kernel in ("phe", "portable"))
    pairs = list(zip(astuple(reference), astuple(portable), strict=True))
    assert all(less < more for less, more in pairs[:6])
    # Both do the ID exchange in numpy.
    assert all(less == more for less, more in pairs[6:])


@pytest.mark.parametrize("kernel", NAMES)
def test_longer_keys_take_longer(kernel: str) -> None:
    shorter, longer = (astuple(rates(kernel, bits, False))[:6] for bits in (2048, 3072))
    assert all(more > less for more, less in zip(shorter, longer, strict=True))


@pytest.mark.parametrize("kernel", ["portable", "avx2", "ifma"])
def test_care_takes_longer(kernel: str) -> None:
    ordinary, careful = (rates(kernel, 2048, constant_time) for constant_time in (False, True))
    assert ordinary.owner_encrypt > careful.owner_encrypt
    assert ordinary.public_encrypt > careful.public_encrypt
    assert ordinary.mask_by_tables > careful.mask_by_tables == careful.mask_by_power


def test_many_masks_are_cheaper_than_powers() -> None:
    rate = rates("ifma", 3072, False)
    assert rate.mask_seconds(0, 3072) == 0
    assert rate.mask_seconds(822, 3072) == pytest.approx(822 / rate.mask_by_power)
    assert rate.mask_seconds(10_110, 3072) < 10_110 / rate.mask_by_power / 4
