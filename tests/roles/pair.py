"""Two parties that have gone part of the way, for the tests of the roles, and their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Role, Study
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.roles.party import Party
from xstat_ray.roles.session import SECRETS

TAG_BYTES = 16
FRESH: Mapping[Role, bytes | None] = {"row": None, "column": None}
"""Stands for seeds that each party draws for itself."""


def agreed_pair(
    study: Study, row_table: Path, column_table: Path, seeds: Mapping[Role, bytes | None] = FRESH
) -> tuple[RowParty, ColumnParty]:
    """Make two parties after the handshake."""
    row = RowParty(study, row_table, seed=seeds["row"])
    column = ColumnParty(study, column_table, seed=seeds["column"])
    hellos = row.hello(), column.hello()
    confirmations = row.agree(hellos[1]), column.agree(hellos[0])
    row.confirm(confirmations[1])
    column.confirm(confirmations[0])
    return row, column


def exchanged_pair(
    small: Any, seeds: Mapping[Role, bytes | None] = FRESH
) -> tuple[RowParty, ColumnParty]:
    """Make two parties after the ID exchange of the small study."""
    row, column = agreed_pair(small.study, small.row, small.column, seeds)
    row.intake()
    column.intake()
    exchange(row, column)
    return row, column


def transfer(row: RowParty, column: ColumnParty) -> Shape:
    """Lead two parties that have taken in their tables through the oblivious transfers."""
    offers = row.offer_columns(), column.offer_columns()
    choices = row.choose_columns(offers[1]), column.choose_columns(offers[0])
    shapes = row.accept_choices(choices[1]), column.accept_choices(choices[0])
    assert shapes[0] == shapes[1]
    return shapes[0]


def exchange(row: RowParty, column: ColumnParty, *replicas: Party) -> None:
    """Give the persons of two parties their keys, and those of replicas of the column party."""
    shape = transfer(row, column)
    for replica in replicas:
        replica.join_exchange((row if replica.role == "row" else column).share_exchange())
    for number in range(shape.bins):
        matrices = row.hide(number), column.hide(number)
        row.evaluate(matrices[1], number)
        column.evaluate(matrices[0], number)
        for replica in replicas:
            party = row if replica.role == "row" else column
            replica.put_keys([number], party.keys_of(number))


def secrets_of(party: Party) -> dict[str, bytes]:
    """Read what a party saves for a resumed run; a column party must have its key."""
    with TemporaryDirectory() as folder:
        party.save(Path(folder))
        return unpack_fields((Path(folder) / SECRETS).read_bytes())


def private_key(column: ColumnParty) -> PrivateKey:
    """Return the column party's Paillier key."""
    return PrivateKey.from_bytes(secrets_of(column)["paillier"])


def row_tags(row: RowParty, grid: ShardGrid) -> NDArray[np.uint8]:
    """(N, 16) tags of all rows that the row party emits."""
    row.prepare(grid)
    return np.concatenate([row.emit(shard).tags for shard in grid.shards])
