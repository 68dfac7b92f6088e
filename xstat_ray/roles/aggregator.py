"""The aggregator: joins and adds ciphertexts with the public key, and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles.join import add, join, lay_out, sum_up


class Aggregator:
    """Stateless; every call is pure, so a task that is retried changes nothing."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public

    def join(self, rows: Rows, *flags: Flags) -> Partial:
        """Count one shard while encrypted."""
        return join(self.public, rows, flags)

    def add(self, *partials: Partial) -> Partial:
        """Overlay partial results while encrypted."""
        return add(self.public, partials)

    def sum_up(self, table: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Add consecutive nodes of one level into those of a coarser one; see `join.sum_up`."""
        return sum_up(self.public, table, starts)

    def lay_out(self, partial: Partial, cells: int, blocks: int) -> NDArray[np.uint8]:
        """The complete row domain, with an encryption of zero where nobody was counted."""
        return lay_out(self.public, partial, cells, blocks)
