"""A model of costs by sizes, fitted to timed runs and projected to a trial of months.

Each part of the protocol grows with one or two sizes. The processor seconds of a part are fitted to
its sizes by least squares, and the whole is their sum; the residual tells how far the sum is from
the times of the runs.
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
            for call in ("offer_columns", "choose_columns", "accept_choices", "hide", "evaluate")
        ),
        ("persons",),
    ),
    "flags": (("column.intake", "column.prepare", "column.emit"), ("flags",)),
    "join": (("join", "join_whole", "merge", "bound", "add"), ("rows", "matches")),
    "release": (
        (
            "noise",
            "sums",
            "masks",
            "row.mask_table",
            "row.approve",
            "column.admit",
            "column.open_part",
            "row.unblind",
            "column.check_published",
        ),
        ("nodes",),
    ),
}
"""Calls of each part, and the sizes that it grows with. The base transfers of the ID exchange grow
with nothing."""


@dataclass(frozen=True)
class RunSizes:
    """Sizes of a run."""

    rows: int
    """Number of location rows in the row party's table."""
    persons: int
    """Number of people of both parties."""
    flags: int
    matches: int
    nodes: int
    """Number of entries of the encrypted table, each with all its columns."""


@dataclass(frozen=True)
class Model:
    """Costs of one row, person, flag, match and node."""

    seconds: Mapping[str, Mapping[str, float]]
    """Seconds of one core by part, then by size."""
    bytes: Mapping[str, Mapping[str, float]]
    """Bytes that pass between processes by part, then by size."""
    residual: float
    """Root mean square of (fitted - timed) / timed over the runs, all parts but the exchange
    together."""

    def predict(self, sizes: RunSizes, *, exchange: bool = False) -> float:
        """Predict the seconds of a run on one core, with or without the ID exchange."""
        numbers = asdict(sizes)
        parts = {part: per for part, per in self.seconds.items() if exchange or part != "exchange"}
        costs = (
            cost * float(numbers[size]) for per in parts.values() for size, cost in per.items()
        )
        return sum(costs, 0.0)

    def exchange(self, sizes: RunSizes) -> float:
        """Predict the seconds of the ID exchange on one core."""
        return self.predict(sizes, exchange=True) - self.predict(sizes)


def fit(runs: Sequence[tuple[RunSizes, Run]]) -> Model:
    """Fit the model; with fewer runs than sizes of a part it takes the least costs that fit.

    Args:
        runs: sizes of runs, and the runs.
    """
    seconds = {
        part: _fit(runs, part, [r.costs.seconds(*PARTS[part][0]) for _, r in runs])
        for part in PARTS
    }
    sent = {
        part: _fit(runs, part, [float(r.costs.out_bytes(*PARTS[part][0])) for _, r in runs])
        for part in PARTS
    }
    model = Model(seconds, sent, 0.0)
    calls = [call for part, (names, _) in PARTS.items() if part != "exchange" for call in names]
    errors = [model.predict(sizes) / run.costs.seconds(*calls) - 1 for sizes, run in runs]
    return Model(seconds, sent, float(np.sqrt(np.mean(np.square(errors)))))


def _fit(
    runs: Sequence[tuple[RunSizes, Run]], part: str, measured: Sequence[float]
) -> dict[str, float]:
    """Fit non-negative costs of a part; a size whose cost comes out negative is left out."""
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
class RentedMachine:
    """A machine for rent."""

    name: str
    cores: int
    """Number of physical cores."""
    dollars: float
    """Price of an hour on demand."""


MACHINES = (
    RentedMachine("c7i.xlarge", 2, 0.1785),
    RentedMachine("c7i.4xlarge", 8, 0.714),
    RentedMachine("c7i.16xlarge", 32, 2.856),
    RentedMachine("c7a.2xlarge", 8, 0.41056),
    RentedMachine("c7a.16xlarge", 64, 3.28448),
)
"""Machines that run the kernel `ifma`: c7i has Intel Sapphire Rapids, with two virtual CPUs a core,
c7a AMD Zen 4, with one. Prices are those of us-east-1, noted in 2025-11; they change, and differ by
region."""
