"""Threads: each function of the chosen kernel with all cores beside one thread.

`XSTAT_KERNEL` chooses the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from xstat_ray.benchmarks.kernels_suite import NATIVE, KernelBench, Sizes, under
from xstat_ray.benchmarks.timing import Record, Work, timing_record
from xstat_ray.crypto import oprf
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.keygen import generate
from xstat_ray.runtime.progress import Progress
from xstat_ray.util import threads


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time all functions at all key sizes, then those of the ID exchange."""
    bench = _ThreadsBench(sizes, progress)
    records = [record for bits in sizes.key_bits for record in bench.paillier(generate(bits))]
    return records + bench.oprf()


class _ThreadsBench(KernelBench):
    def compare(
        self,
        metric: str,
        items: int,
        make: Callable[[int], Callable[[], object]],
        names: tuple[str, ...] = (),
    ) -> Record:
        """Time a function with as many threads as there may be, and with one."""
        sizes = self.sizes
        count = items if kernel().name == NATIVE else max(1, items // sizes.portable_part)
        work = make(count)
        return timing_record(
            f"threads.{metric}",
            "1/s",
            Work(work, count),
            Work(under(threads.VARIABLE, "1", work), count),
            rounds=sizes.rounds,
            progress=self.progress,
        )

    def by_avx2(self, bits: int, owner: Callable[[int], Callable[[], object]]) -> list[Record]:
        """Compare with no other kernel."""
        return []

    def beside_heu(self, bits: int, owner: Callable[[int], Callable[[], object]]) -> list[Record]:
        """Compare with no other library."""
        return []

    def oprf(self) -> list[Record]:
        """Time what a receiver computes for a bin of the ID exchange."""
        persons = self.sizes.persons
        room = oprf.capacity(persons, 1)
        columns = oprf.width(persons, room)
        secret = os.urandom(16)
        keys = np.frombuffer(os.urandom(32 * columns), np.uint8).reshape(columns, 2, 16)

        def bins(function: Callable[..., object]) -> Callable[[int], Callable[[], object]]:
            def make(count: int) -> Callable[[], object]:
                drawn = np.frombuffer(os.urandom(oprf.ITEM_BYTES * count), np.uint8)
                items = drawn.reshape(count, -1)
                return lambda: function(secret, items, keys, 0, room)

            return make

        return [
            self.compare("oprf.hidden", persons, bins(oprf.hidden)),
            self.compare("oprf.learned", persons, bins(oprf.learned)),
        ]
