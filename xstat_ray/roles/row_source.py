"""Opens the row party's table."""

from __future__ import annotations

from xstat_ray.inputs.read_digests import TableDigests
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.tables import Table, open_table
from xstat_ray.model.study import Study


def open_row_table(study: Study, source: Source, digests: TableDigests | None = None) -> Table:
    """Open the row party's table and check its form.

    Args:
        study: tells which columns are read.
        source: the table, and how it is read.
        digests: compares what is read with what was read before.

    Raises:
        InputError: the table cannot be used; names file, column and remedy.
    """
    side = study.row
    return open_table(
        source.files,
        id=side.id,
        times=[side.time] if side.time else [],
        numbers=[side.weight] if side.weight else [],
        values=[d.column for d in side.dimensions],
        skip_damaged=source.skip_damaged,
        digests=digests,
        options=source.options,
    )
