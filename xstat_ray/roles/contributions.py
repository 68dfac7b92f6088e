"""What the row party's environments send each other, so that one of them emits the rows of all.

It passes through the driver, sealed, and sizes must tell it nothing. So every contribution is as
long as the whole message of rows will be, which the driver sees in any case. To know that length,
the environments first announce to each other how many rows they have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import InputError
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard

NO_CELL = np.uint32(0xFFFF_FFFF)
"""In place of a cell in the rows that fill a contribution up."""


def announce(channel: Channel, batch: int, numbers: NDArray[np.int64]) -> bytes:
    """Seal the (regions,) numbers of rows that an environment has in the shards of a batch."""
    return channel.seal(numbers.astype("<i8").tobytes(), _batch(batch))


def add_up(channel: Channel, batch: int, announced: Sequence[bytes]) -> NDArray[np.int64]:
    """(regions,) sums of what all environments have announced for a batch.

    Raises:
        ProtocolError: an announcement was altered, or is of another batch.
    """
    opened = [np.frombuffer(channel.open(numbers, _batch(batch)), "<i8") for numbers in announced]
    total: NDArray[np.int64] = np.sum(opened, axis=0)
    return total


def contribute(channel: Channel, digest: bytes, shard: Shard, rows: Rows, size: int) -> bytes:
    """Seal an environment's rows of a shard, filled up to `size` rows.

    Raises:
        InputError: there are more rows than were announced.
    """
    missing = size - len(rows.cells)
    if missing < 0:
        raise InputError(
            "the row party's table changed while it was read", remedy="Start the run again"
        )
    filled = Rows(
        view=rows.view,
        shard=rows.shard,
        tags=np.concatenate([rows.tags, np.zeros((missing, rows.tags.shape[1]), np.uint8)]),
        cells=np.concatenate([rows.cells, np.full(missing, NO_CELL)]),
    )
    return channel.seal(filled.encode(digest), _shard(shard))


def take(channel: Channel, digest: bytes, shard: Shard, sealed: bytes) -> Rows:
    """Open what another environment has contributed to a shard, without what fills it up.

    Raises:
        ProtocolError: it was altered, or is of another shard.
    """
    filled = Rows.decode(channel.open(sealed, _shard(shard)), digest)
    real = filled.cells != NO_CELL
    tags = filled.tags[real]
    return Rows(view=filled.view, shard=filled.shard, tags=tags, cells=filled.cells[real])


def _batch(number: int) -> str:
    return f"numbers of rows of batch {number}"


def _shard(shard: Shard) -> str:
    return f"rows of shard {shard.number}"
