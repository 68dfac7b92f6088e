"""What a run costs by its sizes: fitted to measured runs, and projected to a trial of months.

Every part of the protocol grows with one or two sizes. The processor seconds of a part are fitted
to its sizes by least squares, and the whole is their sum; the residual says how far the sum is from
what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from xstat_ray.benchmarks.timed import Run

PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rows": (("row.intake", "row.prepare", "row.emit"), ("rows",)),
    "exchange": (
        tuple(
            f"{role}.{call}"
            for role in ("row", "column")
            for call in ("blind", "evaluate", "finish")
        ),
        ("persons",),
    ),
    "flags": (("column.intake", "column.prepare", "column.emit"), ("flags",)),
    "join": (("join", "add"), ("rows", "matches")),
    "release": (("noise", "column.release", "row.unblind"), ("nodes",)),
}
"""By part: the calls it consists of, and the sizes it grows with."""


@dataclass(frozen=True)
class Sizes:
    """What a run had to do."""

    rows: int
    """Location rows of the row party's table."""
    persons: int
    """Of both parties."""
    flags: int
    matches: int
    nodes: int
    """Entries of the encrypted table, each with all its columns."""


@dataclass(frozen=True)
class Model:
    """Seconds of one core, and bytes that pass between processes, of one row, person, flag, match and node."""

    seconds: Mapping[str, Mapping[str, float]]
    """By part, then by size."""
    bytes: Mapping[str, Mapping[str, float]]
    residual: float
    """Root mean square of (fitted - measured) / measured over the runs, all parts but the exchange
    together."""

    def predict(self, sizes: Sizes, *, exchange: bool = False) -> float:
        """Seconds of one core, with or without the ID exchange."""
        own = asdict(sizes)
        parts = {part: per for part, per in self.seconds.items() if exchange or part != "exchange"}
        return sum(
            (cost * float(own[size]) for per in parts.values() for size, cost in per.items()), 0.0
        )

    def exchange(self, sizes: Sizes) -> float:
        """Seconds of one core for the ID exchange alone."""
        return self.predict(sizes, exchange=True) - self.predict(sizes)


def fit(runs: Sequence[tuple[Sizes, Run]]) -> Model:
    """Fit the model.

    With fewer runs than sizes of a part the least costs that explain them are taken.
    """
    seconds = {
        part: _fit(runs, part, [r.ledger.seconds(*PARTS[part][0]) for _, r in runs])
        for part in PARTS
    }
    sent = {
        part: _fit(runs, part, [float(r.ledger.out_bytes(*PARTS[part][0])) for _, r in runs])
        for part in PARTS
    }
    model = Model(seconds, sent, 0.0)
    calls = [call for part, (names, _) in PARTS.items() if part != "exchange" for call in names]
    errors = [model.predict(sizes) / run.ledger.seconds(*calls) - 1 for sizes, run in runs]
    return Model(seconds, sent, float(np.sqrt(np.mean(np.square(errors)))))


def _fit(
    runs: Sequence[tuple[Sizes, Run]], part: str, measured: Sequence[float]
) -> dict[str, float]:
    """Non-negative costs: a size whose cost comes out negative is left out."""
    names = list(PARTS[part][1])
    while True:
        table = np.array([[float(asdict(sizes)[name]) for name in names] for sizes, _ in runs])
        scale = table.max(axis=0).clip(min=1)
        # Relative errors count, so that small runs have a say.
        weight = 1 / np.maximum(measured, 1e-9)
        cost = (
            np.linalg.lstsq(
                table / scale * weight[:, None], np.array(measured) * weight, rcond=None
            )[0]
            / scale
        )
        if (cost >= 0).all() or len(names) == 1:
            return dict(zip(names, cost.tolist(), strict=True))
        names.pop(int(np.argmin(cost * scale)))


@dataclass(frozen=True)
class Instance:
    """A machine for rent."""

    name: str
    cores: int
    """Physical cores: half of what the provider counts."""
    dollars: float
    """An hour, on demand."""


INSTANCES = (
    Instance("c7i.xlarge", 2, 0.1785),
    Instance("c7i.4xlarge", 8, 0.714),
    Instance("c7i.16xlarge", 32, 2.856),
    Instance("c7a.2xlarge", 8, 0.41056),
    Instance("c7a.16xlarge", 64, 3.28448),
)
"""c7i: Intel Sapphire Rapids. c7a: AMD Zen 4, where a virtual CPU is a core. Both run the kernel
`ifma`.

Prices are those of us-east-1 as noted in 2025-11; they change, and differ by region."""
