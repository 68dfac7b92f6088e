"""The ID exchange: how many persons of both parties get their keys in a second, and its memory."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import Record, Work, peak_records, timing_record
from xstat_ray.crypto.channel import Channel
from xstat_ray.crypto.oprf import item_hashes
from xstat_ray.model.messages import Matrix
from xstat_ray.model.study import Role
from xstat_ray.roles.id_exchange import IdExchange
from xstat_ray.runtime.progress import Progress

_STUDY = bytes(32)
_SESSION = "0" * 32


@dataclass(frozen=True)
class Sizes:
    """Persons of both tables, half of which are in both."""

    rounds: int
    persons: int
    """Persons of each party."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time the whole exchange in one process: both parties' hashing, transfers, matrices, sealing.

    Every round is an exchange of its own, as no key stream may be used twice.
    """
    ids = {
        "row": _ids(range(sizes.persons)),
        "column": _ids(range(sizes.persons // 2, sizes.persons // 2 + sizes.persons)),
    }

    def whole() -> None:
        exchange(ids["row"], ids["column"])

    work = Work(whole, 2 * sizes.persons)
    peak = peak_records("exchange.peak_bytes", whole, progress)
    rate = timing_record(
        "exchange.persons_per_s", "persons/s", work, None, rounds=sizes.rounds, progress=progress
    )
    return [rate, *peak]


def exchange(of_row: NDArray[np.bytes_], of_column: NDArray[np.bytes_]) -> int:
    """Exchange all ids; returns how many persons of the row party are in both tables.

    Args:
        of_row: (P,) ids.
        of_column: (Q,) ids.
    """
    secret = os.urandom(32)
    row = IdExchange("row", os.urandom(32))
    column = IdExchange("column", os.urandom(32))
    row.take(item_hashes(secret, of_row), b"row")
    column.take(item_hashes(secret, of_column), b"column")
    of_row_party = row.offer()
    of_column_party = column.offer()
    chosen = row.choose(of_row_party, of_column_party, _SESSION)
    row.accept(column.choose(of_column_party, of_row_party, _SESSION), _SESSION)
    column.accept(chosen, _SESSION)
    channels: dict[Role, Channel] = {role: Channel(secret, role) for role in ("row", "column")}
    for number in range(row.shape.bins):
        column.evaluate(_sent(channels["row"], row.hide(number, secret)), secret)
        row.evaluate(_sent(channels["column"], column.hide(number, secret)), secret)
    return len(np.intersect1d(_as_numbers(row.person_keys), _as_numbers(column.person_keys)))


def _sent(channel: Channel, matrix: Matrix) -> Matrix:
    """Encode, seal, open and decode a matrix."""
    return Matrix.decode(channel.open(channel.seal(matrix.encode(_STUDY), ""), ""), _STUDY)


def _ids(numbers: range) -> NDArray[np.bytes_]:
    """Telephone numbers."""
    return np.array([b"+8190%08d" % number for number in numbers])


def _as_numbers(keys: NDArray[np.uint8]) -> NDArray[np.void]:
    return np.ascontiguousarray(keys).view(f"V{keys.shape[1]}")[:, 0]
