"""The join and the sum, on ciphertexts: all that the aggregator does.

Equal tags are found, and the ciphertexts of the flags that a cell's rows met are multiplied modulo
n^2, which adds what they encrypt. This needs no private key, no randomness and nobody's identity.

Each flag may meet so many rows of its batch and no more. A flag that meets more contributes
nothing, as if it had met none, so that a row party that sends the tag of one person again and again
gains nothing by it. Nobody is told: a refusal would tell the row party that the tag is a flag's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.crypto.sums import accumulate, check_reduced, divide
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles.matching import match, met, tags_of

FAN_IN = 8
"""Partials added by one task of the reduce tree (measured: 4 to 8 is best; fewer tasks with 8)."""


@dataclass(frozen=True)
class Joined:
    """Encrypted counts of rows of one batch, and what the row bound of the whole batch needs.

    The aggregator alone has it.
    """

    batch: int
    counts: Partial
    flags: NDArray[np.uint32]
    """(K,) for every row that is counted, the number of its flag through all parts of the batch."""
    cells: NDArray[np.uint32]
    """(K,) blinded cells of these rows."""
    left_out: NDArray[np.uint32]
    """(L,) flags that met more rows of one message than they may of a batch; none of these rows is
    counted. A flag may be named several times."""
    passed: NDArray[np.uint32]
    """(P,) for every row that a flag met and that counts for another column party, the number of
    its flag."""


def join(
    public: PublicKey,
    most: int,
    rows: Rows,
    flags: Sequence[Flags],
    preferred: Sequence[Sequence[Flags]] = (),
) -> Joined:
    """Count one shard: per cell the product of the ciphertexts of all flags that its rows match.

    Where there are several column parties each is counted for itself, under its key. A row that
    meets flags of several counts for the first of them alone.

    Args:
        public: the public key under which the flags are.
        most: rows that a flag may meet.
        rows: the shard's rows.
        flags: the parts of the shard's batch, in order.
        preferred: for each column party that comes before this one, the parts of its flags.

    Returns:
        The cells of the shard that matched at least once.

    Raises:
        ProtocolError: malformed, unsorted or repeated tags, flags of different batches or shapes,
            or messages of different views.
    """
    batch = _batch_of(flags)
    _check_views(rows, [*preferred, flags])
    for part in flags:
        check_reduced(public, part.ciphertexts.reshape(-1, part.ciphertexts.shape[2]))
    tags, order = tags_of(rows, len(preferred))
    row, flag, excessive = match(tags, _tags(flags), most)
    row = row if order is None else order[row]
    passed = flag[:0]
    if preferred:
        counted = _counted_before(rows, batch, preferred, most)[row]
        passed = flag[counted]
        flag = flag[~counted]
        row = row[~counted]
    cells = rows.cells[row]
    numbers, index = np.unique(flag, return_inverse=True)
    view = rows.views[len(preferred)]
    return Joined(
        batch=batch,
        counts=_sum_by_cell(public, view, cells, _ciphertexts(flags, numbers), index),
        flags=flag.astype(np.uint32),
        cells=cells,
        left_out=excessive.astype(np.uint32),
        passed=passed.astype(np.uint32),
    )


def _check_views(rows: Rows, parties: Sequence[Sequence[Flags]]) -> None:
    """Refuse flags of the first column parties that are of other views than the rows.

    Raises:
        ProtocolError: they are.
    """
    if [_view(parts) for parts in parties] != rows.views[: len(parties)]:
        raise ProtocolError("rows and flags of different views are not joined")


def _counted_before(
    rows: Rows, batch: int, preferred: Sequence[Sequence[Flags]], most: int
) -> NDArray[np.bool_]:
    """(N,) whether a row meets a flag of a column party that comes before.

    It does not matter whether that flag meets too many rows, which only a whole batch tells.

    Raises:
        ProtocolError: flags of another batch.
    """
    counted = np.zeros(len(rows.cells), bool)
    for number, flags in enumerate(preferred):
        if _batch_of(flags) != batch:
            raise ProtocolError("flags of different batches or shapes")
        tags, order = tags_of(rows, number)
        found = met(tags, _tags(flags), most)
        counted[slice(None) if order is None else order] |= found
    return counted


def _tags(flags: Sequence[Flags]) -> NDArray[np.uint8]:
    return np.concatenate([part.tags for part in flags])


def check_cells(rows: Rows, cells: int) -> None:
    """Check that all rows lie in the row domain, whether they match or not.

    If only rows that match were checked, a refusal would tell whether one does.

    Raises:
        ProtocolError: a row lies outside.
    """
    if len(rows.cells) and int(rows.cells.max()) >= cells:
        raise ProtocolError("a row lies in a cell outside the domain")


def _view(messages: Sequence[Flags | Partial]) -> str:
    """The view of which all of these are.

    Raises:
        ProtocolError: they are of several. What one view hides, two together could tell.
    """
    views = {message.view for message in messages}
    if len(views) != 1:
        raise ProtocolError("messages of different views are not joined or added")
    return views.pop()


def _batch_of(flags: Sequence[Flags]) -> int:
    """The batch of the parts of one batch's flags.

    Raises:
        ProtocolError: they are of different batches or shapes.
    """
    batches = {part.batch for part in flags}
    if len(batches) != 1 or len({part.ciphertexts.shape[1:] for part in flags}) > 1:
        raise ProtocolError("flags of different batches or shapes")
    return batches.pop()


def _ciphertexts(flags: Sequence[Flags], numbers: NDArray[np.integer]) -> NDArray[np.uint8]:
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


def merge(public: PublicKey, joined: Sequence[Joined]) -> Joined:
    """Overlay what was joined of one batch, before its row bound.

    Raises:
        ProtocolError: it is of different batches.
    """
    if len({part.batch for part in joined}) != 1:
        raise ProtocolError("what was joined is of different batches")
    return Joined(
        batch=joined[0].batch,
        counts=add(public, [part.counts for part in joined]),
        flags=np.concatenate([part.flags for part in joined]),
        cells=np.concatenate([part.cells for part in joined]),
        left_out=np.concatenate([part.left_out for part in joined]),
        passed=np.concatenate([part.passed for part in joined]),
    )


def bound(
    public: PublicKey, most: int, joined: Sequence[Joined], flags: Sequence[Flags]
) -> Partial:
    """Overlay all that was joined of a batch, without the flags that met too many rows.

    What these contributed is divided out again. The result has the very bytes that it would have
    had if they had met no row. Where a flag was lost in between and came again, encrypted anew, it
    is an encryption of the same counts.

    Args:
        public: the key holder's public key.
        most: rows that a flag may meet, over all shards of the batch.
        joined: everything that was joined of the batch.
        flags: the parts of the batch, as they were joined.

    Raises:
        ProtocolError: different batches or shapes, or a flag that is no ciphertext.
    """
    whole = merge(public, joined)
    view = _view([whole.counts, *flags])
    if _batch_of(flags) != whole.batch:
        raise ProtocolError("these are not the flags that were joined")
    found = np.concatenate([whole.flags, whole.passed])
    excessive = np.bincount(found, minlength=sum(len(part.tags) for part in flags)) > most
    excessive[whole.left_out] = True
    wrong = excessive[whole.flags]
    if not wrong.any():
        return whole.counts
    numbers, index = np.unique(whole.flags[wrong], return_inverse=True)
    removed = _sum_by_cell(public, view, whole.cells[wrong], _ciphertexts(flags, numbers), index)
    return _subtract(public, whole.counts, removed, np.unique(whole.cells[~wrong]))


def _subtract(
    public: PublicKey, counts: Partial, removed: Partial, cells: NDArray[np.uint32]
) -> Partial:
    """Divide out what is removed; only these ascending `cells` are left."""
    ciphertexts = counts.ciphertexts[np.searchsorted(counts.cells, cells)]
    fewer = np.isin(cells, removed.cells)
    divisors = removed.ciphertexts[np.isin(removed.cells, cells)]
    if fewer.any():
        shape = divisors.shape
        width = public.width
        divided = divide(public, ciphertexts[fewer].reshape(-1, width), divisors.reshape(-1, width))
        ciphertexts[fewer] = divided.reshape(shape)
    return Partial(view=counts.view, cells=cells, ciphertexts=ciphertexts)


def add(public: PublicKey, partials: Sequence[Partial]) -> Partial:
    """Overlay partials: unite their cells, and multiply ciphertexts of the same cell.

    Raises:
        ProtocolError: the partials are of different views.
    """
    return _overlay(public, _view(partials), partials)


def unite(public: PublicKey, partials: Sequence[Partial]) -> Partial:
    """Overlay the counts of several row parties, each of which has a view of its own."""
    return _overlay(public, partials[0].view, partials)


def _overlay(public: PublicKey, view: str, partials: Sequence[Partial]) -> Partial:
    cells = np.concatenate([partial.cells for partial in partials])
    ciphertexts = np.concatenate([partial.ciphertexts for partial in partials])
    return _sum_by_cell(public, view, cells, ciphertexts, np.arange(len(cells)))


def _sum_by_cell(
    public: PublicKey,
    view: str,
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
    return Partial(view=view, cells=unique, ciphertexts=result)


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
