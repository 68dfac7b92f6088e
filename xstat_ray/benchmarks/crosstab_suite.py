"""The whole job, key generation included, beside the obvious composition of public parts.

The baseline encrypts with `phe` one number for each row of the column party and each category (an
unpacked one-hot), joins in a dictionary of keyed hashes, adds, and decrypts all counts; it blinds
nothing and adds no noise. Our job is timed with noise, like people run it. Before that it runs once
without noise: its counts, and those of the others in all rounds, must be the true ones.
"""

from __future__ import annotations

import hmac
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import SECONDS, Record, alternate, optional_module, summarize
from xstat_ray.errors import XstatError
from xstat_ray.inputs.source import Source
from xstat_ray.job import crosstab
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, ColumnSide, Noise, Privacy, RowSide, Study
from xstat_ray.planning.options import Options
from xstat_ray.runtime.progress import Progress

_QUERY = """
    SELECT cell::INT, category::INT, count(*)
    FROM read_parquet(?) JOIN read_parquet(?) USING (id)
    GROUP BY ALL
"""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the tables and of the key, for all that are compared."""

    rounds: int
    rows: int
    """Rows of each party's table, one for each person; half of the people are in both."""
    cells: int
    categories: int
    key_bits: int


@dataclass(frozen=True)
class PlainTables:
    """Parquet files of both parties in a folder, and their true counts."""

    folder: Path
    row: Path
    column: Path
    truth: NDArray[np.int64]
    """(cells, categories) counts."""

    def check(self, who: str, counts: NDArray[np.int64]) -> None:
        """Refuse to compare the speed of something that is wrong.

        Raises:
            XstatError: the counts are not the true ones.
        """
        wrong = int((counts != self.truth).sum())
        if wrong:
            raise XstatError(
                f"{wrong} of the {self.truth.size} counts by {who} are wrong: nothing was measured"
            )


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time our job, the baseline and DuckDB on the plain tables, in turn.

    Raises:
        XstatError: one of them gives wrong counts.
    """
    phe = optional_module("phe", progress)
    duckdb = optional_module("duckdb", progress)
    with tempfile.TemporaryDirectory() as folder:
        tables = make_tables(sizes, Path(folder))
        tables.check("ours without noise", our_counts(sizes, tables, "off"))
        steps = 1 + (0 if phe is None else sizes.rows + 1) + (0 if duckdb is None else 1)
        with progress.stage("crosstab.end_to_end", sizes.rounds * steps) as stage:
            runs: dict[str, Callable[[], object]] = {
                "ours": lambda: our_counts(sizes, tables, "laplace")
            }
            if phe is not None:
                runs["phe"] = lambda: tables.check(
                    "phe", phe_counts(phe, sizes, tables, stage.advance)
                )
            if duckdb is not None:
                runs["duckdb"] = lambda: tables.check("duckdb", duckdb_counts(duckdb, tables))
            times = alternate(list(runs.values()), sizes.rounds, after=stage.advance)
    seconds = dict(zip(runs, times, strict=True))
    records = [summarize("crosstab.end_to_end", SECONDS, seconds["ours"], seconds.get("phe", ()))]
    if duckdb is not None:
        records.append(summarize("crosstab.end_to_end.duckdb", SECONDS, seconds["duckdb"]))
    return records


def make_tables(sizes: Sizes, folder: Path) -> PlainTables:
    """Write cell.parquet (id, cell) and category.parquet (id, category), and count in the clear.

    Rows are in random order.
    """
    rng = np.random.default_rng(1)
    shared = sizes.rows // 2
    cell = rng.integers(0, sizes.cells, sizes.rows)
    category = rng.integers(0, sizes.categories, sizes.rows)
    truth = np.zeros((sizes.cells, sizes.categories), np.int64)
    np.add.at(truth, (cell[:shared], category[:shared]), 1)
    paths = {}
    for name, values, first_stranger in (
        ("cell", cell, sizes.rows),
        ("category", category, 2 * sizes.rows),
    ):
        person = np.arange(sizes.rows)
        person[shared:] += first_stranger
        order = rng.permutation(sizes.rows)
        ids = [f"person-{number}" for number in person[order]]
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(
            pa.table({"id": ids, name: [str(value) for value in values[order]]}), paths[name]
        )
    return PlainTables(folder, paths["cell"], paths["category"], truth)


def our_counts(sizes: Sizes, tables: PlainTables, noise: Noise) -> NDArray[np.int64]:
    """Run our job and read its counts before refinement; each call spends from a new ledger."""
    study = Study(
        name="benchmark",
        row=RowSide(id="id", dimensions=(_dimension("cell", sizes.cells),)),
        column=ColumnSide(id="id", dimensions=(_dimension("category", sizes.categories),)),
        bounds=Bounds(persons=sizes.rows),
        privacy=Privacy(noise=noise),
    )
    with tempfile.TemporaryDirectory(dir=tables.folder) as folder:
        ledger = Path(folder) / "ledger.sqlite"
        options = Options(key_bits=sizes.key_bits, shards=1, allow_no_noise=noise == "off")
        release = crosstab(
            study,
            row=Source(tables.row, ledger=ledger),
            column=Source(tables.column, ledger=ledger),
            options=options,
        )
    counts: NDArray[np.int64] = release.statistics["noisy"].to_numpy().reshape(tables.truth.shape)
    return counts


def _dimension(name: str, size: int) -> Dimension:
    labels = tuple(str(value) for value in range(size))
    return Dimension(name, name, labels, tuple((label,) for label in labels))


def phe_counts(
    phe: ModuleType, sizes: Sizes, tables: PlainTables, advance: Callable[[], None]
) -> NDArray[np.int64]:
    """Run the baseline; `advance` is called after each row that it encrypts."""
    public, private = phe.generate_paillier_keypair(n_length=sizes.key_bits)
    secret = os.urandom(32)
    one_hots: dict[bytes, list[Any]] = {}
    for person, category in read_pairs(tables.column):
        one_hots[_pseudonym(secret, person)] = [
            public.encrypt(int(int(category) == slot)) for slot in range(sizes.categories)
        ]
        advance()
    sums: dict[int, list[Any]] = {}
    for person, cell in read_pairs(tables.row):
        one_hot = one_hots.get(_pseudonym(secret, person))
        if one_hot is not None:
            known = sums.get(int(cell))
            sums[int(cell)] = (
                one_hot if known is None else [a + b for a, b in zip(known, one_hot, strict=True)]
            )
    counts = np.zeros(tables.truth.shape, np.int64)
    for number, encrypted in sums.items():
        counts[number] = [private.decrypt(value) for value in encrypted]
    return counts


def _pseudonym(secret: bytes, person: str) -> bytes:
    return hmac.digest(secret, person.encode(), "sha256")


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read the pairs of person and value of a table."""
    person, value = (column.to_pylist() for column in pq.read_table(path).columns)
    return list(zip(person, value, strict=True))


def duckdb_counts(duckdb: ModuleType, tables: PlainTables) -> NDArray[np.int64]:
    """Count the plain tables, which nobody may hold together, by a query."""
    with duckdb.connect() as connection:
        found = connection.execute(_QUERY, [str(tables.row), str(tables.column)]).fetchnumpy()
    cell, category, number = found.values()
    counts = np.zeros(tables.truth.shape, np.int64)
    counts[cell, category] = number
    return counts
