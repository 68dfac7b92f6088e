"""Checks the row party's table for a plan: whether its files are sorted by id, and what they take.

A plan is public and looks at no table, but the owner of one may have it checked. During a run the
intake finds the order of all files; it tells the driver in one word, and never how many rows there
are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xstat_ray.inputs.source import Source
from xstat_ray.inputs.table_order import FileOrder, Order, file_orders, order_of
from xstat_ray.model.memory_need import RowSizes
from xstat_ray.model.study import Study
from xstat_ray.planning.memory import Forecast
from xstat_ray.planning.plan import Plan

RowSizesOf = Callable[[Sequence[range]], RowSizes]
"""Tells how large the row party's table is, by the periods of the batches."""
_NAMED = 3
"""Most files that a sentence names."""


@dataclass(frozen=True)
class TableCheck:
    """What was found of the row party's table."""

    files: tuple[FileOrder, ...]
    shape: RowSizesOf | None = None
    """Tells the sizes of the table for these batches; None where nobody looked."""

    @property
    def order(self) -> Order:
        """Order of the table: that of its worst file."""
        return order_of(self.files)

    @property
    def rows(self) -> int | None:
        """Number of rows; None where a file does not tell."""
        rows = [found.rows for found in self.files if found.rows is not None]
        return sum(rows) if len(rows) == len(self.files) else None

    def seconds(self, plan: Plan, cores: int) -> float | None:
        """Estimate the time for reading, tagging and joining all rows.

        Returns:
            Seconds on `cores` cores, None where the number of rows is not known.
        """
        if self.rows is None:
            return None
        unsorted = sum(found.rows or 0 for found in self.files if found.order == "unsorted")
        return plan.row_seconds(cores, self.rows - unsorted, unsorted)

    def sentence(self, plan: Plan) -> str:
        """Tell the owner of the table what was found."""
        unsorted = self._names("unsorted")
        names = ", ".join(unsorted[:_NAMED]) + (", ..." if len(unsorted) > _NAMED else "")
        order = {
            "sorted": "sorted by id",
            "unknown": "sorted by id as far as it was read",
            "unsorted": f"{len(unsorted):,} of them not sorted by id ({names})",
        }[self.order]
        seconds = self.seconds(plan, 2)
        time = (
            "" if seconds is None else f"; about {seconds:.0f} s on 2 cores for {self.rows:,} rows"
        )
        memory = "" if self.shape is None else f"; memory {self._memory(plan).sentence()}"
        many = "file" if len(self.files) == 1 else "files"
        return f"{len(self.files):,} {many}, {order}{time}{memory}"

    def _memory(self, plan: Plan) -> Forecast:
        return Forecast.of(plan, None if self.shape is None else self.shape(plan.grid.batches))

    def as_dict(self, plan: Plan) -> dict[str, Any]:
        """Give what was found as JSON, with the names of files."""
        seconds = self.seconds(plan, 2)
        return {
            "files": len(self.files),
            "rows": self.rows,
            "order": self.order,
            "unsorted": self._names("unsorted"),
            "unknown": self._names("unknown"),
            "estimated_seconds_on_2_cores": None if seconds is None else round(seconds, 1),
            "memory": None if self.shape is None else self._memory(plan).as_dict(),
        }

    def _names(self, order: Order) -> list[str]:
        return [found.file.name for found in self.files if found.order == order]


def inspect_order(study: Study, source: Source) -> TableCheck:
    """Find the order of the row party's table by the footers and the first ids of its files.

    Raises:
        InputError: the table cannot be used as the row party's.
    """
    # A plan that looks at no table needs nothing of the roles, whose libraries take long to load.
    from xstat_ray.roles.row_shape import RowShape, cover
    from xstat_ray.roles.row_source import open_row_table

    table = open_row_table(study, source)
    pieces = table.pieces()
    shape = RowShape.of(table, pieces, [cover(study, piece) for piece in pieces])

    def sizes(batches: Sequence[range]) -> RowSizes:
        return shape.sizes(batches, None)

    return TableCheck(tuple(file_orders(table, pieces, study.row.id)), sizes)


def order_sentence(plan: Plan, is_sorted: bool) -> str:
    """Tell the driver what the intake found, without any figure of the table."""
    if is_sorted:
        return "The row party's files are sorted by id."
    slower = plan.row_seconds(1, 0, 1) / plan.row_seconds(1, 1)
    return (
        "The row party has files that are not sorted by id; parties/row/intake.json names them. "
        f"Reading those takes about {slower:.1g} times as long."
    )
