"""Whether the files of a release agree with each other, as whoever has them can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.errors import InputError
from xstat_ray.model.measure import MEANS
from xstat_ray.publication.publish import STAMP
from xstat_ray.publication.release import (
    AREAS,
    AREAS_CSV,
    MANIFEST,
    PLAN,
    STATISTICS,
    STATISTICS_CSV,
    Release,
    csv_bytes,
    read,
)

_WITHHELD = ("estimate", "low95", "high95")
_SAME = ("study", "study_digest", "insiders", "key_bits", "constant_time", "shards")
"""What manifest and plan both tell, under one name."""


def problems(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each check, what holds if nothing contradicts it, and what does.

    Args:
        folder: the folder of a release; its manifest has been read.
    """
    try:
        release = read(folder)
    except InputError:
        files = f"{STATISTICS}, {AREAS} or {PLAN}"
        yield "The files of the release can be read.", [f"{files} is missing or malformed"]
        return
    for statement, check in CHECKS:
        try:
            found = list(check(release))
        except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException):
            found = [f"{MANIFEST}, {PLAN} or a table lacks what a release has"]
        yield statement, found


def _check_plan(release: Release) -> Iterator[str]:
    manifest = release.manifest
    plan = release.plan
    told = {name: (manifest[name], plan[name]) for name in _SAME}
    periods = {"window_periods": plan["window_periods"]}
    told["bounds"] = (manifest["bounds"], {**plan["bounds"], **periods})
    told["view"] = ({**manifest["view"], "shown": 0}, {**plan["view"], "shown": 0})
    told["mechanism"] = (_mechanism(manifest["mechanism"]), _planned(plan))
    off = manifest["noise_free"]
    spent = {name: manifest["spent"][name] for name in ("epsilon", "delta")}
    told["spent"] = (spent, {name: "0" if off else plan[name] for name in spent})
    for name, (of_manifest, of_plan) in told.items():
        if of_manifest != of_plan:
            yield f"{MANIFEST} and {PLAN} tell different things of {name}"


def _mechanism(told: Mapping[str, Any]) -> tuple[object, ...]:
    levels = {name: (level["share"], level["scale"]) for name, level in told["levels"].items()}
    return told["name"], told["noise"], levels


def _planned(plan: Mapping[str, Any]) -> tuple[object, ...]:
    levels = {one["level"]: (one["share"], one["noise_scale"]) for one in plan["measured"]}
    return plan["mechanism"], plan["noise"], levels


def _check_parties(release: Release) -> Iterator[str]:
    datasets, inputs = (release.manifest[name] for name in ("datasets", "inputs_hmac_sha256"))
    if len(datasets) < 2 or [*datasets] != [*inputs] or not all(datasets.values()):
        yield f"{MANIFEST} does not name a data set, and a digest of what was read, of each party"


def _check_tables(release: Release) -> Iterator[str]:
    cells, slots = (release.plan[name] for name in ("cells", "slots"))
    if len(release.statistics) != cells * slots:
        yield f"{STATISTICS} has other rows than the plan"
    for name, table in ((STATISTICS_CSV, release.statistics), (AREAS_CSV, release.areas)):
        file = Path(str(release.path)) / name
        if not file.is_file() or file.read_bytes() != csv_bytes(table):
            yield f"{name} does not hold what the Parquet file beside it holds"


def _check_withheld(release: Release) -> Iterator[str]:
    least = release.plan["suppress_below"]
    means = [f"{one['name']}_{of}" for one in release.plan.get("measures", ()) for of in MEANS]
    for name, table in ((STATISTICS, release.statistics), (AREAS, release.areas)):
        if not len(table):
            continue
        hidden = table["suppressed"].to_numpy()
        smoothed = [column for column in ("smoothed",) if column in table.column_names]
        for column in (*_WITHHELD, *smoothed, *means):
            if not np.asarray(table[column].is_null())[hidden].all():
                yield f"{name} has a figure in {column} where the estimate is withheld"
        shown = table.filter(pc.invert(table["suppressed"])).select(_WITHHELD)
        estimate, low, high = (column.to_numpy() for column in shown.columns)
        # Where nothing is withheld nothing is missing: a comparison with a missing figure fails.
        if not ((estimate >= least) & (low <= estimate) & (estimate <= high)).all():
            yield f"{name} has an estimate below the threshold, outside its interval, or missing"


def _check_stamp(release: Release) -> Iterator[str]:
    off = release.manifest["noise_free"]
    stamp = {name.encode(): text.encode() for name, text in STAMP.items()}
    for name, table in ((STATISTICS, release.statistics), (AREAS, release.areas)):
        if (stamp.items() <= (table.schema.metadata or {}).items()) != off:
            yield f"{name} and {MANIFEST} contradict each other in whether noise was off"


CHECKS: tuple[tuple[str, Callable[[Release], Iterator[str]]], ...] = (
    (
        "Manifest and plan tell the same of study, bounds, noise, budget, insiders and view.",
        _check_plan,
    ),
    (
        "The manifest names a data set, and a digest of what was read, of each party.",
        _check_parties,
    ),
    (
        "The table has a row for each cell and column of the plan, and the CSV files hold what "
        "the Parquet files hold.",
        _check_tables,
    ),
    (
        "Where an estimate is withheld there is no figure of it; what is published is at least "
        "the threshold and lies in its interval.",
        _check_withheld,
    ),
    (
        "Tables and manifest agree on whether noise was on.",
        _check_stamp,
    ),
)
"""What holds if a check finds nothing wrong, and the check: it yields what contradicts that."""
