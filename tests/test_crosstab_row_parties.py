"""A release of several row parties as one call: counts and means are those of SQL over all tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.case import Case, counts, study
from tests.several import keys_at_hand
from tests.several_rows import United, padded, united
from tests.sizes import thorough
from xstat_ray import Options, Release, crosstab
from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.runtime import executor as executor_module
from xstat_ray.runtime.driver import Driver

OPTIONS = Options(key_bits=2048, shards=3, allow_no_noise=True)
PARTIES = [{"name": "north"}, {"name": "south"}]
ROWS = {
    "north": {"id": ["1", "2"], "area": ["a", "b"]},
    "south": {"id": ["1", "3"], "area": ["a", "a"]},
}
COLUMNS = {"id": ["1", "2", "3", "9"], "kind": ["x", "y", "x", "y"], "fare": [1700, 5, None, 90]}
FARE = {"name": "fare", "low": 0, "high": 1000, "unit": "JPY"}
PADDED: dict[str, object] = {"padding": "dp", "view": {"epsilon": 5, "delta": "1e-3"}}
COUNTS = {("a", "x"): 3, ("a", "y"): 0, ("b", "x"): 0, ("b", "y"): 1}
"""Person 1 is a customer of both, and counts twice."""


def run(made: United, folder: Path, **how: Any) -> Release:
    """Release the study in this process with the seeds of its parties, and keys that are there."""
    written = made.write(folder)
    rows, columns = (
        {name: Source(path, ledger=folder / "ledger") for name, path in of_side.items()}
        for of_side in written
    )

    def column_party(study: Any, source: Any, *, party: str) -> ColumnParty:
        return ColumnParty(study, source, party=party, seed=made.seeds[party])

    def row_party(study: Any, source: Any, *, name: str) -> RowParty:
        return RowParty(study, source, name=name, seed=made.seeds[name])

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_module, "RowParty", row_party)
        patch.setattr(executor_module, "ColumnParty", column_party)
        return crosstab(made.study, row=rows, column=columns, options=OPTIONS, **how)


def counts_of(release: Release, made: United) -> NDArray[np.int64]:
    """(cells, slots) published counts."""
    shape = (made.study.cells, made.study.slots)
    return release.statistics["noisy"].to_numpy().reshape(shape)


def check_figures(published: pa.Table, made: United) -> None:
    """Counts, sums and means are those of SQL."""
    count, *sums = (figures.ravel() for figures in made.expected_sums())
    assert (published["noisy"].to_numpy() == count).all()
    there = count > 0
    assert there.sum() > 10
    for measure, centred in zip(made.study.column.measures, sums, strict=True):
        whole = centred + measure.mid * count
        assert (published[f"{measure.name}_sum"].to_numpy() == whole).all()
        means = published[f"{measure.name}_mean"].to_numpy()
        assert means[there] == pytest.approx(whole[there] / count[there])
        assert np.isnan(means[~there]).all()


def test_figures_equal_a_query_and_all_files_tell_of_all_parties(tmp_path: Path) -> None:
    made = united(2).with_measures()
    release = run(made, tmp_path, out=tmp_path / "out")
    check_figures(release.statistics, made)
    names = {"north", "south", "column"}
    assert {path.name for path in (tmp_path / "out" / "parties").iterdir()} == names
    assert set(release.manifest["datasets"]) == set(release.manifest["inputs_hmac_sha256"]) == names


@thorough
@pytest.mark.parametrize(("row_parties", "column_parties"), [(2, 2), (3, 1), (3, 2)])
def test_figures_of_more_parties_equal_a_query(
    row_parties: int, column_parties: int, tmp_path: Path
) -> None:
    made = united(row_parties, column_parties, 0.3).with_measures()
    check_figures(run(made, tmp_path).statistics, made)


@thorough
def test_an_interrupted_release_is_finished_from_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = united(2, 2)

    def fail(self: Driver, *_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Driver, "release", fail)
        run(made, tmp_path, out=tmp_path / "out")
    monkeypatch.setattr(Driver, "de_identify", fail)
    release = run(made, tmp_path, out=tmp_path / "out")
    assert (counts_of(release, made) == made.expected()).all()


def tables(folder: Path) -> tuple[Case, dict[str, Source]]:
    """Tables of two row parties of whom person 1 is a customer of both."""
    case = Case(folder)
    case.write("column", COLUMNS)
    sources = {}
    for name, table in ROWS.items():
        path = case.write("row", table).rename(folder / f"{name}.parquet")
        sources[name] = case.source(path)
    return case, sources


def query(rows: Sequence[Any], column: Any) -> set[tuple[Any, ...]]:
    """Sum and mean of the fares within their bounds, by area and kind, over all row parties."""
    united_rows = ", ".join(f"'{path}'" for path in rows)
    found = duckdb.sql(f"""
        SELECT area, kind, sum(paid)::BIGINT, round(avg(paid), 6)
        FROM read_parquet([{united_rows}])
        JOIN (
            SELECT id, kind, if(fare IS NULL, 500, least(greatest(fare, 0), 1000)) AS paid
            FROM read_parquet('{column}')
        ) USING (id)
        GROUP BY ALL HAVING sum(paid) <> 0
    """)
    return set(found.fetchall())


@pytest.mark.ray
@thorough
@pytest.mark.parametrize("privacy", [{}, PADDED])
def test_on_ray_with_several_environments_of_each_party(
    privacy: dict[str, object], tmp_path: Path, ray_folder: Path
) -> None:
    case, rows = tables(tmp_path)
    declared = study(row={"parties": PARTIES}, column={"measures": [FARE]}, privacy=privacy)
    options = replace(OPTIONS, runtime="ray", replicas={"row": 2, "column": 2})
    column = case.source(case.tables["column"])
    release = crosstab(declared, row=rows, column=column, options=options, out=case.out)
    assert counts(release) == COUNTS
    found = {
        (row["area"], row["kind"], row["fare_sum"], round(row["fare_mean"], 6))
        for row in release.statistics.to_pylist()
        if row["fare_sum"]
    }
    assert found == query([rows[name].table for name in rows], column.table)


def test_with_padding_counts_are_the_same_and_each_ledger_has_the_view(tmp_path: Path) -> None:
    case, rows = tables(tmp_path)
    declared = study(row={"parties": PARTIES}, privacy=PADDED)
    column = case.source(case.tables["column"])
    with keys_at_hand():
        release = crosstab(declared, row=rows, column=column, options=OPTIONS, out=case.out)
    assert counts(release) == COUNTS
    view = release.manifest["view"]
    assert view["shown"] == 1 and view["flags_a_row"] == {"north": 1, "south": 1}
    accounts = {one.dataset: one.spent for one in Ledger(case.ledger).show()}
    assert accounts == dict.fromkeys(
        ("small/north@pool", "small/south@pool", "small/column@pool"), 5
    )


@thorough
@pytest.mark.parametrize(("row_parties", "column_parties"), [(2, 2), (3, 1)])
def test_with_padding_counts_of_more_parties_equal_a_query(
    row_parties: int, column_parties: int, tmp_path: Path
) -> None:
    made = padded(row_parties, column_parties)
    assert (counts_of(run(made, tmp_path), made) == made.expected()).all()


def test_somebody_who_is_a_customer_of_both_counts_in_each(tmp_path: Path) -> None:
    case, rows = tables(tmp_path)
    declared = study(noise="laplace", row={"parties": PARTIES})
    assert declared.sensitivity.l1 == 2
    column = case.source(case.tables["column"])
    with keys_at_hand():
        exact = crosstab(study(row={"parties": PARTIES}), row=rows, column=column, options=OPTIONS)
        crosstab(declared, row=rows, column=column, options=OPTIONS)
    assert counts(exact) == COUNTS
    datasets = ("small/north", "small/south", "small/column")
    assert {Ledger(case.ledger).spent(dataset) for dataset in datasets} == {1}


def test_a_table_for_each_party_and_for_no_other_is_asked_for(tmp_path: Path) -> None:
    case, rows = tables(tmp_path)
    declared = study(row={"parties": PARTIES})
    for row in (rows["north"], {"north": rows["north"]}, {**rows, "west": rows["north"]}):
        with pytest.raises(InputError, match="the study's row parties are north, south"):
            crosstab(declared, row=row, column=case.tables["column"], options=OPTIONS)
