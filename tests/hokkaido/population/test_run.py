"""A release of populations from tables on disk to its files."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.population import oracle
from tests.hokkaido.population.operator import (
    BOUNDED,
    BY_RESIDENCE,
    FIRST_DAY,
    NOISY,
    Operator,
    cells_of,
    crowd,
    declare,
)
from tests.sizes import first, thorough
from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.run import OperatorTables, PublishedPopulation
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.model.study import Privacy


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> OperatorTables:
    """Build a small world, in which the default classes are merged."""
    out = tmp_path_factory.mktemp("world") / "tables"
    build(
        World(seed=5, first_day=dt.date(2023, 10, 28), days=2, people=4000, block=1500, air=0.5),
        out,
        map,
        lambda _: None,
    )
    return world_tables(out)


def world_tables(out: Path) -> OperatorTables:
    """Name the operator's tables of a synthetic world."""
    return OperatorTables(
        out / "operator/presence",
        out / "operator/subscribers.parquet",
        out / "public/register.parquet",
        (out / "operator/opt_out.parquet",),
    )


def delivered(published: PublishedPopulation, name: str = "joint") -> pa.Table:
    """Read the delivered file of a breakdown."""
    return read_delivered(published.folder / f"population_{name}.csv")


def read_delivered(file: Path) -> pa.Table:
    """Read a delivered file."""
    text = dict.fromkeys(("date", "time", "area", "residence", "age", "gender"), "string")
    skip = 1 if file.read_text().startswith("#") else 0
    return pa_csv.read_csv(
        file,
        pa_csv.ReadOptions(skip_rows=skip),
        convert_options=pa_csv.ConvertOptions(column_types=text),
    )


@thorough
def test_expanded_totals_equal_the_register_by_sex_age_and_municipality(publish, tables):
    """With noise and withholding off, totals match to the person, though all are elsewhere."""
    register = read_register(tables.register)
    wanted = defaultdict(int)
    for (home, sex, age), residents in np.ndenumerate(register.residents):
        ten = max(15, (15 + 5 * age) // 10 * 10)
        wanted[register.homes[home], str(ten), "21"[sex]] += int(residents)
    table = delivered(publish(declare(), tables))
    for hour in ("0000", "0100", "0200"):
        found = defaultdict(int)
        in_hour = table.filter(pc.equal(table["time"], hour)).to_pylist()
        for row in in_hour:
            found[row["residence"], row["age"], row["gender"]] += row["population"]
        assert found == wanted
        assert len({row["area"] for row in in_hour}) > 100
    assert set(table["time"].to_pylist()) == {f"{hour:02d}00" for hour in range(24)}


def test_sql_agrees_value_by_value(statistics, tables):
    expected = oracle.people(
        tables, FIRST_DAY.year, ("municipality", "date", "hour", "home", "age", "sex")
    )
    table = statistics(declare(), tables)
    names = ("area", "date", "time", "residence", "age", "gender")
    found = {
        tuple(row[name] for name in names): row["noisy"]
        for row in table.to_pylist()
        if row["noisy"]
    }
    wanted = {
        (*key[:-1], {"female": "2", "male": "1"}[key[-1]]): value
        for key, value in expected.items()
        if value
    }
    assert found.keys() == wanted.keys()
    assert max(abs(found[key] - wanted[key]) for key in found) < 0.01


@thorough
@pytest.mark.parametrize("area", ["municipality", "mesh"])
def test_coarser_areas_are_sums_of_finer_ones(publish, tables, area):
    published = publish(
        declare(breakdowns=BY_RESIDENCE, residence="local", area=area, within=("Nemuro",)), tables
    )
    cells, areas = (
        pq.read_table(published.folder / name) for name in ("statistics.parquet", "areas.parquet")
    )
    both = []
    for table, column in (
        (cells, "noisy"),
        (areas.filter(pc.equal(areas["level"], "total")), "unbiased"),
    ):
        everybody = table.filter(pc.equal(table["breakdown"], "all"))
        both.append(
            everybody.group_by("time")
            .aggregate([(column, "sum")])
            .sort_by("time")[f"{column}_sum"]
            .to_numpy()
        )
    assert both[0][:3].min() > 10
    assert both[0] == pytest.approx(both[1])
    # Those at home and those from elsewhere are everybody.
    total = pc.sum(cells.filter(pc.equal(cells["breakdown"], "residence"))["noisy"]).as_py()
    assert total == pytest.approx(both[0].sum())


def test_residents_are_at_home_and_others_elsewhere(statistics, tmp_path):
    operator = Operator()
    for home in ("01223", "13000"):
        for _ in range(2):
            phone = operator.add_subscriber(home)
            operator.stay(phone, int(cells_of("01223")[0]), 8)
            operator.stay(phone, int(cells_of("01206")[0]), 9)
        operator.residents(home, "female", "40-44", 6)
    tables = operator.write(tmp_path / "tables")
    eight = ("0800", "01223")
    nine = ("0900", "01206")
    for kind, labels in (
        ("local", {(*eight, "01223"): 6, (*eight, "00000"): 6, (*nine, "00000"): 12}),
        (
            "municipality",
            {(*eight, "01223"): 6, (*eight, "13000"): 6, (*nine, "01223"): 6, (*nine, "13000"): 6},
        ),
        (
            "prefecture",
            {(*eight, "01000"): 6, (*eight, "13000"): 6, (*nine, "01000"): 6, (*nine, "13000"): 6},
        ),
    ):
        table = statistics(declare(residence=kind, breakdowns=BY_RESIDENCE), tables)
        table = table.filter(pc.equal(table["breakdown"], "residence"))
        found = {
            (r["time"], r["area"], r["residence"]): r["noisy"]
            for r in table.to_pylist()
            if r["noisy"]
        }
        assert found == pytest.approx(labels, rel=1e-5)
        assert set(table["age"].to_pylist()) == set(table["gender"].to_pylist()) == {"-1"}


def test_opt_out_means_out(statistics, publish, tables, tmp_path):
    """Those who opted out, of companies, or outside the ages, leave no trace in the statistics."""
    operator = crowd(2, hours=range(2))
    without = crowd(2, hours=range(2))
    gone = {row["subscriber"] for row in operator.subscribers[::5]}
    company = {row["subscriber"] for row in operator.subscribers[1::5]}
    old = {row["subscriber"] for row in operator.subscribers[2::10]}
    young = {row["subscriber"] for row in operator.subscribers[7::10]}
    operator.excluded = sorted(gone)
    for row in operator.subscribers:
        row["corporate"] = row["subscriber"] in company
        if row["subscriber"] in old:
            row["birth_year"] = 1943
        elif row["subscriber"] in young:
            row["birth_year"] = 2009
    never = gone | company | old | young
    for name in ("subscribers", "presence"):
        setattr(
            without, name, [row for row in getattr(without, name) if row["subscriber"] not in never]
        )
    assert 0.3 < len(without.subscribers) / len(operator.subscribers) < 0.5
    out = operator.write(tmp_path / "with")
    kept = without.write(tmp_path / "without")
    assert statistics(declare(), out).equals(statistics(declare(), kept))
    used = json.loads(
        (publish(declare(), out).folder / "parties/operator/intake.json").read_text()
    )["lines"]
    assert (used["opted_out"], used["corporate"], used["outside_ages"]) == (
        len(gone),
        len(company),
        len(old | young),
    )
    # Without the list they would be seen.
    seen = OperatorTables(out.presence, out.subscribers, out.register)
    assert not statistics(declare(), seen).equals(statistics(declare(), kept))


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
@pytest.mark.parametrize(("people", "subscribers", "least"), first(1, [(25, 3, 25), (10, 5, 15)]))
def test_delivered_files_never_hold_a_number_below_the_threshold(
    publish, world, noise, people, subscribers, least
):
    delta = Fraction(0) if noise == "laplace" else NOISY.delta
    privacy = Privacy(
        noise=noise, epsilon=Fraction(40), delta=delta, suppress_below=people, cap=Fraction(50)
    )
    declaration = declare(
        first_day=dt.date(2023, 10, 28),
        days=2,
        breakdowns=BY_RESIDENCE,
        residence="local",
        class_residents=100,
        weight_cap=Fraction(3),
        least_lines=subscribers,
        privacy=privacy,
    )
    published = publish(declaration, world)
    table = pq.read_table(published.folder / "statistics.parquet")
    smallest = []
    for name in ("residence", "all"):
        people_delivered = delivered(published, name)["population"].to_numpy()
        assert len(people_delivered) and people_delivered.min() >= least
        smallest.append(people_delivered.min())
        kept = table.filter(
            pc.and_(pc.equal(table["breakdown"], name), pc.invert(table["suppressed"]))
        )
        assert kept["estimate"].to_pylist() == people_delivered.tolist()
    assert min(smallest) < least + 20
    assert (
        table.filter(table["suppressed"])["estimate"].null_count
        == pc.sum(table["suppressed"]).as_py()
        > 100
    )
    assert published.withheld == pc.sum(table["suppressed"]).as_py()


def test_the_mean_day_is_the_mean_of_the_days_hour_by_hour_and_over_its_hours(publish, world):
    declaration = declare(**BOUNDED, first_day=dt.date(2023, 10, 28), days=2)
    published = publish(declaration, world)
    statistics = pq.read_table(published.folder / "statistics.parquet")
    wanted = defaultdict(float)
    for row in statistics.filter(pc.equal(statistics["breakdown"], "residence")).to_pylist():
        wanted[row["time"], row["area"], row["residence"]] += row["noisy"] / 2
        wanted["mean", row["area"], row["residence"]] += row["noisy"] / 48
    table = read_delivered(published.folder / "mean_day_residence.csv").to_pylist()
    assert len(table) == len(wanted) == 25 * 179 * 2
    for row in table:
        # Numbers are whole and add up to their total.
        exact = wanted[row["time"], row["area"], row["residence"]]
        assert row["date"] == "mean" and abs(row["population"] - exact) <= 1
        assert row["low95"] <= row["population"] <= row["high95"]


def test_the_mean_day_has_the_noise_of_a_mean(publish, world):
    declaration = declare(
        **BOUNDED,
        first_day=dt.date(2023, 10, 28),
        days=2,
        privacy=replace(NOISY, epsilon=Fraction(40), cap=Fraction(50), publish="distinct"),
    )
    published = publish(declaration, world)
    single = read_delivered(published.folder / "population_residence.csv")
    mean = read_delivered(published.folder / "mean_day_residence.csv").to_pylist()
    (stderr,) = set(single["stderr"].to_pylist())
    (of_hour,) = {row["stderr"] for row in mean if row["time"] != "mean"}
    (of_day,) = {row["stderr"] for row in mean if row["time"] == "mean"}
    assert of_hour == pytest.approx(stderr / np.sqrt(2), abs=0.11)
    assert of_day == pytest.approx(stderr / np.sqrt(48), abs=0.11)
    # What is unbiased stands out by five standard errors, and its interval ends two above.
    assert all(row["high95"] > 7 * row["stderr"] - 1 for row in mean)


def test_noise_is_as_large_as_is_published(publish, tables):
    declaration = declare(
        breakdowns=BY_RESIDENCE, residence="local", weight_cap=Fraction(3), privacy=NOISY
    )
    exact = pq.read_table(publish(declare(**BOUNDED), tables).folder / "statistics.parquet")
    published = publish(declaration, tables)
    noisy = pq.read_table(published.folder / "statistics.parquet")
    rho = Fraction(published.manifest["spent"]["rho"])
    for name, share in (("residence", 3 / 4), ("all", 1 / 4)):
        both = [t.filter(pc.equal(t["breakdown"], name)) for t in (noisy, exact)]
        stderr = both[0]["stderr"][0].as_py()
        error = (both[0]["noisy"].to_numpy() - both[1]["noisy"].to_numpy()) / stderr
        assert len(error) > 4000 and abs(error.mean()) < 5 / np.sqrt(len(error))
        assert error.std() == pytest.approx(1, abs=0.06)
        # One person: 24 hours, 3 people at most, and 3 the other way.
        assert stderr == pytest.approx(np.sqrt(24 * (3**2 + 3**2) / (2 * rho * share)), rel=0.001)


def test_statistics_do_not_depend_on_files_and_regions(statistics, tables, tmp_path):
    one_region = statistics(declare(**BOUNDED), tables, shards=1)
    again = crowd(1, hours=range(3)).write(tmp_path / "again", files=1)
    assert one_region.equals(statistics(declare(**BOUNDED), again, shards=9))


def test_one_person_moves_the_whole_release_by_no_more_than_the_plan_says(
    publish, tables, tmp_path
):
    """Leaving out a person moves what is published by less than the bound of the noise."""
    moved = []
    for gone in (0, 40, 200):
        operator = crowd(1, hours=range(3))
        phone = operator.subscribers[gone]["subscriber"]
        for name in ("subscribers", "presence"):
            rows = [row for row in getattr(operator, name) if row["subscriber"] != phone]
            setattr(operator, name, rows)
        without = operator.write(tmp_path / str(gone))
        both = [publish(declare(**BOUNDED), given).folder for given in (tables, without)]
        published = [pq.read_table(folder / "statistics.parquet") for folder in both]
        exact = [
            table.filter(pc.equal(table["breakdown"], "residence"))["noisy"].to_numpy()
            for table in published
        ]
        plan = json.loads((both[0] / "plan.json").read_text())
        l1 = abs(exact[0] - exact[1]).sum()
        l2_squared = ((exact[0] - exact[1]) ** 2).sum()
        assert (
            l1 <= plan["l1_sensitivity"] / UNITS
            and l2_squared <= plan["l2_sensitivity_squared"] / UNITS**2
        )
        moved.append(l1)
    assert max(moved) > 3
