"""Fits a run into the memory of a machine: chooses the length of a batch, or refuses the run.

A run looks at the sizes of both tables' files for this, unless padding hides them from the driver;
each environment of the row party checks for itself, too (`roles.row_shape`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from xstat_ray.errors import InputError, PlanError
from xstat_ray.inputs.composite_ids import columns_of
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.table_columns import ColumnUse
from xstat_ray.inputs.table_files import list_files
from xstat_ray.inputs.tables import Table
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.batching import BATCHES
from xstat_ray.planning.memory import Forecast
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan
from xstat_ray.roles.row_shape import RowShape, guessed_rows, rows_of
from xstat_ray.util.memory import memory_bytes
from xstat_ray.util.readable import readable_bytes
from xstat_ray.util.threads import thread_count

_FILES = 1_000
"""Most files of a table whose footers are read."""


@dataclass(frozen=True, repr=False)
class Look:
    """What the sizes of the tables' files tell. Not public."""

    row: RowShape
    column_rows: int
    """Rows of the column party's table, about; where there are several, of all together."""


def look_at(study: Study, sources: Mapping[str, Source]) -> Look:
    """Guess the rows of all tables by the sizes of their files, of which none is opened.

    Whoever looks here may read nobody's id, and the footer of a file can hold some. The row party's
    environment looks closer.

    Raises:
        InputError: a table cannot be found.
    """
    row = sources["row"]
    shape = RowShape.of_sizes(study, list_files(row.files, row.options))
    rows = 0
    for terms in study.column_parties:
        column = sources[terms.name]
        rows += sum(map(guessed_rows, list_files(column.files, column.options)))
    return Look(shape, rows)


def _footers(source: Source, id: str) -> tuple[Table, int]:
    """Make a table of every n-th file, whose form is not checked; returns n with it."""
    files = list_files(source.files, source.options)
    each = -(-len(files) // _FILES)
    uses: dict[str, ColumnUse] = dict.fromkeys(columns_of(id), "id")
    return Table("", files[::each], uses, {}, id=id), each


def fitted(plan: Plan, options: Options, look: Look) -> Plan:
    """Choose the length of a batch with which a run fits into memory, where `batch` is auto.

    Args:
        plan: the plan as its public figures make it.
        options: how to run, with the memory that the run may take.
        look: sizes of the tables.

    Returns:
        The plan, or one of shorter batches.

    Raises:
        PlanError: no length of a batch is enough, or the one that is set is too long.
    """
    there = room(options)
    if there is None:
        return plan
    need = {length: (cut, _need(cut, options, look)) for length, cut in _cuts(plan, options)}
    if need["as planned"][1] <= there:
        return plan
    enough = [(length, cut) for length, (cut, bytes) in need.items() if bytes <= there]
    if enough and options.batch == "auto":
        return enough[0][1]
    least = min(bytes for _, bytes in need.values())
    shorter = f"Set batch={enough[0][0]}" if enough else _LESS
    raise PlanError(
        f"the run would take about {readable_bytes(need['as planned'][1])} of memory, and has "
        f"{readable_bytes(there)}" + ("" if enough else f"; at least {readable_bytes(least)}"),
        key="batch" if enough else "memory",
        remedy=shorter,
    )


_MORE = "Run on a machine with more memory, or set memory to what the run may take"
_FEWER = f"{_MORE}; fewer replicas take less"
_LESS = (
    "Run on a machine with more memory, set memory to what the run may take, or lower "
    "replicas.row and replicas.column"
)


def party_rows(study: Study, role: Role, source: Source) -> int | None:
    """Rows of a party's table, about; None where they are not in files that can be read."""
    if source.is_outside:
        return None
    side = study.row if role == "row" else study.column
    try:
        table, each = _footers(source, side.id)
        return each * sum(map(rows_of, table.pieces()))
    except InputError:
        # The intake tells better what is wrong with a table.
        return None


def check_party(plan: Plan, options: Options, role: Role, rows: int | None) -> None:
    """Refuse a party's part of a run between domains that does not fit into memory.

    The row party's environment looks at its rows itself.

    Args:
        plan: the plan.
        options: how to run.
        role: the party.
        rows: rows of its table, where they are known.

    Raises:
        PlanError: it does not fit.
    """
    forecast = Forecast.of(plan, column_rows=rows if role == "column" else None)
    need = options.replicas.get(role, 1) * forecast.peak(role)
    _check_domain(need, room(options), "the environments take", _FEWER)


def check_aggregator(plan: Plan, options: Options) -> None:
    """Refuse the aggregator's part of a run between domains that does not fit into memory.

    Raises:
        PlanError: it does not fit.
    """
    forecast = Forecast.of(plan)
    need = forecast.peak("driver") + forecast.peak("pool")
    _check_domain(need, room(options), "the aggregator takes", _MORE)


def _check_domain(need: int, there: int | None, what: str, remedy: str) -> None:
    if there is not None and need > there:
        raise PlanError(
            f"{what} about {readable_bytes(need)} of memory, and there are {readable_bytes(there)}",
            key="memory",
            remedy=remedy,
        )


def room(options: Options) -> int | None:
    """Bytes that a run may take; None where another machine's memory counts, or nobody knows."""
    if options.memory is not None:
        return options.memory
    joined = options.runtime == "ray" and options.cluster.address not in (None, "local")
    return None if joined else memory_bytes()


def _cuts(plan: Plan, options: Options) -> Iterator[tuple[str, Plan]]:
    """List the plan as it is, then with shorter and shorter batches."""
    yield "as planned", plan
    if plan.padding is not None or plan.study.period.grain == "none":
        return
    for length in BATCHES[1:]:
        cut = replace(options, batch=length).plan(plan.study)
        if len(cut.grid.batches) > len(plan.grid.batches):
            yield length, cut


def _need(plan: Plan, options: Options, look: Look) -> int:
    """Bytes that all processes of a run take together."""
    sizes = look.row.sizes(plan.grid.batches, room(options))
    forecast = Forecast.of(plan, sizes, thread_count(), look.column_rows)
    if options.runtime == "local":
        return forecast.together
    tasks = min(options.in_flight, options.cluster.cpus or len(os.sched_getaffinity(0)))
    return (
        sum(count * forecast.peak(role) for role, count in options.replicas.items())
        + tasks * forecast.peak("pool")
        + forecast.peak("driver")
        + options.cluster.store_bytes
    )
