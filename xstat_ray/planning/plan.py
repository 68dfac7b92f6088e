"""The plan: what a run will do and cost, computed from public figures before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.packing import Packing
from xstat_ray.model.periods import span_as_dict
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.noise.plan import NoisePlan, joint_noise, spent_delta
from xstat_ray.planning import (
    draw_cost,
    insiders_view,
    measure_view,
    noise_view,
    one_person,
    pool_view,
    tree_shape,
)
from xstat_ray.planning.batching import Batch, cut
from xstat_ray.planning.insiders import Insiders
from xstat_ray.planning.layout import packing_of
from xstat_ray.planning.limits import (
    check_joint,
    check_key_bits,
    check_lasts,
    check_shards,
    check_size,
)
from xstat_ray.planning.memory import Forecast
from xstat_ray.planning.rates import Rates, rates
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.evidence import withheld, withholding
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.padding import Padding
from xstat_ray.privacy.rounding import decimal
from xstat_ray.util.readable import readable_bytes

START_SECONDS = 10.0
"""Time that a run takes before it reads a table."""


@dataclass(frozen=True)
class Plan:
    """A study at a key size, cut into shards. Everything here is public."""

    study: Study
    key_bits: int
    packing: Packing
    design: Design
    grid: ShardGrid
    padding: Padding | None
    """The dummies; None where the study has none."""
    kernel: str
    """Name of the kernel in the process that plans, for the estimate of time."""
    constant_time: bool
    """Whether no memory address depends on what encryption and decryption keep secret."""

    @property
    def mechanism(self) -> Mechanism:
        """Mechanism of a release that spends the whole budget on the cells."""
        return self.design.budget

    @property
    def noise(self) -> NoisePlan | None:
        """How Laplace noise is drawn jointly; None for other noise."""
        return joint_noise(self.design, self.study.slots)

    @property
    def delta(self) -> Fraction:
        """What the release is debited with: of Laplace noise computed, else as declared."""
        return spent_delta(self.design, self.study.slots)

    @cached_property
    def insiders(self) -> Insiders:
        """What the release tells the public and each role of one person."""
        return Insiders.of(self.study, self.mechanism, self.delta)

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of one ciphertext."""
        return self.key_bits // 4

    @property
    def max_flags(self) -> int:
        """Most flags under the bounds, for every row party, with the average of dummies."""
        return _max_flags(self.study) + (self.padding.flags_added if self.padding else 0)

    @property
    def keys(self) -> int:
        """Keys under each of which there is an encrypted table: one for each column party."""
        return len(self.study.column_parties)

    @property
    def table_ciphertexts(self) -> int:
        """Ciphertexts of the encrypted table, of each where there are several keys."""
        return self.design.shown * self.packing.blocks

    @property
    def flag_bytes(self) -> int:
        """Most bytes of all flags together."""
        return self.max_flags * self.packing.blocks * self.ciphertext_bytes

    @property
    def table_bytes(self) -> int:
        """Bytes of the encrypted tables under all keys."""
        return self.keys * self.table_ciphertexts * self.ciphertext_bytes

    @property
    def coefficients(self) -> int:
        """Number of noisy values that will be decrypted."""
        return self.design.shown * self.study.width

    @cached_property
    def expected_stderr(self) -> dict[str, float]:
        """Root mean square standard error before refinement, by name of the reporting level."""
        names = level_names(self.study.row.dimensions)
        errors = self.design.stderrs(tree_of(self.study.row.dimensions))
        return {names[level]: float(np.sqrt(np.mean(error**2))) for level, error in errors.items()}

    def row_seconds(self, cores: int, rows: int, unsorted: int = 0) -> float:
        """Estimate the time in which the row party reads, tags and joins its rows.

        Args:
            cores: cores of a server.
            rows: rows in files that are sorted by id.
            unsorted: rows in files that are not.
        """
        return (rows / self._rates.rows + unsorted / self._rates.unsorted_rows) / cores

    def seconds(self, cores: int, *, rows: int = 0, row_persons: int = 0) -> float:
        """Estimate the time of a run at the most persons that the bounds allow, all flags matched.

        Args:
            cores: cores of a server with this plan's kernel.
            rows: rows of the row party's table, in files that are sorted by id; no plan knows them.
            row_persons: persons in the row party's table.
        """
        rate = self._rates
        blocks = self.packing.blocks
        tables = self.keys * self.table_ciphertexts
        sides = len(self.study.row_parties)
        parallel = (
            (sides * self.study.bounds.persons + self.keys * row_persons) / rate.persons
            + self.max_flags * blocks / rate.owner_encrypt
            + self.max_flags // sides * self.study.sensitivity.rows * blocks / rate.multiply
            + tables / rate.decrypt
            + self.keys * rate.mask_seconds(self.table_ciphertexts, self.key_bits)
            + self.row_seconds(1, rows + (self.padding.rows_added if self.padding else 0))
        )
        serial = tables / rate.public_encrypt
        serial += draw_cost.seconds(self.study, self.noise, self.coefficients, cores)
        return START_SECONDS + serial + parallel / cores

    @cached_property
    def _shape_cost(self) -> tree_shape.Cost | None:
        """What the empty nodes of the row tree cost; None without padding, which alone has any."""
        if self.padding is None:
            return None
        grid = ShardGrid((range(self.study.cells),), self.grid.batches)
        padding = Padding.of_study(self.study, grid)
        bare = replace(self, design=self.design.unfilled(), grid=grid, padding=padding)
        return self._cost() - bare._cost()

    def _cost(self) -> tree_shape.Cost:
        added = (self.padding.rows_added, self.padding.flags_added) if self.padding else (0, 0)
        return tree_shape.Cost(*added, self.table_bytes + self.flag_bytes, self.seconds(2))

    @property
    def _rates(self) -> Rates:
        return rates(self.kernel, self.key_bits, self.constant_time)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.name

    def rows(self) -> list[tuple[str, str]]:
        """Describe the plan for people, in pairs of what and how much."""
        study = self.study
        mechanism = self.mechanism
        counts = study.cells * study.slots
        sums = self.design.nodes * study.slots - counts
        sums_too = f", and {sums:,} sums of them" if sums > 0 else ""
        delta = f", delta {float(self.delta):.3g}" if self.delta else ""
        periods = f"period {study.period.grain}, {study.window_periods} in the window"
        join = "by id only" if study.period.grain == "none" else periods
        errors = ", ".join(f"{error:.3g} a {name}" for name, error in self.expected_stderr.items())
        return [
            (
                "Table",
                f"{study.cells:,} cells x {study.slots:,} columns = {counts:,} counts{sums_too}",
            ),
            ("Join", f"{join}, {len(self.grid.shards)} shards"),
            ("One person", one_person.sentence(study)),
            ("Bounds", one_person.derivation(study)),
            (
                "Privacy",
                f"{mechanism.noise} noise, epsilon {mechanism.epsilon}{delta}, "
                f"budget cap {decimal(study.privacy.cap)}",
            ),
            *noise_view.rows(study),
            *measure_view.rows(study, self.design),
            *insiders_view.rows(study, self.insiders),
            ("Draw", draw_cost.sentence(study, self.noise, self.coefficients)),
            ("Pool's view", pool_view.sentence(study, self.padding)),
            ("Tree's shape", tree_shape.sentence(study, self.design, self._shape_cost)),
            ("Expected error", f"standard error {errors}"),
            ("Mechanism", self.design.reason),
            ("Suppressed", withheld(study.privacy, study.privacy.suppress_below)),
            *self._cost_rows(),
        ]

    def _cost_rows(self) -> list[tuple[str, str]]:
        packing = self.packing
        rate = self._rates
        return [
            (
                "Encryption",
                f"Paillier {self.key_bits} bits, {measure_view.bits(self.study, packing)}, "
                f"{packing.per_block} counts a ciphertext, {packing.blocks} a cell",
            ),
            (
                "Ciphertexts",
                f"{self.table_ciphertexts:,} in the table{_under(self.keys)} "
                f"({readable_bytes(self.table_bytes)}), up "
                f"to {self.max_flags * packing.blocks:,} in flags "
                f"({readable_bytes(self.flag_bytes)})",
            ),
            ("Memory", Forecast.of(self).sentence()),
            (
                "Time",
                f"about {self.seconds(2):.0f} s on 2 cores with the kernel {self.kernel} at the "
                "largest allowed number of people, plus one second for every "
                f"{2 * rate.persons:,.0f} people of the row party's table and every "
                f"{2 * rate.rows / 1e6:.0f} million rows of it, or "
                f"{2 * rate.unsorted_rows / 1e6:.0f} million where its files are not sorted by id",
            ),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Give the plan as JSON: names with units, no private figure."""
        study = self.study
        return {
            "study": study.name,
            "title": dict(study.title),
            "study_digest": study.digest.hex(),
            "cells": study.cells,
            "slots": study.slots,
            "period": span_as_dict(study.period),
            "window_periods": study.window_periods,
            "regions": len(self.grid.regions),
            "batches": len(self.grid.batches),
            "shards": len(self.grid.shards),
            **self._encryption_as_dict(),
            "bounds": one_person.bounds(study),
            "one_person": one_person.as_dict(study),
            **noise_view.as_dict(study, self.design, self.delta, self.expected_stderr),
            **draw_cost.as_dict(study, self.noise),
            **measure_view.as_dict(study, self.design, self.packing),
            **withholding(study.privacy),
            "insiders": self.insiders.as_dict(),
            "view": pool_view.as_dict(study, self.padding),
            "tree_shape": tree_shape.as_dict(study, self.design, self._shape_cost),
            "memory": Forecast.of(self).as_dict(),
            **self._time_as_dict(),
        }

    def _encryption_as_dict(self) -> dict[str, Any]:
        return {
            "key_bits": self.key_bits,
            "slot_bits": self.packing.slot_bits,
            "slot_offset": self.packing.offset,
            "slots_per_ciphertext": self.packing.per_block,
            "ciphertexts_per_cell": self.packing.blocks,
            "table_ciphertexts": self.keys * self.table_ciphertexts,
            "table_bytes": self.table_bytes,
            "max_flags": self.max_flags,
            "max_flag_bytes": self.flag_bytes,
        }

    def _time_as_dict(self) -> dict[str, Any]:
        rate = self._rates
        return {
            "kernel": self.kernel,
            "constant_time": self.constant_time,
            "estimated_seconds_on_2_cores": round(self.seconds(2), 1),
            "estimated_persons_a_second_on_2_cores": round(2 * rate.persons),
            "estimated_rows_a_second_on_2_cores": round(2 * rate.rows),
            "estimated_unsorted_rows_a_second_on_2_cores": round(2 * rate.unsorted_rows),
        }


def make_plan(
    study: Study,
    *,
    key_bits: int = 3072,
    shards: int = 1,
    slot_bits: int | None = None,
    constant_time: bool = False,
    batch: Batch = "auto",
) -> Plan:
    """Work out the plan of a study, or refuse it.

    Args:
        study: the cross-tab.
        key_bits: bits of the Paillier modulus.
        shards: units of join work to aim for.
        slot_bits: bits of a slot; None computes them from the bounds and the noise.
        constant_time: whether to encrypt and decrypt without memory addresses that depend on
            secrets.
        batch: length of a batch of periods.

    Raises:
        PlanError: the key is too small, the table too large, counts could overflow a slot, the
            padding is impossible, Laplace noise may cost no delta, or the cap does not last.
        InputError: constant time is asked of a kernel that has none.
    """
    check_key_bits(key_bits)
    chosen = kernel()
    chosen.check(constant_time)
    check_shards(shards)
    check_size(study.cells * study.slots, "Use coarser domains or fewer dimensions")
    design = Design.of_study(study)
    check_size(design.shown * study.width, "Use a more regular hierarchy, or report fewer levels")
    noise = joint_noise(design, study.slots)
    check_joint(study, noise)
    check_lasts(study, design.budget, spent_delta(design, study.slots))
    packing = packing_of(study, design, noise, key_bits, slot_bits)
    grid = cut(study, shards, batch, _max_flags(study) * packing.blocks * key_bits // 4)
    padding = Padding.of_study(study, grid)
    return Plan(study, key_bits, packing, design, grid, padding, chosen.name, constant_time)


def _under(keys: int) -> str:
    return "" if keys == 1 else f" under each of {keys} keys"


def _max_flags(study: Study) -> int:
    """Most flags of all column parties under the bounds, for every row party."""
    return sum(study.most_flags_of(terms.name) for terms in study.column_parties)
