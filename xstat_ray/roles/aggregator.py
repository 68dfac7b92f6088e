"""The aggregator: joins and adds ciphertexts with the public key, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PublicEncryptor, PublicKey
from xstat_ray.crypto.sums import multiply
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Flags, MaskedTable, Masks, Partial, RerandomisedTable, Rows
from xstat_ray.noise.shares import draw_gaussian_share, narrow, pack_shares
from xstat_ray.privacy.design import Design
from xstat_ray.roles.join import (
    Joined,
    add,
    bound,
    check_cells,
    join,
    lay_out,
    merge,
    sum_up,
    unite,
)


class Aggregator:
    """Computes on ciphertexts.

    Every call but `rerandomise` is pure, so a task that is retried changes nothing.
    """

    def __init__(self, public: PublicKey, rows_per_flag: int, cells: int) -> None:
        """Take what it needs to know.

        Args:
            public: the public key of the column party that is counted.
            rows_per_flag: most rows that a flag may meet.
            cells: size of the row domain.
        """
        self.public = public
        self.rows_per_flag = rows_per_flag
        self.cells = cells

    def join(self, rows: Rows, *flags: Flags) -> Joined:
        """Count one shard, while it is encrypted; see `join.join`.

        Args:
            rows: the shard's rows.
            flags: the parts of the shard's batch, one column party after the other: first of those
                that come before the one that is counted, in the end of that one.
        """
        check_cells(rows, self.cells)
        *preferred, counted = by_party(flags)
        return join(self.public, self.rows_per_flag, rows, counted, preferred)

    def join_whole(self, rows: Rows, *flags: Flags) -> Partial:
        """Count a batch whose rows come in one message, within the row bound; see `join`."""
        return self.bound(self.join(rows, *flags), *by_party(flags)[-1])

    def merge(self, *joined: Joined) -> Joined:
        """Overlay what was joined of one batch; see `join.merge`."""
        return merge(self.public, joined)

    def bound(self, *parts: Joined | Flags) -> Partial:
        """Overlay a batch without the flags that met too many rows; see `join.bound`.

        Args:
            parts: everything that was joined of the batch, and all its flags.
        """
        joined = [part for part in parts if isinstance(part, Joined)]
        flags = [part for part in parts if isinstance(part, Flags)]
        return bound(self.public, self.rows_per_flag, joined, flags)

    def add(self, *partials: Partial) -> Partial:
        """Overlay partial results, while they are encrypted; see `join.add`."""
        return add(self.public, partials)

    def unite(self, *partials: Partial) -> Partial:
        """Overlay the counts of all row parties, while they are encrypted; see `join.unite`."""
        return unite(self.public, partials)

    def sum_up(self, table: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Add consecutive nodes of one level into those of a coarser one; see `join.sum_up`."""
        return sum_up(self.public, table, starts)

    def lay_out(self, partial: Partial, cells: int, blocks: int) -> NDArray[np.uint8]:
        """Lay out the whole row domain, with zero where nobody was counted; see `join.lay_out`."""
        return lay_out(self.public, partial, cells, blocks)

    def rerandomise(
        self,
        table: NDArray[np.uint8],
        packing: Packing,
        share: NDArray[np.int64] | None = None,
        constant_time: bool = False,
    ) -> RerandomisedTable:
        """Randomise every ciphertext of a table afresh, untouched ones too; add a share of noise.

        A second call gives other ciphertexts, which under the same masks would tell what is under
        them: the caller stores the result before it is handed out, and replays that.

        Args:
            table: (nodes, blocks, width) encrypted counts and sums of all measured levels.
            packing: the layout of the slots.
            share: (nodes, columns) the aggregator's share of the noise; None if it has none.
            constant_time: encrypt without memory addresses that depend on the randomness.
        """
        n = self.public.n
        rows = table.reshape(-1, self.public.width)
        shares = [] if share is None else pack_shares(narrow(share), packing)
        numbers = [number % n for number in shares] or [mpz(0)] * len(rows)
        encrypted = PublicEncryptor(self.public, len(rows), constant_time).encrypt(numbers)
        return RerandomisedTable(
            ciphertexts=multiply(self.public, rows, encrypted).reshape(table.shape)
        )

    def put_masks(self, table: RerandomisedTable, masks: Sequence[Masks]) -> MaskedTable:
        """Multiply the row party's masks into a table.

        Args:
            table: the table, every ciphertext freshly randomised.
            masks: the masks of all its nodes, in order.

        Raises:
            ProtocolError: the masks are not those of all nodes.
        """
        ends = [0, *(part.first + len(part.ciphertexts) for part in masks)]
        mask = np.concatenate([part.ciphertexts for part in masks])
        in_order = [part.first for part in masks] == ends[:-1]
        if not in_order or mask.shape != table.ciphertexts.shape:
            raise ProtocolError("the masks are not those of all nodes of the table")
        rows = (factor.reshape(-1, self.public.width) for factor in (table.ciphertexts, mask))
        return MaskedTable(ciphertexts=multiply(self.public, *rows).reshape(mask.shape))


def by_party(flags: Sequence[Flags]) -> list[list[Flags]]:
    """Part flags by the column party that they are of, which their view tells."""
    return [list(parts) for _, parts in groupby(flags, lambda part: part.view)]


def draw_share(design: Design, slots: int) -> NDArray[np.int64] | None:
    """Draw the aggregator's share of the noise: of Gaussian noise; it has none of other noise."""
    return draw_gaussian_share(design, slots) if design.budget.noise == "gaussian" else None
