"""Paillier beside `phe` with gmpy2: keys, encryption, masks, sums, decryption, interoperation.

Both work on one modulus, and `phe` is called at its innermost functions, without the encoding of
floats around them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np
from gmpy2 import mpz

from xstat_ray.benchmarks.timing import (
    SECONDS,
    Record,
    Work,
    one_core,
    optional_module,
    timing_record,
)
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.masking import MaskEncryptor
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey, PublicEncryptor
from xstat_ray.crypto.sums import accumulate
from xstat_ray.runtime.progress import Progress


@dataclass(frozen=True)
class Sizes:
    """Operations of a round, by us and by the baseline."""

    rounds: int
    key_bits: tuple[int, ...]
    planned: int
    """Encryptions that the tables of fixed powers are made for."""
    encryptions: int
    baseline_encryptions: int
    decryptions: int
    baseline_decryptions: int
    keys: int
    products: int
    interop: int
    """Our ciphertexts that the baseline decrypts, at the first key size."""
    interop_back: int
    """Ciphertexts of the baseline that we decrypt."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time all operations at all key sizes on one core, and check interoperation at the first."""
    with one_core():
        phe = optional_module("phe", progress)
        records = []
        for key_bits in sizes.key_bits:
            key = generate(key_bits)
            bench = _PaillierBench(key, phe, sizes, progress)
            records += [
                bench.keygen(),
                *bench.encryption("owner", partial(OwnerEncryptor, key, sizes.planned)),
                *bench.encryption("public", partial(PublicEncryptor, key.public, sizes.planned)),
                *bench.encryption("mask", partial(MaskEncryptor, key.public, sizes.planned)),
                bench.decryption(),
                bench.sums(),
            ]
            if phe is not None and key_bits == sizes.key_bits[0]:
                records += bench.interoperation()
        return records


class _PaillierBench:
    """The timings with a key."""

    def __init__(
        self, key: PrivateKey, phe: ModuleType | None, sizes: Sizes, progress: Progress
    ) -> None:
        self.key = key
        self.phe = phe
        self.sizes = sizes
        self.progress = progress
        self.bits = key.public.key_bits
        if phe is not None:
            self.phe_public = phe.PaillierPublicKey(int(key.public.n))
            self.phe_private = phe.PaillierPrivateKey(self.phe_public, int(key.p), int(key.q))

    def baseline(self, run: Callable[[], object], items: int) -> Work | None:
        return None if self.phe is None else Work(run, items)

    def timing(self, metric: str, unit: str, ours: Work, baseline: Work | None) -> Record:
        return timing_record(
            metric, unit, ours, baseline, rounds=self.sizes.rounds, progress=self.progress
        )

    def plaintexts(self, count: int) -> list[mpz]:
        return [mpz(secrets.randbelow(int(self.key.public.n))) for _ in range(count)]

    def keygen(self) -> Record:
        count = self.sizes.keys

        def ours() -> None:
            for _ in range(count):
                generate(self.bits)

        def phe_keys() -> None:
            for _ in range(count):
                self.phe.generate_paillier_keypair(n_length=self.bits)  # type: ignore[union-attr]

        work = self.baseline(phe_keys, count)
        return self.timing(f"paillier.keygen.{self.bits}", SECONDS, Work(ours, count), work)

    def encryption(
        self, role: str, make: Callable[[], OwnerEncryptor | PublicEncryptor | MaskEncryptor]
    ) -> list[Record]:
        """Time encryption with ready tables, and the making of the tables."""
        sizes = self.sizes
        encryptor = make()
        messages = self.plaintexts(sizes.encryptions)
        plain = [int(m) for m in messages[: sizes.baseline_encryptions]]
        return [
            self.timing(
                f"paillier.encrypt.{role}.{self.bits}",
                "1/s",
                Work(lambda: encryptor.encrypt(messages), len(messages)),
                self.baseline(lambda: [self.phe_public.raw_encrypt(m) for m in plain], len(plain)),
            ),
            self.timing(f"paillier.tables.{role}.{self.bits}", SECONDS, Work(make), None),
        ]

    def decryption(self) -> Record:
        sizes = self.sizes
        key = self.key
        rows = OwnerEncryptor(key, sizes.decryptions).encrypt(self.plaintexts(sizes.decryptions))
        plain = [int(value) for value in from_rows(rows[: sizes.baseline_decryptions])]
        return self.timing(
            f"paillier.decrypt.{self.bits}",
            "1/s",
            Work(lambda: key.decrypt(rows), len(rows)),
            self.baseline(lambda: [self.phe_private.raw_decrypt(c) for c in plain], len(plain)),
        )

    def sums(self) -> Record:
        """Time a sum of many ciphertexts, with decoding and encoding of the buffers."""
        count = self.sizes.products
        public = self.key.public
        values = [mpz(secrets.randbelow(int(public.n2) - 1) + 1) for _ in range(count + 1)]
        rows = to_rows(values, public.width)
        index = np.arange(count + 1)
        starts = np.zeros(1, np.int64)

        def phe_sum() -> None:
            total = numbers[0]
            for number in numbers[1:]:
                total = total + number

        numbers = (
            [self.phe.EncryptedNumber(self.phe_public, int(value)) for value in values]
            if self.phe
            else []
        )
        return self.timing(
            f"paillier.sum.{self.bits}",
            "1/s",
            Work(lambda: accumulate(public, rows, index, starts), count),
            self.baseline(phe_sum, count),
        )

    def interoperation(self) -> list[Record]:
        """Count random plaintexts that the other side does not decrypt to what they were."""
        sizes = self.sizes
        key = self.key
        there = self.plaintexts(sizes.interop)
        back = self.plaintexts(sizes.interop_back)
        ciphertexts = OwnerEncryptor(key, len(there)).encrypt(there)
        mismatches = 0
        metric = f"paillier.interop.mismatches.{self.bits}"
        with self.progress.stage(metric, len(there) + len(back)) as stage:
            for plaintext, ciphertext in zip(there, from_rows(ciphertexts), strict=True):
                mismatches += self.phe_private.raw_decrypt(int(ciphertext)) != plaintext
                stage.advance()
            for plaintext in back:
                ciphertext = mpz(self.phe_public.raw_encrypt(int(plaintext)))
                mismatches += key.decrypt(to_rows([ciphertext], key.public.width)) != [plaintext]
                stage.advance()
        return [
            Record(metric, mismatches, "count"),
            Record(f"paillier.interop.checked.{self.bits}", len(there) + len(back), "count"),
        ]
