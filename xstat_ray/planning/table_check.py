"""What the plan says of the row party's table: whether its files are sorted by id, and how long reading them takes.

A plan is public and looks at no table, but who holds one may have it looked at. The intake of a run
finds the order of all files; the driver is told in one word, never how many rows there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xstat_ray.inputs.source import Source
from xstat_ray.inputs.table_order import FileOrder, Order, file_orders, order_of
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan
from xstat_ray.roles.row_table import open_row_table

_NAMED = 3
"""Files that a sentence names."""


@dataclass(frozen=True)
class TableLook:
    """The row party's table, looked at."""

    files: tuple[FileOrder, ...]

    @property
    def order(self) -> Order:
        """That of the worst file."""
        return order_of(self.files)

    @property
    def rows(self) -> int | None:
        """Of all files; None where a file does not tell."""
        rows = [one.rows for one in self.files if one.rows is not None]
        return sum(rows) if len(rows) == len(self.files) else None

    def seconds(self, plan: Plan, cores: int) -> float | None:
        """Rough time for reading, tagging and joining all rows.

        None for files that are not Parquet.
        """
        if self.rows is None:
            return None
        unsorted = sum(one.rows or 0 for one in self.files if one.order == "unsorted")
        return plan.row_seconds(cores, self.rows - unsorted, unsorted)

    def sentence(self, plan: Plan) -> str:
        """For the owner of the table."""
        unsorted = self._names("unsorted")
        names = ", ".join(unsorted[:_NAMED]) + (", ..." if len(unsorted) > _NAMED else "")
        order = {
            "sorted": "sorted by id",
            "unknown": "sorted by id as far as was looked",
            "unsorted": f"{len(unsorted):,} of them not sorted by id ({names})",
        }[self.order]
        seconds = self.seconds(plan, 2)
        time = (
            "" if seconds is None else f"; about {seconds:.0f} s on 2 cores for {self.rows:,} rows"
        )
        return f"{len(self.files):,} {'file' if len(self.files) == 1 else 'files'}, {order}{time}"

    def as_dict(self, plan: Plan) -> dict[str, Any]:
        """As JSON, names of files included."""
        seconds = self.seconds(plan, 2)
        return {
            "files": len(self.files),
            "rows": self.rows,
            "order": self.order,
            "unsorted": self._names("unsorted"),
            "unknown": self._names("unknown"),
            "estimated_seconds_on_2_cores": None if seconds is None else round(seconds, 1),
        }

    def _names(self, order: Order) -> list[str]:
        return [one.file.name for one in self.files if one.order == order]


def inspect_order(study: Study, source: Source) -> TableLook:
    """Look at the row party's table: at the form and the footer of every file, and at the first ids of each.

    Raises:
        InputError: it cannot be used as the row party's table.
    """
    table = open_row_table(study, source.table, source.skip_damaged)
    return TableLook(tuple(file_orders(table, table.pieces(), study.row.id)))


def order_sentence(plan: Plan, is_sorted: bool) -> str:
    """What the intake found, for the driver and whoever reads its terminal: no figure of the table."""
    if is_sorted:
        return "The row party's files are sorted by id."
    slower = plan.row_seconds(1, 0, 1) / plan.row_seconds(1, 1)
    return (
        "The row party has files that are not sorted by id; its own record names them. Reading those takes about "
        f"{slower:.1g} times as long."
    )
