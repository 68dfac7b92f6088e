"""The release as a whole, on tables on disk."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.population import oracle
from tests.hokkaido.population.operator import FIRST_DAY, HOMES, Operator, cells_of, crowd, declare
from xstat_ray.errors import BudgetError, InputError, PlanError
from xstat_ray.hokkaido.population import run as run_module
from xstat_ray.hokkaido.population.declaration import Breakdown
from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.run import Tables
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.model.study import Privacy
from xstat_ray.privacy.ledger import Ledger

BY_RESIDENCE = (
    Breakdown("residence", ("residence",), Fraction(3, 4)),
    Breakdown("all", (), Fraction(1, 4)),
)
NOISY = Privacy(
    noise="gaussian",
    epsilon=Fraction(2),
    delta=Fraction(1, 10**6),
    suppress_below=10,
    cap=Fraction(5),
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return crowd(1, hours=range(3)).write(tmp_path_factory.mktemp("crowd"), files=3)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small world, in which the default classes are merged."""
    out = tmp_path_factory.mktemp("world") / "tables"
    build(
        World(seed=5, first_day=dt.date(2023, 10, 28), days=2, people=4000, block=1500, air=0.5),
        out,
        map,
        lambda _: None,
    )
    return world_tables(out)


def world_tables(out):
    return Tables(
        out / "operator/presence", out / "operator/subscribers.parquet", out / "public/register.parquet",
        (out / "operator/opt_out.parquet",),
    )  # fmt: skip


def delivered(published, name="joint"):
    file = published.folder / f"population_{name}.csv"
    text = dict.fromkeys(("date", "time", "area", "residence", "age", "gender"), "string")
    skip = 1 if file.read_text().startswith("#") else 0
    return pa_csv.read_csv(
        file,
        pa_csv.ReadOptions(skip_rows=skip),
        convert_options=pa_csv.ConvertOptions(column_types=text),
    )


def test_expanded_totals_equal_the_register_by_sex_age_and_municipality(publish, tables):
    """With noise and withholding off: to the person in every hour, though everybody is somewhere else."""
    register = read_register(tables.register)
    wanted = defaultdict(int)
    for (home, sex, age), residents in np.ndenumerate(register.residents):
        ten = max(15, (15 + 5 * age) // 10 * 10)
        wanted[register.homes[home], str(ten), "21"[sex]] += int(residents)
    table = delivered(publish(declare(), tables))
    for hour in ("0000", "0100", "0200"):
        found = defaultdict(int)
        own = table.filter(pc.equal(table["time"], hour)).to_pylist()
        for row in own:
            found[row["residence"], row["age"], row["gender"]] += row["population"]
        assert found == wanted
        assert len({row["area"] for row in own}) > 100
    assert set(table["time"].to_pylist()) == {f"{hour:02d}00" for hour in range(24)}


def test_sql_agrees_figure_by_figure(statistics, tables):
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
        own = table.filter(pc.equal(table["breakdown"], "all"))
        both.append(
            own.group_by("time")
            .aggregate([(column, "sum")])
            .sort_by("time")[f"{column}_sum"]
            .to_numpy()
        )
    assert both[0][:3].min() > 10
    assert both[0] == pytest.approx(both[1])
    # At home and elsewhere together are everybody, and estimates add up as well.
    total = pc.sum(cells.filter(pc.equal(cells["breakdown"], "residence"))["noisy"]).as_py()
    assert total == pytest.approx(both[0].sum())


def test_residents_are_at_home_and_others_elsewhere(statistics, tmp_path):
    operator = Operator()
    for home in ("01223", "13000"):
        for _ in range(2):
            one = operator.line(home)
            operator.stay(one, int(cells_of("01223")[0]), 8)
            operator.stay(one, int(cells_of("01206")[0]), 9)
        operator.residents(home, "female", "40-44", 6)
    tables = operator.write(tmp_path / "tables")
    for kind, labels in (
        ("local", {("0800", "01223", "01223"): 6, ("0800", "01223", "00000"): 6, ("0900", "01206", "00000"): 12}),
        ("municipality", {("0800", "01223", "01223"): 6, ("0800", "01223", "13000"): 6, ("0900", "01206", "01223"): 6,
                          ("0900", "01206", "13000"): 6}),
        ("prefecture", {("0800", "01223", "01000"): 6, ("0800", "01223", "13000"): 6, ("0900", "01206", "01000"): 6,
                        ("0900", "01206", "13000"): 6}),
    ):  # fmt: skip
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
    """Lines that opted out, of companies, or outside the ages give the figures of tables in which they never were."""
    operator = crowd(2, hours=range(2))
    without = crowd(2, hours=range(2))
    gone = {row["subscriber"] for row in operator.lines[::5]}
    company = {row["subscriber"] for row in operator.lines[1::5]}
    old = {row["subscriber"] for row in operator.lines[2::10]}
    young = {row["subscriber"] for row in operator.lines[7::10]}
    operator.excluded = sorted(gone)
    for row in operator.lines:
        row["corporate"] = row["subscriber"] in company
        row["birth_year"] = (
            1943
            if row["subscriber"] in old
            else 2009
            if row["subscriber"] in young
            else row["birth_year"]
        )
    never = gone | company | old | young
    for name in ("lines", "presence"):
        setattr(
            without, name, [row for row in getattr(without, name) if row["subscriber"] not in never]
        )
    assert 0.3 < len(without.lines) / len(operator.lines) < 0.5
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
    seen = Tables(out.presence, out.lines, out.register)
    assert not statistics(declare(), seen).equals(statistics(declare(), kept))


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
@pytest.mark.parametrize(("people", "lines", "least"), [(25, 3, 25), (10, 5, 15)])
def test_delivered_files_never_hold_a_figure_below_the_threshold(
    publish, world, noise, people, lines, least
):
    delta = Fraction(0) if noise == "laplace" else NOISY.delta
    privacy = Privacy(
        noise=noise, epsilon=Fraction(40), delta=delta, suppress_below=people, cap=Fraction(50)
    )
    declaration = declare(
        first_day=dt.date(2023, 10, 28), days=2, breakdowns=BY_RESIDENCE, residence="local", class_residents=100,
        weight_cap=Fraction(3), least_lines=lines, privacy=privacy,
    )  # fmt: skip
    published = publish(declaration, world)
    table = pq.read_table(published.folder / "statistics.parquet")
    smallest = []
    for name in ("residence", "all"):
        own = delivered(published, name)
        own = own["population"].to_numpy()
        assert len(own) and own.min() >= least
        smallest.append(own.min())
        kept = table.filter(
            pc.and_(pc.equal(table["breakdown"], name), pc.invert(table["suppressed"]))
        )
        assert kept["estimate"].to_pylist() == own.tolist()
    assert min(smallest) < least + 20
    assert (
        table.filter(table["suppressed"])["estimate"].null_count
        == pc.sum(table["suppressed"]).as_py()
        > 100
    )
    assert published.withheld == pc.sum(table["suppressed"]).as_py()


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


BOUNDED = {"breakdowns": BY_RESIDENCE, "residence": "local", "weight_cap": Fraction(3)}


def test_figures_do_not_depend_on_files_and_regions(statistics, tables, tmp_path):
    one = statistics(declare(**BOUNDED), tables, shards=1)
    again = crowd(1, hours=range(3)).write(tmp_path / "again", files=1)
    assert one.equals(statistics(declare(**BOUNDED), again, shards=9))


class Crash(Exception):
    pass


def test_a_rerun_replays_the_stored_noise_and_spends_once(publish, tables, tmp_path, monkeypatch):
    declaration = declare(**BOUNDED | {"privacy": NOISY})
    out = tmp_path / "out"

    def crash(*arguments):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_release", crash)
        with pytest.raises(Crash):
            publish(declaration, tables, out)
    # Neither key nor codes nor exact sums are left.
    assert sorted(p.name for p in (out / "unfinished").iterdir()) == ["facts.json", "noisy"]
    assert not (out / "statistics.parquet").exists()
    shutil.copytree(out, tmp_path / "copy")
    with pytest.raises(InputError, match="the unfinished release of another population"):
        publish(declare(**BOUNDED | {"privacy": NOISY, "days": 2}), tables, out)
    first, second = (publish(declaration, tables, folder) for folder in (out, tmp_path / "copy"))
    for name in ("statistics.parquet", "areas.parquet", "population_all.csv", "manifest.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.spent("operator") <= 2 and [e.kind for e in ledger.history()] == ["cap", "debit"]
    with pytest.raises(InputError, match="already holds a release"):
        publish(declaration, tables, out)


@pytest.mark.parametrize("stage", ["check_files", "_keep"])
def test_a_crash_before_the_noise_is_stored_leaves_nothing(
    publish, tables, tmp_path, monkeypatch, stage
):
    def crash(*arguments):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(run_module, stage, crash)
        with pytest.raises(Crash):
            publish(declare(**BOUNDED | {"privacy": NOISY}), tables, tmp_path / "out")
    assert not (tmp_path / "out" / "unfinished").exists()
    assert not (tmp_path / "ledger.sqlite").exists()


def test_the_ledger_refuses_and_nothing_is_published(publish, tables, tmp_path):
    declaration = declare(
        **BOUNDED
        | {"privacy": Privacy(**vars(NOISY) | {"epsilon": Fraction(3), "cap": Fraction(4)})}
    )
    publish(declaration, tables)
    with pytest.raises(BudgetError, match="operator"):
        publish(declaration, tables, tmp_path / "refused")
    assert (
        not list((tmp_path / "refused").glob("*.parquet"))
        and not (tmp_path / "refused" / "unfinished").exists()
    )


def test_refusals_before_anything_is_counted(publish, tables, tmp_path):
    with pytest.raises(PlanError, match="publishes exact counts"):
        publish(declare(), tables, allow_no_noise=False)
    with pytest.raises(PlanError, match="noisy figures, more than"):
        publish(declare(area="mesh", days=30), tables)
    for name, key in (("presence", "presence"), ("lines", "subscribers"), ("register", "register")):
        gone = Tables(**vars(tables) | {name: tmp_path / "nowhere"})
        with pytest.raises(InputError, match=f"Set data.{key}"):
            publish(declare(), gone)
    with pytest.raises(InputError, match="column subscriber"):
        publish(declare(), Tables(**vars(tables) | {"presence": tables.register}))
    with pytest.raises(InputError, match=r"none of the \d+ rows of used lines"):
        publish(declare(first_day=dt.date(2024, 1, 1)), tables)
    assert not list(tmp_path.rglob("statistics.parquet")) and not list(tmp_path.rglob("unfinished"))


def test_a_line_that_is_listed_twice_or_is_in_two_files_is_refused(publish, tmp_path):
    operator = crowd(3, homes=HOMES[:1], hours=range(1))
    tables = operator.write(tmp_path / "tables", files=2)
    shutil.copy(tables.presence / "part-0.parquet", tables.presence / "part-2.parquet")
    with pytest.raises(InputError, match="on 2023-11-01 are in two files") as error:
        publish(declare(), tables)
    assert error.value.file.endswith("part-2.parquet")
    operator.lines.append(operator.lines[0])
    with pytest.raises(InputError, match="a line is listed twice"):
        publish(declare(), operator.write(tmp_path / "twice"))


def test_one_person_moves_the_whole_release_by_no_more_than_the_plan_says(
    publish, tables, tmp_path
):
    """With and without each of some people: the bound on which the noise rests holds for what is published."""
    moved = []
    for gone in (0, 40, 200):
        operator = crowd(1, hours=range(3))
        one = operator.lines[gone]["subscriber"]
        for name in ("lines", "presence"):
            setattr(
                operator, name, [row for row in getattr(operator, name) if row["subscriber"] != one]
            )
        without = operator.write(tmp_path / str(gone))
        both = [publish(declare(**BOUNDED), given).folder for given in (tables, without)]
        figures = [pq.read_table(folder / "statistics.parquet") for folder in both]
        own = [
            table.filter(pc.equal(table["breakdown"], "residence"))["noisy"].to_numpy()
            for table in figures
        ]
        plan = json.loads((both[0] / "plan.json").read_text())
        l1 = abs(own[0] - own[1]).sum()
        l2_squared = ((own[0] - own[1]) ** 2).sum()
        assert (
            l1 <= plan["l1_sensitivity"] / UNITS
            and l2_squared <= plan["l2_sensitivity_squared"] / UNITS**2
        )
        moved.append(l1)
    assert max(moved) > 3
