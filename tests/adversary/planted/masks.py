"""Masks that hide nothing, or only what is counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import to_rows
from xstat_ray.crypto.masking import MaskEncryptor
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PublicEncryptor
from xstat_ray.crypto.sum_masks import sum_mask_numbers
from xstat_ray.roles import joint_row_opening, noise_share

HONEST_SUMS = sum_mask_numbers


def left_out(patch: pytest.MonkeyPatch) -> None:
    """Mask with the number 0, encrypted as 1, and leave the noise out that would be in it."""

    def ones(self: MaskEncryptor, numbers: Sequence[mpz]) -> NDArray[np.uint8]:
        return to_rows([mpz(1)] * len(numbers), self._public.width)

    def no_noise(share: NDArray[np.int64], packing: Packing) -> list[mpz]:
        return [mpz(0)] * (share.shape[1] * packing.blocks)

    patch.setattr(noise_share, "pack_shares", no_noise)
    patch.setattr(masking, "mask_numbers", lambda seed, n, rows: [mpz(0)] * len(rows))
    patch.setattr(MaskEncryptor, "encrypt", ones)


def with_powers_of_h(patch: pytest.MonkeyPatch) -> None:
    """Encrypt masks with powers of the h that the key holder chose, as flags are."""

    def encrypt(self: MaskEncryptor, numbers: Sequence[mpz]) -> NDArray[np.uint8]:
        return PublicEncryptor(self._public, len(numbers)).encrypt(numbers)

    patch.setattr(MaskEncryptor, "encrypt", encrypt)


def of_the_first_party_alone(patch: pytest.MonkeyPatch) -> None:
    """Mask the tables of all column parties but the first with multiples of B alone."""

    def numbers(
        sum_seed: bytes, seed: bytes, moduli: Sequence[mpz], modulus: mpz, rows: range
    ) -> list[list[mpz]]:
        first, *others = HONEST_SUMS(sum_seed, seed, moduli, modulus, rows)
        low = [[number % modulus for number in of_party] for of_party in others]
        moved = [sum(of_row) for of_row in zip(first, *low, strict=True)]
        high = [[number // modulus * modulus for number in of_party] for of_party in others]
        return [[mpz(number) for number in moved], *high]

    patch.setattr(joint_row_opening, "sum_mask_numbers", numbers)
