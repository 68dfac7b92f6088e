"""The plan: what a run will do and cost, computed from the study and public figures before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.packing import Packing, plan_packing
from xstat_ray.errors import PlanError
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Period, Study
from xstat_ray.planning import pool_view
from xstat_ray.planning.batching import Batch, cut
from xstat_ray.planning.rates import Rates, rates
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.padding import Padding

MAX_COEFFICIENTS = 100_000_000
KEY_BITS = (2048, 3072, 4096)
DRAWS_PER_SECOND = 40_000
START_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """A study at a key size, cut into shards. Everything here is public."""

    study: Study
    key_bits: int
    packing: Packing
    design: Design
    grid: ShardGrid
    padding: Padding | None
    """The dummies, None where the study has none."""
    kernel: str
    """The kernel of the process that plans, for the estimate of time."""
    constant_time: bool
    """No memory address depends on what encryption and decryption keep secret."""

    @property
    def mechanism(self) -> Mechanism:
        """The noise of a release that spends everything on the cells."""
        return self.design.budget

    @property
    def ciphertext_bytes(self) -> int:
        """Size of one ciphertext."""
        return self.key_bits // 4

    @property
    def max_flags(self) -> int:
        """Most flags that the column party can emit under the bounds, and the dummies that are added on average."""
        return _max_flags(self.study) + (self.padding.flags_added if self.padding else 0)

    @property
    def table_ciphertexts(self) -> int:
        """Ciphertexts of the encrypted table."""
        return self.design.nodes * self.packing.blocks

    @property
    def flag_bytes(self) -> int:
        """Most bytes of all flags together."""
        return self.max_flags * self.packing.blocks * self.ciphertext_bytes

    @property
    def table_bytes(self) -> int:
        """Bytes of the encrypted table."""
        return self.table_ciphertexts * self.ciphertext_bytes

    @property
    def coefficients(self) -> int:
        """Noisy values that will be decrypted."""
        return self.design.nodes * self.study.slots

    @cached_property
    def expected_stderr(self) -> dict[str, float]:
        """By name of the reporting level, the root mean square standard error before refinement."""
        dimensions = self.study.row.dimensions
        names = level_names(dimensions)
        errors = self.design.stderrs(tree_of(dimensions))
        return {names[level]: float(np.sqrt(np.mean(error**2))) for level, error in errors.items()}

    def row_seconds(self, cores: int, rows: int, unsorted: int = 0) -> float:
        """Rough time for so many rows of the row party's table, and for so many in files that are not sorted by id."""
        return (rows / self._rates.rows + unsorted / self._rates.unsorted_rows) / cores

    def seconds(self, cores: int, *, rows: int = 0, row_persons: int = 0) -> float:
        """Rough time at the most persons that the bounds allow, one match for every flag.

        Args:
            cores: of a server, with this plan's kernel.
            rows: rows of the row party's table, which no plan knows, in files that are sorted by
                id.
            row_persons: people in it.
        """
        rate = self._rates
        blocks = self.packing.blocks
        persons = self.study.bounds.persons + row_persons
        parallel = (
            persons / rate.persons
            + self.max_flags * blocks / rate.owner_encrypt
            + self.max_flags * self.study.bounds.rows * blocks / rate.multiply
            + self.table_ciphertexts / rate.decrypt
            + self.row_seconds(1, rows + (self.padding.rows_added if self.padding else 0))
        )
        serial = self.table_ciphertexts / rate.public_encrypt + self.coefficients / DRAWS_PER_SECOND
        return START_SECONDS + serial + parallel / cores

    @property
    def _rates(self) -> Rates:
        return rates(self.kernel, self.key_bits, self.constant_time)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.name

    def rows(self) -> list[tuple[str, str]]:
        """For people: what, how much."""
        study = self.study
        mechanism = self.mechanism
        grid = self.grid
        persons = self.study.bounds.persons
        errors = ", ".join(f"{error:.3g} a {name}" for name, error in self.expected_stderr.items())
        budget = f"epsilon {mechanism.epsilon}" + (
            f", delta {float(mechanism.delta):g}" if mechanism.delta else ""
        )
        counts = study.cells * study.slots
        sums = (
            f", and {self.coefficients - counts:,} sums of them"
            if self.coefficients > counts
            else ""
        )
        return [
            ("Table", f"{study.cells:,} cells x {study.slots:,} columns = {counts:,} counts{sums}"),
            ("Join", f"period {study.period.grain}, {study.window_periods} in the window, {len(grid.shards)} shards"),
            ("One person", f"moves at most {study.person_units} counts by one, of at most {persons:,} people"),
            ("Privacy", f"{mechanism.noise} noise, {budget}, budget cap {study.privacy.cap}"),
            ("Pool's view", pool_view.sentence(study, self.padding)),
            ("Expected error", f"standard error {errors}"),
            ("Mechanism", self.design.reason),
            ("Suppressed", f"estimates below {study.privacy.suppress_below}"),
            ("Encryption", f"Paillier {self.key_bits} bits, {self.packing.slot_bits} bits a count, "
             f"{self.packing.per_block} counts a ciphertext, {self.packing.blocks} a cell"),
            ("Ciphertexts", f"{self.table_ciphertexts:,} in the table ({readable_bytes(self.table_bytes)}), "
             f"up to {self.max_flags * self.packing.blocks:,} in flags ({readable_bytes(self.flag_bytes)})"),
            ("Time", f"about {self.seconds(2):.0f} s on 2 cores with the kernel {self.kernel} at the most people, "
             f"and one more for every {2 * self._rates.persons:,.0f} people of the row party's table and every "
             f"{2 * self._rates.rows / 1e6:.0f} million rows of it, or "
             f"{2 * self._rates.unsorted_rows / 1e6:.0f} million where its files are not sorted by id"),
        ]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON: names with units, no private figure."""
        study = self.study
        mechanism = self.mechanism
        return {
            "study": study.name,
            "title": dict(study.title),
            "study_digest": study.digest.hex(),
            "cells": study.cells,
            "slots": study.slots,
            "period": _period(study.period),
            "window_periods": study.window_periods,
            "regions": len(self.grid.regions),
            "batches": len(self.grid.batches),
            "shards": len(self.grid.shards),
            "key_bits": self.key_bits,
            "slot_bits": self.packing.slot_bits,
            "slot_offset": self.packing.offset,
            "slots_per_ciphertext": self.packing.per_block,
            "ciphertexts_per_cell": self.packing.blocks,
            "table_ciphertexts": self.table_ciphertexts,
            "table_bytes": self.table_bytes,
            "max_flags": self.max_flags,
            "max_flag_bytes": self.flag_bytes,
            "bounds": {
                "rows": study.bounds.rows,
                "boardings": study.bounds.boardings,
                "persons": study.bounds.persons,
            },
            "mechanism": self.design.kind,
            "why": self.design.reason,
            "noise": mechanism.noise,
            "epsilon": str(mechanism.epsilon),
            "delta": str(mechanism.delta),
            "l1_sensitivity": mechanism.l1,
            "l2_sensitivity_squared": mechanism.l2_squared,
            "measured": [
                {
                    "level": m.name,
                    "nodes": m.nodes,
                    "share": str(m.share),
                    "noise_scale": m.mechanism.scale,
                }
                for m in self.design.levels
            ],
            "stderr": {name: round(error, 4) for name, error in self.expected_stderr.items()},
            "suppress_below": study.privacy.suppress_below,
            "view": pool_view.as_dict(study, self.padding),
            "kernel": self.kernel,
            "constant_time": self.constant_time,
            "estimated_seconds_on_2_cores": round(self.seconds(2), 1),
            "estimated_persons_a_second_on_2_cores": round(2 * self._rates.persons),
            "estimated_rows_a_second_on_2_cores": round(2 * self._rates.rows),
            "estimated_unsorted_rows_a_second_on_2_cores": round(2 * self._rates.unsorted_rows),
        }


def _period(period: Period) -> dict[str, str] | None:
    """The public span of the study as JSON; None where it has none."""
    if period.start is None or period.end is None:
        return None
    return {"grain": period.grain, "start": period.start.isoformat(), "end": period.end.isoformat()}


def make_plan(
    study: Study,
    *,
    key_bits: int = 3072,
    shards: int = 1,
    slot_bits: int | None = None,
    constant_time: bool = False,
    batch: Batch = "auto",
) -> Plan:
    """Work out the plan, or refuse.

    Args:
        study: the cross-tab.
        key_bits: size of the Paillier modulus.
        shards: units of join work to aim for.
        slot_bits: forces the bits of a slot; normally computed from the bounds and the noise.
        constant_time: encrypt and decrypt without memory addresses that depend on secrets.
        batch: length of a batch of periods.

    Raises:
        PlanError: key too small, table too large, counts that could overflow a slot, or padding
            that cannot be had.
    """
    if key_bits not in KEY_BITS:
        raise PlanError(
            f"a key of {key_bits} bits is {'too small' if key_bits < KEY_BITS[0] else 'not supported'}",
            key="crypto.key_bits",
            remedy=f"Use one of {', '.join(map(str, KEY_BITS))}; 2048 is the least that is safe, 3072 the default",
        )
    if shards < 1:
        raise PlanError(
            "there must be at least one shard", key="shards", remedy="Set shards to 1 or more"
        )
    if study.cells * study.slots > MAX_COEFFICIENTS:
        raise PlanError(
            f"the table has {study.cells * study.slots:,} entries, more than {MAX_COEFFICIENTS:,}",
            key="study",
            remedy="Use coarser domains or fewer dimensions",
        )
    design = Design.of_study(study)
    packing = plan_packing(
        slots=study.slots,
        max_value=study.max_count,
        noise_tail=design.tail(study.slots),
        key_bits=key_bits,
        slot_bits=slot_bits,
    )
    grid = cut(study, shards, batch, _max_flags(study) * packing.blocks * key_bits // 4)
    padding = Padding.of_study(study, grid)
    return Plan(study, key_bits, packing, design, grid, padding, kernel().name, constant_time)


def _max_flags(study: Study) -> int:
    """Flags at the bounds; with padding every row of a person in a period has a flag of its own."""
    flags = study.bounds.persons * study.bounds.boardings * study.window_periods
    return flags * study.bounds.rows if study.privacy.padding == "dp" else flags


def readable_bytes(count: int) -> str:
    """Such as 1.23 MB."""
    size = float(count)
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size = size / 1000
        unit = larger
    return f"{size:.3g} {unit}"
