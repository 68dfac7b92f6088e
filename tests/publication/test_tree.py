"""The tree mechanism from tables to publication: at every level, encrypted sums are the sums.

The expected counts come from a dictionary over labels, and know nothing of trees, packing or
encryption.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.runtime.running import encrypted
from tests.sizes import every_other, first, slow, thorough
from xstat_ray import Options, Release, crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.inputs.source import Source
from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.study import (
    Bounds,
    ColumnSide,
    Privacy,
    Role,
    RowSide,
    Study,
    View,
)
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.protocol import play
from xstat_ray.publication.publish import Published, publish
from xstat_ray.roles import Aggregator
from xstat_ray.runtime import reduction
from xstat_ray.runtime.executor import Executor, LocalExecutor

Row = tuple[str, int, int]
"""Person, zone and area."""
Levels = dict[str, Counter[tuple[str, str]]]
"""Count by area and kind, by level."""
Area = tuple[str, ...]
Estimates = dict[tuple[Area, str], int | None]
"""Published estimate by area and kind."""
SEVERAL_BLOCKS = 62
"""Bits of a slot with which 40 columns need two ciphertexts of a 2048-bit key."""


@pytest.fixture(scope="module", autouse=True)
def one_key() -> Iterator[None]:
    """Making a key takes longer than all the rest, so all releases in this process share one."""
    key = generate(2048)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xstat_ray.roles.column_opening.generate", lambda bits, constant_time: key)
        yield


def dimension(name: str, size: int, hierarchy: tuple[Level, ...] = ()) -> Dimension:
    labels = tuple(f"{name}{i}" for i in range(size))
    return Dimension(name, name, labels, tuple((label,) for label in labels), hierarchy=hierarchy)


def make_study(
    zones: int, towns: Sequence[int], counties: Sequence[int], kinds: int, **privacy: Any
) -> Study:
    """Zones times areas: towns[i] is the town of area i, counties[j] the county of town j."""
    hierarchy = (
        Level("town", tuple(f"town{i}" for i in range(len(counties))), tuple(towns)),
        Level("county", tuple(f"county{i}" for i in range(max(counties) + 1)), tuple(counties)),
    )
    dimensions = (dimension("zone", zones), dimension("area", len(towns), hierarchy))
    return Study(
        "tree",
        RowSide("id", dimensions),
        ColumnSide("id", (dimension("kind", kinds),)),
        bounds=Bounds(rows=30, boardings=1, persons=20),
        privacy=Privacy(**{"noise": "off", "mechanism": "tree", **privacy}),
    )


def write_tables(
    study: Study, rows: Sequence[Row], kind_of: Mapping[str, int], folder: Path
) -> dict[Role, Path]:
    """Tables of (person, zone, area) and of person to kind, by number."""
    ids, zones, areas = zip(*rows, strict=True)
    row = {"id": ids, "zone": [f"zone{i}" for i in zones], "area": [f"area{i}" for i in areas]}
    column = {"id": list(kind_of), "kind": [f"kind{i}" for i in kind_of.values()]}
    paths = {"row": folder / "rows.parquet", "column": folder / "columns.parquet"}
    pq.write_table(
        pa.table({name: pa.array(values, pa.string()) for name, values in row.items()}),
        paths["row"],
    )
    pq.write_table(pa.table(column), paths["column"])
    return paths


def expected(study: Study, rows: Sequence[Row], kind_of: Mapping[str, int]) -> Levels:
    """Level to {(area, kind): count}, of those that are not zero."""
    towns, counties = (level.parents for level in study.row.dimensions[1].hierarchy)
    levels = defaultdict(Counter)
    for person, zone, area in rows:
        if person in kind_of:
            town = towns[area]
            below = {
                "cell": f"area{area}",
                "town": f"town{town}",
                "county": f"county{counties[town]}",
            }
            names = {level: f"zone{zone} / {label}" for level, label in below.items()}
            for level, name in {**names, "zone": f"zone{zone}", "total": "total"}.items():
                levels[level][name, f"kind{kind_of[person]}"] += 1
    return levels


def published(tables: Published, column: str) -> tuple[Levels, Counter[str]]:
    """Level to {(area, kind): count} of a publication without zeros, and figures by level."""
    levels = defaultdict(Counter)
    sizes = Counter()
    for row in tables.cells.to_pylist():
        levels["cell"][f"{row['zone']} / {row['area']}", row["kind"]] = row["noisy"]
        sizes["cell"] += 1
    for row in tables.areas.to_pylist():
        levels[row["level"]][row["area"], row["kind"]] = row[column]
        sizes[row["level"]] += 1
    return {
        level: Counter({key: n for key, n in figures.items() if n})
        for level, figures in levels.items()
    }, sizes


def check(
    plan: Plan, coefficients: Coefficients, rows: Sequence[Row], kind_of: Mapping[str, int]
) -> None:
    study = plan.study
    want = expected(study, rows, kind_of)
    tables = publish(plan, coefficients)
    towns, counties = study.row.dimensions[1].hierarchy
    zones, areas = (d.size for d in study.row.dimensions)
    nodes = (zones * areas, zones * len(towns.labels), zones * len(counties.labels), zones, 1)
    for column in ("estimate", "unbiased"):
        found, sizes = published(tables, column)
        assert sizes == {n: study.slots * size for n, size in zip(LEVELS, nodes, strict=True)}
        assert {level: dict(figures) for level, figures in found.items() if figures} == {
            level: dict(figures) for level, figures in want.items()
        }


LEVELS = ("cell", "town", "county", "zone", "total")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Study, list[Row], dict[str, int]]:
    """A study with its two tables."""

    def surjection(size: int, most: int) -> list[int]:
        raw = draw(st.lists(st.integers(0, most - 1), min_size=size, max_size=size))
        return np.unique(raw, return_inverse=True)[1].tolist()

    towns = surjection(draw(st.integers(1, 9)), 5)
    counties = surjection(max(towns) + 1, 3)
    zones = draw(st.integers(1, 3))
    kinds = draw(st.sampled_from([2, 40]))
    person = st.sampled_from([f"p{i}" for i in range(8)])
    rows = draw(
        st.lists(
            st.tuples(person, st.integers(0, zones - 1), st.integers(0, len(towns) - 1)),
            min_size=1,
            max_size=30,
        )
    )
    kind_of = draw(st.dictionaries(person, st.integers(0, kinds - 1), min_size=1))
    return make_study(zones, towns, counties, kinds), rows, kind_of


PADDED = {"padding": "dp", "view": View(Fraction(100), Fraction(1, 100))}
"""Empty nodes wherever a level is uneven, with few enough dummies for a test."""


@slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases(), st.sampled_from([1, 4]), st.sampled_from([{}, PADDED]))
def test_every_published_figure_is_a_sum_over_the_cells(tmp_path, case, shards, padding):
    study, rows, kind_of = case
    study = replace(study, privacy=replace(study.privacy, **padding))
    paths = write_tables(study, rows, kind_of, tmp_path)
    plan = make_plan(study, key_bits=2048, shards=shards, slot_bits=SEVERAL_BLOCKS)
    assert plan.packing.blocks == (2 if study.slots == 40 else 1)
    result = play(
        plan, row_table=paths["row"], column_table=paths["column"], ledger=tmp_path / "ledger"
    )
    check(plan, result, rows, kind_of)


# Three zones of seven areas in four towns in two counties, neighbours in name but not in number;
# forty columns.
TOWNS = [2, 0, 3, 1, 0, 2, 2]
COUNTIES = [1, 0, 1, 1]


@pytest.fixture
def random_case(tmp_path: Path) -> tuple[Study, list[Row], dict[str, int], dict[Role, Path]]:
    study = make_study(3, TOWNS, COUNTIES, 40)
    draw = np.random.default_rng(3)
    people = [f"p{i}" for i in range(16)]
    rows = [
        (str(draw.choice(people)), int(draw.integers(3)), int(draw.integers(7))) for _ in range(150)
    ]
    kind_of = {person: int(draw.choice([0, 1, 33, 39])) for person in people[:12]}
    return study, rows, kind_of, write_tables(study, rows, kind_of, tmp_path)


def execute(executor: Executor, plan: Plan) -> Coefficients:
    run, to_open = encrypted(executor, plan)
    return run.release(to_open)


def plan_of(study: Study) -> Plan:
    plan = make_plan(study, key_bits=2048, shards=3, slot_bits=SEVERAL_BLOCKS)
    assert plan.packing.blocks == 2
    return plan


@pytest.mark.parametrize("products", first(1, [1, 20, 50_000]))
def test_however_the_sums_are_cut_into_tasks(random_case, tmp_path, monkeypatch, products):
    study, rows, kind_of, paths = random_case
    monkeypatch.setattr(reduction, "PRODUCTS_A_CALL", products)
    submitted = Counter()
    submit = LocalExecutor.submit

    def count(self, function, *args):
        submitted[function.__name__] += 1
        return submit(self, function, *args)

    monkeypatch.setattr(LocalExecutor, "submit", count)
    plan = plan_of(study)
    with LocalExecutor(study, {role: Source(path) for role, path in paths.items()}) as executor:
        check(plan, execute(executor, plan), rows, kind_of)
    # 21 cells, 12 towns, 6 counties, 3 zones: a task for every node, for some, or for a whole
    # level.
    assert submitted["sum_up"] == {1: 12 + 6 + 3 + 1, 20: 3 + 2 + 1 + 1, 50_000: 4}[products]


@thorough
def test_with_padding_empty_nodes_come_and_go_again(random_case, tmp_path):
    study, rows, kind_of, paths = random_case
    study = replace(study, privacy=replace(study.privacy, **PADDED))
    plan = plan_of(study)
    # Three areas at most in a town, three towns in a county, two counties in each of three zones.
    assert [level.shown for level in plan.design.levels] == [54, 18, 6, 3, 1]
    with LocalExecutor(study, {role: Source(path) for role, path in paths.items()}) as executor:
        run, to_open = encrypted(executor, plan)
        assert to_open.masked.ciphertexts.shape[:2] == (54 + 18 + 6 + 3 + 1, 2)
        check(plan, run.release(to_open), rows, kind_of)
    played = play(
        plan, row_table=paths["row"], column_table=paths["column"], ledger=tmp_path / "ledger"
    )
    check(plan, played, rows, kind_of)


@thorough
@pytest.mark.ray
def test_on_ray(ray_folder, random_case, tmp_path, monkeypatch):
    from xstat_ray.runtime.ray_executor import RayExecutor

    study, rows, kind_of, paths = random_case
    monkeypatch.setattr(reduction, "PRODUCTS_A_CALL", 20)
    plan = plan_of(study)
    sources = {role: Source(path) for role, path in paths.items()}
    with RayExecutor(study, sources, {"column": 2}) as executor:
        on_ray = execute(executor, plan)
    with LocalExecutor(study, sources) as executor:
        assert (execute(executor, plan).values == on_ray.values).all()
    check(plan, on_ray, rows, kind_of)


@pytest.mark.parametrize(
    ("privacy", "nodes", "steps"),
    every_other(
        2,
        [
            ({"mechanism": "flat"}, 21, []),
            ({"report": ("cell",)}, 21, []),
            ({"report": ("county",)}, 21 + 6, [6]),
            ({"report": ("cell", "town", "total")}, 21 + 12 + 1, [12, 1]),
            ({}, 21 + 12 + 6 + 3 + 1, [12, 6, 3, 1]),
        ],
    ),
)
def test_levels_that_are_not_measured_cost_nothing(random_case, monkeypatch, privacy, nodes, steps):
    study, _, _, paths = random_case
    study = replace(study, privacy=replace(study.privacy, noise="laplace", **privacy))
    plan = plan_of(study)
    made = []
    sum_up = Aggregator.sum_up

    def count(self, table, starts):
        made.append(len(starts))
        return sum_up(self, table, starts)

    monkeypatch.setattr(Aggregator, "sum_up", count)
    with LocalExecutor(study, {role: Source(path) for role, path in paths.items()}) as executor:
        _, to_open = encrypted(executor, plan)
    assert to_open.masked.ciphertexts.shape[:2] == (nodes, 2)
    assert plan.table_ciphertexts == 2 * nodes
    assert made == steps


def test_with_noise_the_cells_roll_up_to_the_areas_and_what_is_suppressed_does_not_follow(
    random_case, tmp_path
):
    study, _, _, paths = random_case
    for threshold in (0, 2):
        privacy = replace(
            study.privacy,
            noise="laplace",
            epsilon=study.privacy.epsilon * 12,
            suppress_below=threshold,
        )
        noisy = replace(study, privacy=replace(privacy, cap=privacy.epsilon))
        ledger = tmp_path / f"ledger {threshold}"
        sources = {role: Source(path, ledger=ledger) for role, path in paths.items()}
        release = crosstab(noisy, **sources, options=Options(key_bits=2048))
        levels = estimates(noisy, release)
        assert [len(figures) for figures in levels] == [21 * 40, 12 * 40, 6 * 40, 3 * 40, 40]
        hidden = sum(value is None for figures in levels for value in figures.values())
        assert (hidden > 0) == (threshold > 0)
        complete, lone = compare(levels, parents(noisy))
        assert complete > (20 if threshold else 21 * 40 / 2)
        assert lone == 0


def estimates(study: Study, release: Release) -> list[Estimates]:
    """{(area, kind): estimate} of each level, from the cells up; an area is a tuple of labels."""
    levels = {level: {} for level in LEVELS}
    for row in release.statistics.to_pylist():
        levels["cell"][(row["zone"], row["area"]), row["kind"]] = row["estimate"]
    for row in release.areas.to_pylist():
        levels[row["level"]][tuple(row["area"].split(" / ")), row["kind"]] = row["estimate"]
    return list(levels.values())


def parents(study: Study) -> list[Callable[[Area], Area]]:
    """Functions from an area to the one above, for each level but the last."""
    town, county = study.row.dimensions[1].hierarchy
    above = {f"area{i}": town.labels[parent] for i, parent in enumerate(town.parents)}
    above |= {
        name: county.labels[parent]
        for name, parent in zip(town.labels, county.parents, strict=True)
    }
    step = lambda area: (area[0], above[area[1]])  # noqa: E731
    return [step, step, lambda area: area[:1], lambda area: ("total",)]


def compare(levels: Sequence[Estimates], ups: Sequence[Callable[[Area], Area]]) -> tuple[int, int]:
    """Count areas whose parts are all published, and must add up, and those that lack one part."""
    complete = lone = 0
    for lower, upper, up in zip(levels, levels[1:], ups, strict=False):
        parts = defaultdict(list)
        for (area, kind), value in lower.items():
            parts[up(area), kind].append(value)
        assert parts.keys() == upper.keys()
        for area, values in parts.items():
            missing = values.count(None)
            if upper[area] is not None and not missing:
                assert sum(values) == upper[area]
                complete += 1
            lone += upper[area] is not None and missing == 1 and len(values) > 1
    return complete, lone
