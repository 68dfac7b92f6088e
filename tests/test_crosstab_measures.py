"""Sums and means of a release, beside SQL over both tables."""

from __future__ import annotations

import json
from fractions import Fraction
from hashlib import sha256

import duckdb
import pyarrow.csv as pa_csv
import pytest

from tests.case import Case, study, use_key
from tests.federation.domains import Domains
from tests.sizes import first, thorough
from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.keygen import generate
from xstat_ray.errors import BudgetError, InputError
from xstat_ray.federation.domain_run import plan_digest
from xstat_ray.federation.envelope import canonical
from xstat_ray.planning.plan import make_plan
from xstat_ray.publication.release import read
from xstat_ray.publication.summary import overall_means

PEOPLE = 60
FARES = [None if n % 7 == 0 else 37.5 * n - 100 for n in range(PEOPLE)]
BALANCES = [n * n % 120 - 60 for n in range(PEOPLE)]
TOWNS = ["a", "b", "c"]
MEASURES = [
    {"name": "fare", "low": 0, "high": 1000, "unit": "JPY"},
    {"name": "points", "column": "balance", "low": -50, "high": 49},
]


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture
def case(key, monkeypatch, tmp_path):
    """Sixty people; every seventh has no fare, and some have more than there may be."""
    use_key(key, monkeypatch.setattr)
    case = Case(tmp_path)
    ids = [f"p{number}" for number in range(PEOPLE)]
    case.write("row", {"id": ids, "area": [TOWNS[number % 5 % 3] for number in range(PEOPLE)]})
    case.write(
        "column",
        {
            "id": ids,
            "kind": ["x" if n % 3 else "y" for n in range(PEOPLE)],
            "fare": FARES,
            "balance": BALANCES,
        },
    )
    return case


def with_measures(**privacy):
    privacy = {"suppress_below": 6, "noise": "off", **privacy}
    return study(areas=TOWNS, column={"measures": MEASURES}, privacy=privacy)


def query(case: Case, group: str):
    """Count, sum of the values that are counted, and their mean, by group."""
    clipped = {
        "fare": "if(fare IS NULL, 500, least(greatest(round_even(fare, 0), 0), 1000))",
        "points": "least(greatest(balance, -50), 49)",
    }
    figures = ", ".join(f"sum({value}), avg({value})" for value in clipped.values())
    rows, columns = (f"read_parquet('{case.tables[role]}')" for role in ("row", "column"))
    found = duckdb.sql(
        f"SELECT {group}, count(*), {figures} FROM {rows} JOIN {columns} USING (id) GROUP BY ALL"
    ).fetchall()
    names = group.split(", ")
    return {row[: len(names)]: row[len(names) :] for row in found}


def beyond(values, low, high):
    return sum(value is not None and not low <= round(value) <= high for value in values)


def figures(row):
    return (row["fare_sum"], row["fare_mean"], row["points_sum"], row["points_mean"])


def test_without_noise_sums_and_means_are_those_of_sql(case):
    release = case.run(with_measures())
    expected = query(case, "area, kind")
    hidden = 0
    for row in release.statistics.to_pylist():
        count, *wanted = expected.get((row["area"], row["kind"]), (0, 0, None, 0, None))
        assert row["noisy"] == count
        assert (row["fare_sum"], row["points_sum"]) == (wanted[0], wanted[2])
        if row["suppressed"]:
            hidden += 1
            wanted[1] = wanted[3] = None
        assert figures(row) == pytest.approx(tuple(wanted))
        interval = (row["fare_low95"], row["fare_mean"], row["fare_high95"], row["fare_stderr"])
        assert interval == (wanted[1],) * 3 + (None if wanted[1] is None else 0,) or (
            pytest.approx(interval[:3]) == [wanted[1]] * 3 and interval[3] == 0
        )
    assert 0 < hidden < 6
    areas = {row["kind"]: row for row in release.areas.to_pylist() if row["level"] == "total"}
    for (kind,), (_, *wanted) in query(case, "kind").items():
        assert figures(areas[kind]) == pytest.approx(tuple(wanted))
    ((_, *whole),) = query(case, "1").values()
    means = overall_means(release)
    assert [mean.what for mean in means] == ["fare in JPY", "points"]
    assert [mean.value for mean in means] == pytest.approx([whole[1], whole[3]])


def test_units_stand_in_the_files_and_what_was_done_to_values_in_the_parties_own(case):
    release = case.run(with_measures(), shards=3)
    assert read(case.out).statistics.schema.metadata[b"fare"] == b"JPY"
    text = (case.out / "statistics.csv").read_text()
    assert text.startswith("# WARNING:") and "\n# fare: JPY\n" in text
    comments = sum(line.startswith("#") for line in text.splitlines())
    csv = pa_csv.read_csv(case.out / "statistics.csv", pa_csv.ReadOptions(skip_rows=comments))
    assert csv["fare_sum"].to_pylist() == release.statistics["fare_sum"].to_pylist()
    fare, points = release.manifest["measures"]
    assert (fare["name"], fare["unit"], fare["low"], fare["high"], fare["mid"]) == (
        "fare", "JPY", 0, 1000, 500,
    )  # fmt: skip
    assert points["unit"] is None and points["mid"] == -1
    assert [measure["name"] for measure in release.plan["measures"]] == ["fare", "points"]
    assert case.intake("column")["measures"] == [
        {"name": "fare", "missing": 9, "clipped": beyond(FARES, 0, 1000)},
        {"name": "points", "missing": 0, "clipped": beyond(BALANCES, -50, 49)},
    ]
    # Nothing of it leaves the party.
    published = json.dumps([release.manifest, release.plan])
    assert "clipped" not in published and "missing" not in published


def test_a_value_that_is_no_number_ends_the_run_with_its_place_and_not_the_value(case):
    case.write("column", "id,kind,fare,balance\np1,x,100,1\np2,y,free,2\n")
    with pytest.raises(InputError, match="not a number.*column fare.*row 2") as caught:
        case.run(with_measures())
    assert "free" not in str(caught.value)
    assert not case.ledger.exists() or case.debits() == 0


def test_a_study_without_measures_publishes_the_columns_it_did(case):
    release = case.run(study(areas=TOWNS, privacy={"suppress_below": 3}))
    assert release.statistics.column_names == [
        "area", "kind", "noisy", "estimate", "low95", "high95", "stderr", "suppressed",
    ]  # fmt: skip
    assert {"measures", "split"}.isdisjoint({*release.manifest, *release.plan})
    assert "measures" not in case.intake("column")


TREE = {
    "mechanism": "tree",
    "padding": "dp",
    "view": {"epsilon": 10, "delta": "1e-3"},
    "cap": 100,
}


@pytest.mark.parametrize("privacy", first(1, [TREE, {}], thorough), ids=["padded tree", "flat"])
def test_three_domains_publish_the_same_tables(case, privacy):
    asked = with_measures(**privacy)
    release = case.run(asked)
    domains = Domains(case.folder / "domains", asked, case.tables)
    domains.run()
    published = read(domains.out)
    assert published.statistics.equals(release.statistics)
    assert published.areas.equals(release.areas)
    assert published.manifest["measures"] == release.manifest["measures"]


@thorough
@pytest.mark.ray
@pytest.mark.usefixtures("ray_folder")
def test_so_does_ray(case):
    asked = with_measures(**TREE)
    release = case.run(asked)
    on_ray = case.run(
        asked, out=case.folder / "ray", runtime="ray", replicas={"row": 1, "column": 2}
    )
    assert on_ray.statistics.equals(release.statistics) and on_ray.areas.equals(release.areas)


@thorough
@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_a_release_with_noise_costs_what_is_declared_once(case, noise):
    asked = with_measures(noise=noise, epsilon=1, delta="1e-9", cap=1)
    release = case.run(asked)
    spent = release.manifest["spent"]
    assert spent["epsilon"] == "1" and case.debits() <= 1
    assert 0 < Fraction(spent["delta"]) <= Fraction(1, 10**9)
    (fare, points) = release.plan["measures"]
    assert fare["sum_stderr"]["cell"] == pytest.approx(10 * points["sum_stderr"]["cell"], rel=0.01)
    exact = case.run(with_measures(), out=case.folder / "exact").statistics
    # Noise of scale 1,600 is zero once in 3,300 draws: three of six sums in one of 10^9 runs.
    moved = release.statistics["fare_sum"].to_numpy() != exact["fare_sum"].to_numpy()
    assert len(moved) == 6 and moved.sum() >= 4
    with pytest.raises(BudgetError):
        case.run(asked, out=case.folder / "again")


def test_the_plan_tells_bits_split_and_errors():
    plan = make_plan(
        with_measures(noise="laplace", split={"count": 0.5, "fare": 0.3, "points": 0.2})
    )
    told = dict(plan.rows())
    assert told["Budget"] == (
        "1/2 for the counts, 3/10 for fare, 1/5 for points (set by the study)"
    )
    assert "bits a count, 22 a sum of fare, 18 a sum of points, " in told["Encryption"]
    auto = make_plan(with_measures(noise="laplace"))
    planned = {name: Fraction(share) for name, share in auto.as_dict()["split"].items()}
    assert sum(planned.values()) == 1 and planned["fare"] == planned["points"] < planned["count"]


@thorough
@pytest.mark.parametrize("kernel", ["portable", "phe"])
def test_every_kernel_publishes_the_same(case, kernel, monkeypatch):
    asked = with_measures()
    release = case.run(asked)
    monkeypatch.setenv(choice.VARIABLE, kernel)
    choice.choose.cache_clear()
    try:
        again = case.run(asked, out=case.folder / kernel)
    finally:
        choice.choose.cache_clear()
    assert again.manifest["kernels"]["driver"] == kernel
    assert again.statistics.equals(release.statistics) and again.areas.equals(release.areas)


def test_without_measures_the_digest_of_a_plan_is_of_what_it_was():
    plan = make_plan(study(areas=TOWNS), key_bits=2048)
    packing = plan.packing
    alike = {
        "key_bits": 2048,
        "packing": {
            "slots": packing.slots,
            "slot_bits": packing.slot_bits,
            "per_block": packing.per_block,
            "blocks": packing.blocks,
            "offset": packing.offset,
        },
        "levels": [3],
        "regions": [[0, 3]],
        "batches": [[0, 1]],
    }
    assert plan_digest(plan) == sha256(canonical(alike)).hexdigest()
    measured = make_plan(with_measures(), key_bits=2048)
    assert plan_digest(measured) != plan_digest(plan)
