"""A party's seat at a link: who it is in the study, its table, and what it draws from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from xstat_ray.crypto.derive import derive
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.util.secrecy import Secret

_SEED_BYTES = 32


@dataclass(frozen=True, repr=False, eq=False)
class Seat(Secret):
    """What a party begins a link with one party of the other side with."""

    study: Study
    """What all parties have agreed to count."""
    source: Source
    """The party's table, its lists of people to leave out, and its ledger."""
    seed: bytes
    """32 bytes of this party alone, from which it derives what it draws at random."""
    party: str | None = None
    """Name of the column party; needed where the study names several."""
    row: str | None = None
    """Name of the row party; None is the first."""

    @classmethod
    def of(
        cls,
        study: Study,
        source: Source | Path | str,
        seed: bytes | None,
        *,
        party: str | None = None,
        row: str | None = None,
    ) -> Seat:
        """Take a seat; with a fresh seed if none is given."""
        secret = os.urandom(_SEED_BYTES) if seed is None else seed
        return cls(study, Source.of(source), secret, party, row)

    def beside(self, *, party: str | None = None, row: str | None = None) -> Seat:
        """Take the seat of a link with another party, with a seed that follows from this one.

        Args:
            party: name of the column party with which it is, None if it is with a row party.
            row: name of the row party with which it is, None if it is with a column party.
        """
        seed = derive(self.seed, f"link with {party or row}", len(self.seed))
        return replace(self, seed=seed, party=party or self.party, row=row or self.row)
