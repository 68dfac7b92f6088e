"""The files of a release are compared with each other; whatever contradicts the rest is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.publication import small
from xstat_ray.publication.coherence import CHECKS, problems
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.release import Release, csv_bytes, write

PARTIES = {"row": "12", "column": "34"}
NOISY = [*small.NOISY, [13, 12], [4, 30]]
"""With a level of coarser areas: of three cells, then of two areas."""
Change = Callable[[dict[str, Any]], object]


def released(folder: Path, noise: str = "laplace") -> Path:
    """Write a release of which some estimates are withheld and some are not."""
    plan = small.plan(noise, coast=True, mechanism="tree", report=["cell", "coast"])
    noisy = NOISY[: plan.design.nodes]
    facts = make_manifest(plan, "ab" * 16, PARTIES, {"driver": plan.kernel}, {"aggregate": 1.0})
    write(Release(*small.tables(plan, noisy), facts, plan.as_dict()), folder)
    return folder


def wrong(folder: Path) -> list[str]:
    return [problem for _, found in problems(folder) for problem in found]


def changed(path: Path, change: Change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rewritten(path: Path, table: pa.Table) -> None:
    """Put another table into its place, and into that of the CSV file beside it."""
    pq.write_table(table, path)
    path.with_suffix(".csv").write_bytes(csv_bytes(table))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return released(tmp_path)


@pytest.mark.parametrize("noise", ["laplace", "gaussian", "off"])
def test_nothing_contradicts_a_release(noise: str, tmp_path: Path) -> None:
    folder = released(tmp_path, noise)
    suppressed = pq.read_table(folder / "statistics.parquet")["suppressed"].to_pylist()
    assert {*suppressed} == {True, False}
    told = list(problems(folder))
    assert [statement for statement, _ in told] == [statement for statement, _ in CHECKS]
    assert wrong(folder) == []


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("manifest", lambda m: m.update(study_digest="00"), "different things of study_digest"),
        ("manifest", lambda m: m.update(insiders={}), "different things of insiders"),
        ("manifest", lambda m: m["bounds"].update(rows=9), "different things of bounds"),
        ("manifest", lambda m: m["view"].update(padding="dp"), "different things of view"),
        ("manifest", lambda m: m["spent"].update(epsilon="9"), "different things of spent"),
        ("manifest", lambda m: m.update(key_bits=4096), "different things of key_bits"),
        (
            "manifest",
            lambda m: m["mechanism"]["levels"]["cell"].update(scale=0.1),
            "different things of mechanism",
        ),
        ("plan", lambda p: p.update(epsilon="9"), "different things of spent"),
        ("plan", lambda p: p["measured"].pop(), "different things of mechanism"),
        ("plan", lambda p: p.update(cells=4), "statistics.parquet has other rows than the plan"),
        ("plan", lambda p: p.update(suppress_below=9), "an estimate below the threshold"),
        ("manifest", lambda m: m["datasets"].pop("column"), "of each party"),
        ("manifest", lambda m: m["datasets"].update(hac="x"), "of each party"),
        ("manifest", lambda m: m["inputs_hmac_sha256"].pop("row"), "of each party"),
        ("manifest", lambda m: m.update(noise_free=True), "contradict each other in whether"),
        ("manifest", lambda m: m.pop("bounds"), "lacks what a release has"),
        ("manifest", lambda m: m.update(mechanism=3), "lacks what a release has"),
        ("plan", lambda p: p.pop("suppress_below"), "lacks what a release has"),
        ("plan", lambda p: p.update(measures=[{"name": "fare"}]), "lacks what a release has"),
    ],
)
def test_an_altered_manifest_or_plan_is_found(
    name: str, change: Change, told: str, folder: Path
) -> None:
    changed(folder / f"{name}.json", change)
    assert any(told in line for line in wrong(folder))


@pytest.mark.parametrize("name", ["statistics.csv", "areas.csv"])
def test_a_csv_file_that_holds_something_else_is_found(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b"\n")
    told = [f"{name} does not hold what the Parquet file beside it holds"]
    assert wrong(folder) == told
    (folder / name).unlink()
    assert wrong(folder) == told


@pytest.mark.parametrize("name", ["statistics", "areas"])
@pytest.mark.parametrize("figure", ["estimate", "low95", "high95"])
def test_a_figure_of_what_is_withheld_is_found(name: str, figure: str, folder: Path) -> None:
    path = folder / f"{name}.parquet"
    table = pq.read_table(path)
    shown = pc.fill_null(table[figure], 1)
    rewritten(path, table.set_column(table.schema.get_field_index(figure), figure, shown))
    told = f"{path.name} has a figure in {figure} where the estimate is withheld"
    assert wrong(folder) == [told]


@pytest.mark.parametrize("figure", ["estimate", "low95", "high95"])
def test_a_figure_that_is_missing_or_outside_its_interval_is_found(
    figure: str, folder: Path
) -> None:
    path = folder / "statistics.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(figure)
    nothing = pa.nulls(len(table), table[figure].type)
    beyond = pc.add(
        table[figure], pa.scalar(1000 if figure == "low95" else -1000).cast(nothing.type)
    )
    told = [f"{path.name} has an estimate below the threshold, outside its interval, or missing"]
    for values in (nothing, beyond):
        rewritten(path, table.set_column(place, figure, values))
        assert wrong(folder) == told


def test_rows_that_were_left_out_are_found(folder: Path) -> None:
    path = folder / "statistics.parquet"
    rewritten(path, pq.read_table(path).slice(1))
    assert wrong(folder) == ["statistics.parquet has other rows than the plan"]


def test_a_stamp_that_was_taken_off_is_found(tmp_path: Path) -> None:
    folder = released(tmp_path, "off")
    path = folder / "statistics.parquet"
    rewritten(path, pq.read_table(path).replace_schema_metadata(None))
    told = "statistics.parquet and manifest.json contradict each other in whether noise was off"
    assert wrong(folder) == [told]


@pytest.mark.parametrize("name", ["statistics.parquet", "areas.parquet", "plan.json"])
def test_a_file_that_is_missing_or_malformed_is_told(name: str, folder: Path) -> None:
    told = ["statistics.parquet, areas.parquet or plan.json is missing or malformed"]
    (folder / name).write_bytes(b"{")
    assert wrong(folder) == told
    (folder / name).unlink()
    assert wrong(folder) == told
