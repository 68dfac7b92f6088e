"""The join and the sum, on ciphertexts: all that the aggregator does.

Equal tags are found, and the ciphertexts of the flags that a cell's rows met are multiplied modulo
n^2, which adds what they encrypt. This needs no private key, no randomness and nobody's identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.crypto.sums import accumulate
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Flags, Partial, Rows

FAN_IN = 8
"""Partials added by one task of the reduce tree (measured: 4 to 8 is best; fewer tasks with 8)."""


def match(
    row_tags: NDArray[np.uint8], flag_tags: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs of equal tags.

    Both sides are sorted, so each flag is looked up in the rows by binary search: the cost grows
    with the flags, and with the rows only by their logarithm, plus one pass that checks the order
    the sender claims.

    Args:
        row_tags: (N, 16) sorted; one tag may occur in several rows.
        flag_tags: (M, 16) sorted, without repeats.

    Returns:
        (K,) row numbers and (K,) flag numbers of the K matches, grouped by flag.

    Raises:
        ProtocolError: a side is not sorted, or two flags carry one tag.
    """
    if not is_sorted(row_tags) or not is_sorted(flag_tags):
        raise ProtocolError("tags are not sorted")
    if len(flag_tags) and (flag_tags[1:] == flag_tags[:-1]).all(axis=1).any():
        raise ProtocolError("two flags carry the same tag")
    row_low, row_high = _words(row_tags)
    flag_low, flag_high = _words(flag_tags)
    first = np.searchsorted(row_low, flag_low, side="left")
    count = np.searchsorted(row_low, flag_low, side="right") - first
    flag = np.repeat(np.arange(len(flag_tags)), count)
    row = np.arange(len(flag)) + np.repeat(first - (np.cumsum(count) - count), count)
    equal = row_high[row] == flag_high[flag]
    return row[equal], flag[equal]


def _words(tags: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    words = np.ascontiguousarray(tags).view("<u8").reshape(-1, 2)
    return np.ascontiguousarray(words[:, 0]), words[:, 1]


def join(public: PublicKey, rows: Rows, flags: Sequence[Flags]) -> Partial:
    """Count one shard: per cell the product of the ciphertexts of all flags that its rows match.

    Args:
        public: the key holder's public key.
        rows: the shard's rows.
        flags: the parts of the shard's batch, in order.

    Returns:
        The cells of the shard that matched at least once.

    Raises:
        ProtocolError: malformed, unsorted or repeated tags, or flags of different batches or
            shapes.
    """
    if (
        len({part.batch for part in flags}) > 1
        or len({part.ciphertexts.shape[1:] for part in flags}) > 1
    ):
        raise ProtocolError("flags of different batches or shapes")
    row, flag = match(rows.tags, np.concatenate([part.tags for part in flags]))
    met, index = np.unique(flag, return_inverse=True)
    return _sum_by_cell(public, rows.cells[row], _ciphertexts(flags, met), index)


def _ciphertexts(flags: Sequence[Flags], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Pick the (K, blocks, width) ciphertexts of some flags; a shard meets few of its batch.

    Args:
        flags: the parts of a batch.
        numbers: (K,) flags, numbered through all parts, ascending.
    """
    ends = np.cumsum([len(part.tags) for part in flags])
    sections = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
    return np.concatenate(
        [
            part.ciphertexts[section - (end - len(part.tags))]
            for part, section, end in zip(flags, sections, ends, strict=True)
        ]
    )


def add(public: PublicKey, partials: Sequence[Partial]) -> Partial:
    """Overlay partials: unite their cells, and multiply ciphertexts of the same cell."""
    cells = np.concatenate([partial.cells for partial in partials])
    ciphertexts = np.concatenate([partial.ciphertexts for partial in partials])
    return _sum_by_cell(public, cells, ciphertexts, np.arange(len(cells)))


def _sum_by_cell(
    public: PublicKey,
    cells: NDArray[np.uint32],
    ciphertexts: NDArray[np.uint8],
    index: NDArray[np.int64],
) -> Partial:
    """Multiply ciphertexts[index[i]] into cell cells[i], for every i.

    The bytes of a cell with a single ciphertext stay as they are.
    """
    order = np.lexsort((index, cells))
    index = index[order]
    unique, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
    blocks = ciphertexts.shape[1]
    result = ciphertexts[index[starts]]
    several = counts > 1
    if several.any():
        chosen = np.repeat(several, counts)
        segments = np.cumsum(counts[several]) - counts[several]
        for block in range(blocks):
            column = np.ascontiguousarray(ciphertexts[:, block])
            result[several, block] = accumulate(public, column, index[chosen], segments)
    return Partial(cells=unique, ciphertexts=result)


def lay_out(public: PublicKey, partial: Partial, cells: int, blocks: int) -> NDArray[np.uint8]:
    """Lay out the whole row domain.

    A cell in which nobody was counted becomes the number 1, an encryption of zero.

    Args:
        public: the key holder's public key.
        partial: the cells that were counted.
        cells: size of the row domain.
        blocks: ciphertexts of a cell.

    Returns:
        (cells, blocks, width).

    Raises:
        ProtocolError: a cell outside the domain, or another number of blocks.
    """
    if len(partial.cells) and int(partial.cells[-1]) >= cells:
        raise ProtocolError("a partial names a cell outside the domain")
    table = np.zeros((cells, blocks, public.width), np.uint8)
    table[:, :, 0] = 1
    if len(partial.cells):
        if partial.ciphertexts.shape[1:] != (blocks, public.width):
            raise ProtocolError("a partial has another number of blocks or another key size")
        table[partial.cells] = partial.ciphertexts
    return table


def sum_up(
    public: PublicKey, table: NDArray[np.uint8], starts: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Take one step up the row tree: multiply the consecutive descendants of every node.

    This sums all columns at once, since they share the ciphertexts.

    Args:
        public: gives the modulus.
        table: (nodes, blocks, width) of the lower level, in blinded order.
        starts: (upper nodes,) where the descendants of each upper node begin, from 0.

    Returns:
        (upper nodes, blocks, width).
    """
    nodes = np.arange(len(table))
    columns = [
        accumulate(public, np.ascontiguousarray(table[:, block]), nodes, starts)
        for block in range(table.shape[1])
    ]
    return np.stack(columns, axis=1)
