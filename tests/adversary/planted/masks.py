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
from xstat_ray.roles import noise_share


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
