"""Fits a run into a machine's memory: chooses the length of a batch, warns, or refuses the run.

A run looks at the sizes of both tables' files for this, or at the bounds where padding hides sizes
from the driver; each environment of the row party checks for itself, too (`roles.row_shape`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

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

BATCH = "batch"
"""Key of the setting whose value is to blame where a batch is too long."""
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
    shape = RowShape.of_sizes(study, list_files(row.files, row.options, "size"))
    rows = 0
    for terms in study.column_parties:
        column = sources[terms.name]
        rows += sum(map(guessed_rows, list_files(column.files, column.options, "size")))
    return Look(shape, rows)


def _footers(source: Source, id: str) -> tuple[Table, int]:
    """Make a table of every n-th file, whose form is not checked; returns n with it."""
    files = list_files(source.files, source.options)
    each = -(-len(files) // _FILES)
    uses: dict[str, ColumnUse] = dict.fromkeys(columns_of(id), "id")
    return Table("", files[::each], uses, {}, id=id), each


class Fit(NamedTuple):
    """A plan whose batches are as long as memory allows."""

    plan: Plan
    warning: str | None
    """Says that memory may not be enough, where only a guess tells it."""


def fitted(plan: Plan, options: Options, look: Look | None) -> Fit:
    """Choose the length of a batch with which a run fits into memory, where `batch` is auto.

    What nobody knows for certain refuses no run: sizes of files only guess at rows, and bounds are
    what the people of a table may be at most.

    Args:
        plan: the plan as its public figures make it.
        options: how to run, with the memory that the run may take.
        look: sizes of the tables; None where whoever asks may not know them, as with padding.

    Returns:
        The plan, or one of shorter batches.

    Raises:
        PlanError: even without a row no length of a batch is enough, or the one that is set is too
            long.
    """
    there = room(options)
    if there is None:
        return Fit(plan, None)
    cuts = dict(_cuts(plan, options))
    need = {length: _need(cut, options, look) for length, cut in cuts.items()}
    planned = need["as planned"]
    if planned <= there:
        return Fit(plan, None)
    enough = [length for length in cuts if need[length] <= there]
    if enough and options.batch == "auto":
        return Fit(cuts[enough[0]], None)
    _refuse_certain(cuts, options, there)
    # Bounds may lie far above the people of a table, and with padding each batch costs dummies.
    shortest = plan if look is None else cuts[min(cuts, key=lambda length: need[length])]
    remedy = f"Set batch={enough[0]}" if enough else _LESS
    basis = _BOUNDS if look is None else _SIZES
    warning = (
        f"The run may take about {readable_bytes(planned)} of memory, and has "
        f"{readable_bytes(there)}. That is a guess by {basis}, so the run is not refused; the row "
        "party's environment compares its rows with its memory before anything is encrypted. "
        f"{remedy}."
    )
    return Fit(shortest if options.batch == "auto" else plan, warning)


_SIZES = "the sizes of the files"
_BOUNDS = "the study's bounds"


def _refuse_certain(cuts: Mapping[str, Plan], options: Options, there: int) -> None:
    """Refuse a run that does not fit into memory even if both tables are empty.

    Raises:
        PlanError: it does not.
    """
    none = Look(RowShape([], [], inf), 0)
    need = {length: _need(cut, options, none) for length, cut in cuts.items()}
    enough = [length for length in cuts if need[length] <= there]
    if need["as planned"] <= there or (enough and options.batch == "auto"):
        return
    raise PlanError(
        f"the run would take {readable_bytes(need['as planned'])} of memory at least, and has "
        f"{readable_bytes(there)}",
        key=BATCH if enough else "memory",
        remedy=f"Set batch={enough[0]}" if enough else _LESS,
    )


_MORE = "Run on a machine with more memory, or set memory to what the run may take"
_FEWER = f"{_MORE}; fewer replicas take less"
_LESS = (
    "Run on a machine with more memory, set memory to what the run may take, or lower "
    "replicas.row and replicas.column"
)


def shorter(plan: Plan, options: Options) -> Plan | None:
    """The plan with the next shorter batches; None where they are set, or none are shorter."""
    if options.batch != "auto":
        return None
    _, *cuts = _cuts(plan, options)
    return cuts[0][1] if cuts else None


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
    if plan.study.period.grain == "none":
        return
    for length in BATCHES[1:]:
        # With padding short batches can need more dummies than there may be.
        with suppress(PlanError):
            cut = replace(options, batch=length).plan(plan.study)
            if len(cut.grid.batches) > len(plan.grid.batches):
                yield length, cut


def _need(plan: Plan, options: Options, look: Look | None) -> int:
    """Bytes that all processes of a run take together; without a look at most as bounds allow."""
    sizes = None if look is None else look.row.sizes(plan.grid.batches, room(options))
    column_rows = None if look is None else look.column_rows
    forecast = Forecast.of(plan, sizes, thread_count(), column_rows)
    if options.runtime == "local":
        return forecast.together
    tasks = min(options.in_flight, options.cluster.cpus or len(os.sched_getaffinity(0)))
    return (
        sum(count * forecast.peak(role) for role, count in options.replicas.items())
        + tasks * forecast.peak("pool")
        + forecast.peak("driver")
        + options.cluster.store_bytes
    )
