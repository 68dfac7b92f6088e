"""Rates by kernel and key size: what is slower by design is slower in the plan."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from xstat_ray.crypto.kernels.choice import NAMES
from xstat_ray.planning.plan import KEY_BITS
from xstat_ray.planning.rates import rates


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("key_bits", KEY_BITS)
def test_every_kernel_has_rates_and_the_native_one_the_higher(
    key_bits: int, constant_time: bool
) -> None:
    slow, fast = (rates(kernel, key_bits, constant_time) for kernel in NAMES)
    assert all(less < more for less, more in zip(astuple(slow)[:5], astuple(fast)[:5], strict=True))
    # Reading does no arithmetic on large numbers.
    assert slow.rows == fast.rows


@pytest.mark.parametrize("kernel", NAMES)
def test_care_and_longer_keys_take_longer(kernel: str) -> None:
    fast = rates(kernel, 2048, False)
    careful = rates(kernel, 2048, True)
    longer = rates(kernel, 3072, False)
    assert fast.owner_encrypt > careful.owner_encrypt
    assert fast.public_encrypt > careful.public_encrypt
    assert astuple(fast)[:4] > astuple(longer)[:4]
