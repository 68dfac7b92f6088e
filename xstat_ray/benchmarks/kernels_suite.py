"""Kernels: each function of the best native kernel beside the portable one, on one core.

Functions go from buffers to buffers, with the randomness, checks and conversions that parties meet.
The best is `ifma`, or where that does not run `avx2`, whose encryption by the owner is compared in
any case; where neither runs, the portable kernel is timed alone. Encryption by the owner is
also compared with the fastest of the public libraries, the Okamoto-Uchiyama scheme of sf-heu, where
that is installed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import Record, Work, one_core, optional_module, timing_record
from xstat_ray.crypto import oprf
from xstat_ray.crypto.fixed_base import uniform_below
from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.masking import MaskEncryptor
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey, PublicEncryptor
from xstat_ray.crypto.sums import accumulate
from xstat_ray.errors import InputError
from xstat_ray.runtime.progress import Progress

PORTABLE = "portable"
NATIVE = "ifma"
AVX2 = "avx2"


@dataclass(frozen=True)
class Sizes:
    """Operations of a round by the native kernel; the portable one does a part of them."""

    rounds: int
    key_bits: tuple[int, ...]
    planned: int
    """Encryptions that the tables of fixed powers are made for."""
    encryptions: int
    products: int
    segment: int
    """Products of a sum."""
    decryptions: int
    persons: int
    """Of a bin."""
    portable_part: int
    """Factor by which the portable kernel does fewer operations."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time all functions at all key sizes, then those of the oblivious PRF."""
    with one_core():
        bench = KernelBench(sizes, progress)
        records = [record for bits in sizes.key_bits for record in bench.paillier(generate(bits))]
        return records + bench.oprf()


class KernelBench:
    """The functions of a kernel as parties call them; `compare` times one of them."""

    def __init__(self, sizes: Sizes, progress: Progress) -> None:
        self.sizes = sizes
        self.progress = progress
        self.heu = optional_module("heu", progress)
        self.avx2 = problem_of(AVX2) is None
        problem = problem_of(NATIVE)
        best = (NATIVE,) if problem is None else (AVX2,) * self.avx2
        self.names: tuple[str, ...] = (*best, PORTABLE)
        if problem is not None:
            alone = "" if best else " alone"
            progress.note(f"{problem}: the kernel {self.names[0]} is timed{alone}.")

    def compare(
        self,
        metric: str,
        items: int,
        make: Callable[[int], Callable[[], object]],
        names: tuple[str, ...] = (),
    ) -> Record:
        """Time two kernels, by default the best and the portable one.

        Args:
            metric: what it is called behind the name of the suite.
            items: operations of a round.
            make: prepares a number of operations and returns them.
            names: other kernels than the default.
        """
        works = []
        for name in names or self.names:
            count = items if name == NATIVE else max(1, items // self.sizes.portable_part)
            with environment(choice.VARIABLE, name):
                works.append(Work(under(choice.VARIABLE, name, make(count)), count))
        return timing_record(
            f"kernels.{metric}",
            "1/s",
            works[0],
            works[1] if len(works) > 1 else None,
            rounds=self.sizes.rounds,
            progress=self.progress,
        )

    def paillier(self, key: PrivateKey) -> list[Record]:
        """Time encryption, sums and decryption under a key."""
        bits = key.public.key_bits
        sizes = self.sizes
        public = key.public
        careful = PrivateKey(key.p, key.q, key.alpha, key.beta, key.y, constant_time=True)
        messages = [mpz(secrets.randbelow(int(public.n))) for _ in range(100)]

        def owner(count: int, used: PrivateKey = key) -> Callable[[], object]:
            encryptor = OwnerEncryptor(used, sizes.planned)
            index = np.arange(count) % len(messages)
            return lambda: encryptor.encrypt_indexed(messages, index)

        def anyone(count: int) -> Callable[[], object]:
            encryptor = PublicEncryptor(public, sizes.planned)
            drawn = [messages[i % 100] for i in range(count)]
            return lambda: encryptor.encrypt(drawn)

        def masks(count: int) -> Callable[[], object]:
            encryptor = MaskEncryptor(public, sizes.planned)
            drawn = [messages[i % 100] for i in range(count)]
            return lambda: encryptor.encrypt(drawn)

        def sums(count: int) -> Callable[[], object]:
            rows = uniform_below(int(public.n2), count)
            order = np.random.default_rng(1).permutation(count)
            starts = np.arange(0, count, sizes.segment)
            return lambda: accumulate(public, rows, order, starts)

        def decryption(count: int) -> Callable[[], object]:
            rows = OwnerEncryptor(key, 1).encrypt_indexed(
                messages, np.arange(count) % len(messages)
            )
            return lambda: key.decrypt(rows)

        return [
            *self.beside_heu(bits, owner),
            *self.by_avx2(bits, owner),
            self.compare(f"encrypt.owner.{bits}", sizes.encryptions, owner),
            self.compare(
                f"encrypt.constant_time.{bits}", sizes.encryptions, lambda n: owner(n, careful)
            ),
            self.compare(f"encrypt.public.{bits}", sizes.encryptions // 2, anyone),
            self.compare(f"encrypt.mask.{bits}", max(8, sizes.encryptions // 20), masks),
            self.compare(f"sum.{bits}", sizes.products, sums),
            self.compare(f"decrypt.{bits}", sizes.decryptions, decryption),
        ]

    def by_avx2(self, bits: int, owner: Callable[[int], Callable[[], object]]) -> list[Record]:
        """Compare encryption by the owner with AVX2 and by the portable kernel."""
        if not self.avx2:
            return []
        count = self.sizes.encryptions
        return [self.compare(f"encrypt.avx2.{bits}", count, owner, (AVX2, PORTABLE))]

    def beside_heu(self, bits: int, owner: Callable[[int], Callable[[], object]]) -> list[Record]:
        """Compare encryption by the owner at one key size, with the kernel chosen by default."""
        if self.heu is None:
            return []
        kit = self.heu.numpy.setup(self.heu.phe.SchemaType.OU, bits)
        count = max(1, self.sizes.encryptions // 2)
        flags = kit.array(np.arange(count) % 2)
        encryptor = kit.encryptor()
        return [
            timing_record(
                f"kernels.encrypt.beside_heu_ou.{bits}",
                "1/s",
                Work(owner(count), count),
                Work(lambda: encryptor.encrypt(flags), count),
                rounds=self.sizes.rounds,
                progress=self.progress,
            )
        ]

    def oprf(self) -> list[Record]:
        """Time both functions of the oblivious PRF for a bin of the ID exchange."""
        persons = self.sizes.persons
        room = oprf.capacity(persons, 1)
        columns = oprf.width(persons, room)
        key = os.urandom(16)

        def items(count: int) -> NDArray[np.uint8]:
            drawn = os.urandom(oprf.ITEM_BYTES * count)
            return np.frombuffer(drawn, np.uint8).reshape(count, -1)

        def mark(count: int) -> Callable[[], object]:
            drawn = items(count)
            return lambda: choice.kernel().oprf_mark(key, drawn, room, range(columns))

        def rows(count: int) -> Callable[[], object]:
            drawn = items(count)
            matrix = choice.kernel().oprf_mark(key, drawn, room, range(columns))
            return lambda: choice.kernel().oprf_rows(key, drawn, matrix, room)

        return [
            self.compare("oprf.mark", persons, mark),
            self.compare("oprf.rows", persons, rows),
        ]


def problem_of(name: str) -> str | None:
    """Why a kernel cannot run here, if it cannot."""
    try:
        with environment(choice.VARIABLE, name):
            choice.kernel()
    except InputError as error:
        return error.problem
    return None


def under(name: str, value: str, work: Callable[[], object]) -> Callable[[], object]:
    """The same work, done while a variable of the environment has a value."""

    def forced() -> object:
        with environment(name, value):
            return work()

    return forced


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Give a variable of the environment a value for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
