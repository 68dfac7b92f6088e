"""Two parties that have gone part of the way, for the tests of the roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xstat_ray.model.study import Study
from xstat_ray.roles import ColumnParty, RowParty

TAG_BYTES = 16


def agreed_pair(study: Study, row_table: Path, column_table: Path) -> tuple[RowParty, ColumnParty]:
    """After the handshake."""
    row = RowParty(study, row_table)
    column = ColumnParty(study, column_table)
    hellos = row.hello(), column.hello()
    confirmations = row.agree(hellos[1]), column.agree(hellos[0])
    row.confirm(confirmations[1])
    column.confirm(confirmations[0])
    return row, column


def exchanged_pair(small: Any) -> tuple[RowParty, ColumnParty]:
    """After the ID exchange of the small study."""
    row, column = agreed_pair(small.study, small.row, small.column)
    for party, other in ((row, column), (column, row)):
        whole = range(party.intake())
        party.finalize([other.evaluate(party.blind(whole), whole)], [whole])
    return row, column
