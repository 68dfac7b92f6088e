"""The forecast of memory: what the environment of each role takes at its peak, by stage.

What depends on the plan alone is public. What the row party's table adds is known to whoever may
look at it; otherwise the forecast tells what a million rows and a million people take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from xstat_ray.crypto.packing import Packing
from xstat_ray.model.memory_need import (
    EMITTED_ROW,
    HELD_ROW,
    PERSON,
    PROCESS,
    SURVEYED_PERSON,
    RowSizes,
)
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.padding import Padding
from xstat_ray.util.readable import readable_bytes

Party = Literal["row", "column", "pool", "driver"]
"""Whose process it is: a party's environment, a task of the pool, or the driver (in three domains
the aggregator plays both of these)."""
_NAMES: Mapping[Party, str] = {
    "row": "row party",
    "column": "column party",
    "pool": "a task",
    "driver": "driver",
}
STAGES = ("survey", "exchange", "emission", "join", "overlay", "masks")
"""The stages of a run, in order."""
_COLUMN_PERSON = 500
"""A person of the column party while the table is read."""
_FLAG = 60
"""A flag before it is encrypted: person, period, slot, tag, and what orders them."""
_TABLES = 90 << 20
"""Tables of powers with which a party encrypts."""
_MASK_TABLES = 20 << 20
"""Tables with which masks are made."""
_MESSAGE_ROW = 60
"""A row in a join: tag, cell, and what finds the equal tags."""
_DRAWN = 16
"""The numbers of dummy rows of a cell and batch."""
_COPIES = 3
"""Copies of ciphertexts that a call holds: those that come, those that go, and Python's numbers."""
_AT_ONCE = 5_000
"""Ciphertexts that a party encrypts in one call; `runtime.emission` has the same number."""
_FAN_IN = 8
"""Partials that one task adds; `roles.join` has the same number."""
_COEFFICIENT = 45
"""A noisy value while the table is opened: its noise, its plain number, and Python's numbers."""


class Planned(Protocol):
    """What a forecast needs of a plan."""

    @property
    def study(self) -> Study: ...  # noqa: D102
    @property
    def packing(self) -> Packing: ...  # noqa: D102
    @property
    def design(self) -> Design: ...  # noqa: D102
    @property
    def grid(self) -> ShardGrid: ...  # noqa: D102
    @property
    def padding(self) -> Padding | None: ...  # noqa: D102
    @property
    def max_flags(self) -> int: ...  # noqa: D102
    @property
    def ciphertext_bytes(self) -> int: ...  # noqa: D102
    @property
    def table_bytes(self) -> int: ...  # noqa: D102
    @property
    def coefficients(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Forecast:
    """Bytes that each role's process takes at its peak."""

    stages: Mapping[Party, Mapping[str, int]]
    """Bytes by party and stage, a bare process not included."""
    has_rows: bool
    """Whether the row party's table is in it; else its people and rows come on top."""

    @classmethod
    def of(
        cls,
        plan: Planned,
        rows: RowSizes | None = None,
        threads: int = 2,
        column_rows: int | None = None,
    ) -> Forecast:
        """Forecast a run of a plan at the most people that the bounds allow.

        Args:
            plan: the plan.
            rows: sizes of the row party's table, where they are known.
            threads: threads of each environment.
            column_rows: rows of the column party's table, where they are known.
        """
        stages: Mapping[Party, Mapping[str, int]] = {
            "row": _row(plan, rows, threads),
            "column": _column(plan, column_rows),
            "pool": _pool(plan, rows, column_rows),
            "driver": _driver(plan),
        }
        return cls(stages, rows is not None)

    def peak(self, party: Party) -> int:
        """Most bytes of a party's process."""
        return PROCESS + max(self.stages[party].values())

    @property
    def together(self) -> int:
        """Most bytes of a process that plays all roles, one task of the pool at a time."""
        most = max(sum(of.get(stage, 0) for of in self.stages.values()) for stage in STAGES)
        return PROCESS + most

    def sentence(self) -> str:
        """Tell the peaks, for the plan."""
        peaks = ", ".join(
            f"{name} {readable_bytes(self.peak(party))}" for party, name in _NAMES.items()
        )
        if self.has_rows:
            return f"at most about: {peaks}; all in one process {readable_bytes(self.together)}"
        return (
            f"at most about: {peaks}; the row party takes {SURVEYED_PERSON} MB more for a million "
            f"people of its table, and {HELD_ROW + EMITTED_ROW} MB for a million rows of a batch"
        )

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Give bytes by role and stage, a bare process included, as JSON holds it."""
        return {
            party: {stage: PROCESS + need for stage, need in stages.items()}
            for party, stages in self.stages.items()
        }


def _row(plan: Planned, rows: RowSizes | None, threads: int) -> dict[str, int]:
    sizes = rows or RowSizes(0, 0, 0, 0)
    regions = len(plan.grid.regions)
    drawn = 0 if plan.padding is None else _DRAWN * plan.padding.batches * plan.padding.cells
    return {
        "survey": sizes.survey(threads),
        "exchange": sizes.exchange,
        "emission": sizes.emission(threads, regions) + EMITTED_ROW * _dummies(plan) + drawn,
        "masks": sizes.exchange + _opening(plan),
    }


def _column(plan: Planned, rows: int | None) -> dict[str, int]:
    persons = _persons(plan, rows)
    flags = flags_of(plan, rows)
    kept = PERSON * persons + _FLAG * flags
    part = min(_AT_ONCE, flags * plan.packing.blocks) * plan.ciphertext_bytes
    return {
        "survey": _COLUMN_PERSON * persons,
        "exchange": kept,
        "emission": kept + _TABLES + _COPIES * part,
        "masks": kept + _opening(plan),
    }


def _dummies(plan: Planned) -> int:
    """Dummy rows of a row party in a shard, about."""
    if plan.padding is None:
        return 0
    shards = len(plan.grid.batches) * len(plan.grid.regions)
    return -(-plan.padding.rows_added // (shards * plan.padding.row_parties))


def _persons(plan: Planned, rows: int | None) -> int:
    """Most people of the column party."""
    persons = plan.study.bounds.persons
    return persons if rows is None else min(persons, rows)


def flags_of(plan: Planned, rows: int | None) -> int:
    """Most flags of a table of so many rows, dummies included; of any table where None."""
    spare = plan.study.bounds.persons - _persons(plan, rows)
    return plan.max_flags - spare * plan.study.sensitivity.flags


def _pool(plan: Planned, rows: RowSizes | None, column_rows: int | None) -> dict[str, int]:
    batches = len(plan.grid.batches)
    regions = len(plan.grid.regions)
    number = flags_of(plan, column_rows)
    size = plan.packing.blocks * plan.ciphertext_bytes
    flags = -(-number // batches) * size
    met = min(plan.design.cells // regions, number * plan.study.sensitivity.rows)
    partial = met * size
    of_shard = _dummies(plan) + (0 if rows is None else -(-rows.batch // regions))
    message = _MESSAGE_ROW * of_shard
    return {"join": 2 * flags + message + 2 * partial, "overlay": (_FAN_IN + 2) * partial}


def _driver(plan: Planned) -> dict[str, int]:
    return {"overlay": _COPIES * plan.table_bytes, "masks": _COPIES * plan.table_bytes}


def _opening(plan: Planned) -> int:
    """Bytes of the table that a party masks or opens."""
    return _MASK_TABLES + _COPIES * plan.table_bytes + _COEFFICIENT * plan.coefficients
