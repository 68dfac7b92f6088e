"""Looks for free space before a run: in the output folder, the work folders and the exchange."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from xstat_ray.errors import InputError
from xstat_ray.model.study import Role
from xstat_ray.planning.memory import flags_of
from xstat_ray.planning.plan import Plan
from xstat_ray.util.location import Location
from xstat_ray.util.readable import readable_bytes

_TABLES = 4
"""Tables of ciphertexts that a release keeps while it is unfinished, or that cross between domains:
with and without masks, the masks, and the opened one."""
_COEFFICIENT = 64
"""Bytes of a published count in all formats."""
_ROW = 20
"""Bytes of a row in a message: its tag and its cell."""


def output_bytes(plan: Plan) -> int:
    """Bytes that a release takes in its output folder, or in the folder where the run works."""
    return _TABLES * plan.table_bytes + _COEFFICIENT * plan.coefficients


def exchange_bytes(plan: Plan) -> int:
    """Most bytes that three domains put into their exchange, without the row party's rows."""
    return _TABLES * plan.table_bytes + plan.flag_bytes + _ROW * _added(plan)


def sent_bytes(plan: Plan, domain: Role | Literal["aggregator"], rows: int = 0) -> int:
    """Bytes that one domain puts into the exchange.

    Args:
        plan: the plan.
        domain: the domain.
        rows: rows of its table, where it is a party.
    """
    if domain == "row":
        return plan.table_bytes + _ROW * (rows + _added(plan) // len(plan.study.row_parties))
    if domain == "column":
        return plan.table_bytes + flags_of(plan, rows) * plan.packing.blocks * plan.ciphertext_bytes
    return 2 * plan.table_bytes


def _added(plan: Plan) -> int:
    return plan.padding.rows_added if plan.padding else 0


def check_disk(place: Location | Path, needed: int, what: str, key: str) -> None:
    """Refuse a folder whose disk has too little room; object stores have no such limit.

    Args:
        place: the folder, which need not be there yet.
        needed: bytes that it must take.
        what: what needs them, for the message.
        key: the setting that names the folder.

    Raises:
        InputError: it has less.
    """
    place = Location.of(place)
    if not place.is_local:
        return
    folder = place.local.absolute()
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    free = None
    with suppress(OSError):
        free = None if there is None else shutil.disk_usage(there).free
    if free is not None and free < needed:
        raise InputError(
            f"the disk has {readable_bytes(free)} free and {what} takes up to "
            f"{readable_bytes(needed)}",
            file=str(folder),
            key=key,
            remedy="Free space there, or name another folder",
        )


def sentence(plan: Plan) -> str:
    """Tell what a run takes on disks, for the plan."""
    return (
        f"{readable_bytes(output_bytes(plan))} in out; between three domains up to "
        f"{readable_bytes(exchange_bytes(plan))} in the exchange, and {_ROW} MB for a million rows"
    )
