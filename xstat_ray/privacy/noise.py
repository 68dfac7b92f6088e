"""The noise: drawn once, packed, encrypted by the public key and added to the encrypted whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PublicEncryptor, PublicKey
from xstat_ray.crypto.sums import multiply
from xstat_ray.model.messages import RerandomisedTable
from xstat_ray.privacy.design import Design


def add_noise_once(
    public: PublicKey,
    table: NDArray[np.uint8],
    packing: Packing,
    design: Design,
    constant_time: bool = False,
) -> RerandomisedTable:
    """Noise for every coefficient of the domain, touched or not, added while encrypted.

    The fresh encryptions also re-randomise every ciphertext. Run by the driver. A second call would
    draw a second, independent noise, and two releases of one count can be averaged: the caller must
    store the result before anything is handed out, and replay the stored one after a failure.

    Args:
        public: the key holder's public key.
        table: (nodes, blocks, width) encrypted counts and sums of all measured levels.
        packing: the layout of the slots.
        design: what to draw.
        constant_time: encrypt without memory addresses that depend on the randomness.

    Returns:
        The noisy table.
    """
    noise = design.draw(packing.slots)
    encryptor = PublicEncryptor(public, len(table) * packing.blocks, constant_time)
    offset = packing.pack(np.zeros((1, packing.slots), np.int64)) * len(noise)
    signed = [(m - zero) % public.n for m, zero in zip(packing.pack(noise), offset, strict=True)]
    encrypted = encryptor.encrypt(signed)
    noisy = multiply(public, table.reshape(-1, public.width), encrypted)
    return RerandomisedTable(ciphertexts=noisy.reshape(table.shape))
