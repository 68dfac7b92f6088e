"""From noisy coefficients to the published table and its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.files import unwritable, write_whole
from xstat_ray.inputs.domains import decode
from xstat_ray.messages import Coefficients
from xstat_ray.plan import Plan
from xstat_ray.privacy.least_squares import Measurement
from xstat_ray.privacy.refine import refine
from xstat_ray.row_tree import RowTree

STATISTICS = "statistics.parquet"
STATISTICS_CSV = "statistics.csv"
PLAN = "plan.json"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Release:
    """One publication: the statistics, what they were made of, and what they cost."""

    statistics: pa.Table
    """One row per (cell, slot): the row dimensions, the column dimensions, `noisy` int64 (unbiased), `estimate` int64
    (refined, null where suppressed), `stderr` float64 of `noisy`, `suppressed` bool."""
    manifest: dict[str, Any]
    plan: dict[str, Any]
    path: Path | None = None
    """Folder the files were written to, if any."""


def tabulate(plan: Plan, coefficients: Coefficients) -> pa.Table:
    """Refine, suppress and label the noisy counts. Deterministic: the same coefficients give the same table."""
    study, noisy = plan.study, coefficients.values
    exact = study.privacy.noise == "off"
    estimate = noisy if exact else _refined(plan, noisy)
    suppressed = estimate < study.privacy.suppress_below
    labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
    columns: dict[str, pa.Array] = dict(decode(labels, np.arange(noisy.size)))
    columns["noisy"] = pa.array(noisy.ravel())
    columns["estimate"] = pa.array(estimate.ravel(), mask=suppressed.ravel())
    columns["stderr"] = pa.array(np.full(noisy.size, plan.mechanism.stderr))
    columns["suppressed"] = pa.array(suppressed.ravel())
    table = pa.table(columns)
    if exact:
        table = table.replace_schema_metadata({"WARNING": "NOISE OFF: exact counts, not differentially private"})
    return table


def _refined(plan: Plan, noisy: NDArray[np.int64]) -> NDArray[np.int64]:
    measured = {0: Measurement(noisy, plan.mechanism.stderr**2)}
    return refine(RowTree.of_dimensions([len(noisy)]), measured)[0]


def write(release: Release, folder: Path) -> None:
    """Write all files of a release, the statistics last and each file at once or not at all.

    Raises:
        InputError: the disk is full or the folder cannot be written to; no statistics file remains.
    """
    try:
        write_whole(folder / PLAN, _json(release.plan))
        write_whole(folder / MANIFEST, _json(release.manifest))
        for name, writer in ((STATISTICS_CSV, _csv), (STATISTICS, _parquet)):
            write_whole(folder / name, writer(release.statistics))
    except OSError as error:
        for name in (STATISTICS, STATISTICS_CSV, MANIFEST):
            (folder / name).unlink(missing_ok=True)
        raise unwritable(folder, error) from None


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    if table.schema.metadata:
        sink.write(b"".join(b"# %s: %s\n" % item for item in table.schema.metadata.items()))
    pa_csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def summary(release: Release, count: int = 5) -> list[tuple[str, int, float, float]]:
    """The largest published counts: (what, estimate, low, high), with the 95 % interval around the noisy count."""
    table = release.statistics
    estimate: NDArray[np.int64] = table["estimate"].fill_null(-1).to_numpy()
    names = [n for n in table.column_names if n not in ("noisy", "estimate", "stderr", "suppressed")]
    best = [int(i) for i in np.argsort(-estimate, kind="stable")[:count] if estimate[i] > 0]
    result = []
    for i in best:
        noisy, half = table["noisy"][i].as_py(), 1.96 * table["stderr"][i].as_py()
        what = " / ".join(str(table[n][i]) for n in names)
        result.append((what, int(estimate[i]), max(0.0, noisy - half), max(0.0, noisy + half)))
    return result
