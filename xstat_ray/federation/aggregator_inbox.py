"""What the aggregator receives: keys, row tree, rows, flags and masks, without trust in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows
from xstat_ray.crypto.paillier import PublicKey, check_group
from xstat_ray.crypto.tags import TAG_BYTES, is_sorted
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.roster import columns_of, publisher_of, rows_of
from xstat_ray.model.messages import Flags, Masks, Rows, Tree
from xstat_ray.model.shards import Shard
from xstat_ray.roles.opening import checked_key
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.executor import Executor, Ref
from xstat_ray.runtime.reduction import BatchMessages

FlagBatches = Iterator[tuple[tuple[int, int], Iterator[Flags]]]
"""Flags of a column party by number of the row party for whose rows they are, and of the batch."""


class AggregatorInbox:
    """Receives the messages of a run in their order, and refuses what is not as it should be."""

    def __init__(self, run: DomainRun, executor: Executor) -> None:
        self._mailbox = run.mailbox
        self._plan = run.plan
        self._executor = executor
        self._study = run.plan.study.digest
        self._rows = rows_of(run.plan.study)
        self._columns = columns_of(run.plan.study)
        self._publisher = publisher_of(run.plan.study)
        self._views: dict[tuple[int, int], str] = {}
        """Names of the views of each row party with each column party, by their numbers, as the
        first messages tell them."""
        self._shown: list[list[str]] = [[] for _ in self._columns]
        """Of each column party the views of the flags that were read, in their order."""

    def keys(self) -> list[PublicKey]:
        """Receive the keys of all column parties, in the order of the study."""
        return [self._key(name) for name in self._columns]

    def _key(self, party: Domain) -> PublicKey:
        with self._mailbox.receiving(party, "key") as message:
            public = checked_key(message.payload)
            if public.key_bits != self._plan.key_bits:
                raise ProtocolError("the public key has a modulus of the wrong size")
        return public

    def starts(self) -> list[NDArray[np.int64]]:
        """Receive the row tree: for each level above the cells, where its nodes begin below.

        With padding it follows from the plan, and no message of it is read.
        """
        levels = self._plan.design.levels
        if self._plan.design.starts is not None:
            return self._plan.design.starts
        if len(levels) == 1:
            return []

        def read(message: Opened) -> NDArray[np.int64]:
            if message.header.parts != len(levels) - 1:
                raise ProtocolError("the row tree has another number of levels than the study")
            tree = Tree.decode(message.payload, self._study)
            self._check_view(0, 0, tree.view)
            self._plan.design.check_level(message.header.part, tree.starts)
            return tree.starts

        return list(self._mailbox.collect(self._publisher, "tree", read))

    def _check_view(self, row: int, column: int, view: str) -> None:
        """Refuse a message of another view than those before: two views may tell more than one.

        Args:
            row: number of the row party that has the view.
            column: number of the column party with which it has it.
            view: name of the view.
        """
        if view != self._views.setdefault((row, column), view):
            raise _other_view()

    def tables(
        self, publics: Sequence[PublicKey]
    ) -> Iterator[tuple[Domain, Iterator[BatchMessages]]]:
        """Yield every row party with all batches of its rows, each to be read before the next."""
        flags = [self._flags(number, public) for number, public in enumerate(publics)]
        for row, name in enumerate(self._rows):
            yield name, self._batches(row, flags)
        if any(next(batches, None) is not None for batches in flags):
            raise ProtocolError("there are more flags than batches")

    def _batches(self, row: int, parties: Sequence[FlagBatches]) -> Iterator[BatchMessages]:
        """Yield every batch: the flags that all column parties have for a row party, and its rows.

        The rows are read as they come.
        """
        read = partial(self._read_rows, row)
        messages = self._mailbox.collect(self._rows[row], "rows", read)
        for batch, of_batch in groupby(messages, lambda message: message[0].batch):
            refs = [self._flags_of(batches, (row, batch)) for batches in parties]
            yield BatchMessages(refs, (partial(_itself, rows) for _, rows in of_batch))

    def _flags(self, party: int, public: PublicKey) -> FlagBatches:
        """Receive the flags of a column party for one row party after the other, by batches."""
        read = partial(self._read_flags, party, public)
        return groupby(
            self._mailbox.collect(self._columns[party], "flags", read),
            lambda flags: (self._shown[party].index(flags.view), flags.batch),
        )

    def _flags_of(self, batches: FlagBatches, turn: tuple[int, int]) -> list[Ref[Flags]]:
        """Receive the flags for the row party, and of the batch, whose turn it is."""
        number, flags = next(batches, ((-1, -1), iter(())))
        if number != turn:
            raise ProtocolError("the flags do not come batch by batch")
        return [self._executor.put(part) for part in flags]

    def _read_rows(self, row: int, message: Opened) -> tuple[Shard, Rows]:
        """Read rows and their shard; there is one message a shard.

        Raises:
            ProtocolError: the rows are not in their place, or not those of their shard.
        """
        rows = Rows.decode(message.payload, self._study)
        self._check_rows(row, rows)
        head = message.header
        shards = self._plan.grid.shards
        if head.parts != len(shards) or rows.shard != head.part:
            raise ProtocolError("the rows do not come shard by shard")
        shard = shards[rows.shard]
        outside = (rows.cells < shard.region.start) | (rows.cells >= shard.region.stop)
        tags = rows.tags[:, :TAG_BYTES]
        if len(rows.cells) != head.rows or outside.any() or not is_sorted(tags):
            raise ProtocolError(
                "rows outside their shard, not sorted, or not as many as its header says"
            )
        return shard, rows

    def _check_rows(self, row: int, rows: Rows) -> None:
        """Refuse rows of other views than those before, or without a tag for each of them."""
        views = rows.views
        if len(views) != len(self._columns):
            raise ProtocolError("the rows are of another number of views than of column parties")
        for column, view in enumerate(views):
            self._check_view(row, column, view)
        if rows.tags.shape[1] != len(views) * TAG_BYTES:
            raise ProtocolError("rows have another number of tags than of views")

    def _read_flags(self, party: int, public: PublicKey, message: Opened) -> Flags:
        flags = Flags.decode(message.payload, self._study)
        self._check_flags_view(party, flags.view)
        shape = (self._plan.packing.blocks, public.width)
        if flags.ciphertexts.shape[1:] != shape or len(flags.tags) != message.header.rows:
            raise ProtocolError("flags of another shape, or not as many as its header says")
        if not is_sorted(flags.tags):
            raise ProtocolError("tags are not sorted")
        check_group(public, from_rows(flags.ciphertexts.reshape(-1, public.width)))
        return flags

    def _check_flags_view(self, party: int, view: str) -> None:
        """Refuse flags of more views than there are row parties, which have one after the other."""
        shown = self._shown[party]
        if view not in shown:
            shown.append(view)
        if view != shown[-1] or len(shown) > len(self._rows):
            raise _other_view()
        self._check_view(len(shown) - 1, party, view)

    def masks(self, publics: Sequence[PublicKey]) -> list[list[Masks]]:
        """Receive the row party's masks of all nodes, for each key.

        Those of a part of the table come one key after the other.
        """
        parts = opening_parts(self._plan)

        def read(message: Opened) -> Masks:
            masks = Masks.decode(message.payload, self._study)
            head = message.header
            turn, key = divmod(head.part, len(publics))
            part = parts[turn] if head.parts == len(parts) * len(publics) else range(0)
            if (masks.first, len(masks.ciphertexts)) != (part.start, len(part)) or not part:
                raise ProtocolError("its masks are not those of its part of the table")
            public = publics[key]
            if masks.ciphertexts.shape[1:] != (self._plan.packing.blocks, public.width):
                raise ProtocolError("masks of another shape")
            check_group(public, from_rows(masks.ciphertexts.reshape(-1, public.width)))
            return masks

        made = list(self._mailbox.collect(self._publisher, "masks", read))
        return [made[key :: len(publics)] for key in range(len(publics))]


def _other_view() -> ProtocolError:
    return ProtocolError("it belongs to another view than the messages before it")


def _itself(rows: Rows) -> Rows:
    return rows
