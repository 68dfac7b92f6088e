"""A made-up eastern Hokkaido with planted facts: journeys, who can be counted, and releases.

Everybody's journeys are the truth. The operator sees a random part of them; a cross-tab counts
exactly those, and the package makes the releases of these counts with its mechanisms and files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.access import AIRPORTS, airport_minutes, areas
from xstat_ray.hokkaido.needs.answer import Folders
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import tree_of
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release, write

CONF = Path(__file__).parents[3] / "conf" / "study"
SHARE = 0.42
DAYS = 60
PORTS = ("CTS", "OKD", "KUH", "MMB", "SHB")
ROUTES = 6
AT_ONCE = {
    "Kushiro": 3000,
    "Obihiro": 2500,
    "Kitami": 1600,
    "Abashiri": 1400,
    "Nakashibetsu": 500,
    "Bihoro": 300,
}
AT_ONCE |= {"Teshikaga": 1200, "Engaru": 400}
NEEDY = {"Mombetsu": 1300, "Nemuro": 1900, "Shari": 3000, "Akkeshi": 1000, "Rausu": 800}
"""Visitors present on a mean day where transport serves badly, as it serves the places above well.
Teshikaga is nearly as needy as the fifth of these."""
NEAR = np.array([[0.10, 0.55, 0.75, 0.93], [0.05, 0.70, 0.85, 0.96]])
"""Share of passengers near the airport, by (morning, afternoon) and a day, 60, 40 and 20 minutes
before departure."""
Cells = NDArray[np.int64]


@cache
def plan_of(name: str, noise: str = "auto") -> Plan:
    """Plan a study of conf/study, with the noise that it is shipped with or another."""
    raw = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    study = {"study": raw["study"], "privacy": raw["privacy"] | {"noise": noise}}
    return make_plan(parse(study, origin=f"{name}.yaml"), key_bits=2048)


@dataclass(frozen=True)
class Country:
    """Exact counts: of everybody (`*_all`) and of those who can be counted (`*_seen`)."""

    visitors: np.ndarray
    """(areas,) visitors on a mean day."""
    watershed_all: np.ndarray
    """(areas, timetables, airports) passenger-days."""
    watershed_seen: np.ndarray
    arrivals_all: np.ndarray
    """(areas, hours) passengers present 1 to 6 hours after landing."""
    arrivals_seen: np.ndarray
    boarding_all: np.ndarray
    """(airports, flights, times, states)."""
    boarding_seen: np.ndarray
    landing: np.ndarray
    """(areas,) mean minutes from landing to the area, of everybody."""


def make_country(seed: int, passengers: int = 50_000) -> Country:
    """Draw the journeys of passengers."""
    rng = np.random.default_rng(seed)
    names = areas()["name_en"].to_pylist()
    mean = np.array([(AT_ONCE | NEEDY).get(name, 60) for name in names], float)
    area = rng.choice(len(names), passengers, p=mean / mean.sum())
    season = rng.integers(0, 2, passengers)
    # The route makes Nakashibetsu half an hour nearer.
    minutes = airport_minutes()[:, None, :] + np.array([[0, 0, 60, 0], [0, 0, 0, 0]])
    chance = np.exp(-minutes / 15)
    ends = np.cumsum(chance / chance.sum(-1, keepdims=True), -1)
    airport = np.minimum(
        (rng.random(passengers)[:, None] > ends[area, season]).sum(1), len(AIRPORTS) - 1
    )
    seen = rng.random(passengers) < SHARE
    way = 15 + airport_minutes()[area, airport] * rng.normal(1, 0.1, passengers)
    first = np.clip(np.ceil(way / 60 + 0.5), 1, 6).astype(int)
    watershed = np.zeros((2, len(names), 2, 4), int)
    arrivals = np.zeros((2, len(names), 6), int)
    for who, chosen in enumerate((np.ones(passengers, bool), seen)):
        np.add.at(watershed[who], (area[chosen], season[chosen], airport[chosen]), 2)
        for hour in range(6):
            here = chosen & (first <= hour + 1)
            np.add.at(arrivals[who, :, hour], area[here], 1)
    near = np.broadcast_to(NEAR, (len(PORTS), 2, 4))
    boarding = rng.multinomial(2_000, np.stack([0.6 * (1 - near), near, 0.4 * (1 - near)], -1))
    landing = np.bincount(area, way, len(names)) / np.maximum(
        np.bincount(area, minlength=len(names)), 1
    )
    return Country(mean, *watershed, *arrivals, boarding, rng.binomial(boarding, SHARE), landing)


def sums_by_level(plan: Plan, cells: Cells) -> list[Cells]:
    """(nodes, slots) sums of all levels, from the cells to the total, each in declared order."""
    tree = tree_of(plan.study.row.dimensions)
    level = cells[tree.nodes[0]]
    sums = [cells]
    for first, nodes in zip(tree.first_children, tree.nodes[1:], strict=True):
        level = np.add.reduceat(level, first, axis=0)
        declared = np.empty_like(level)
        declared[nodes] = level
        sums.append(declared)
    return sums


def exact_sums(plan: Plan, cells: Cells) -> Cells:
    """(nodes, slots) sums of all measured levels, each in declared order."""
    sums = sums_by_level(plan, cells)
    return np.concatenate([sums[measured.level] for measured in plan.design.levels])


def release_of(name: str, cells: Cells, folder: Path, noise: str = "auto") -> Path:
    """Publish exact counts with fresh noise of the study, and write the files of the release."""
    plan = plan_of(name, noise)
    sums = exact_sums(plan, cells)
    noisy = Coefficients(release="00" * 16, first=0, values=sums + plan.design.draw(cells.shape[1]))
    facts = make_manifest(plan, "ab" * 16, {"row": "", "column": ""}, {"driver": "portable"}, {})
    folder.mkdir(parents=True, exist_ok=True)
    write(Release(*publish(plan, noisy), facts, plan.as_dict()), folder)
    return folder


def catchment_cells(country: Country) -> Cells:
    """(cells, slots) counts of the study of catchments."""
    plan = plan_of("catchment")
    cells = np.zeros((plan.study.cells, 4, 2), np.int64)
    cells[_rows(plan)] = country.watershed_seen.transpose(0, 2, 1)
    return cells.reshape(plan.study.cells, -1)


def movement_cells(country: Country) -> Cells:
    """(cells, slots) counts of the study of movement, all on the first route."""
    plan = plan_of("doto_movement")
    cells = np.zeros((plan.study.cells, ROUTES, 2, 12), np.int64)
    cells[_rows(plan), 0, 0, 6:] = country.arrivals_seen
    return cells.reshape(plan.study.cells, -1)


def preboarding_cells(country: Country) -> Cells:
    """(cells, slots) counts of the study of boarding."""
    cells = np.zeros((7, len(PORTS), 2, 4), np.int64)
    home, near, elsewhere = np.moveaxis(country.boarding_seen, -1, 0)
    cells[0] = home
    cells[-1] = elsewhere
    for port in range(len(PORTS)):
        cells[port + 1, port] = near[port]
    return cells.reshape(7, -1)


def _rows(plan: Plan) -> list[int]:
    labels = plan.study.row.dimensions[0].labels
    return [labels.index(name) for name in areas()["name_en"].to_pylist()]


def population_of(
    country: Country,
    folder: Path,
    error: float = 20.0,
    missing: tuple[str, ...] = (),
    noise_free: bool = False,
    seed: int = 0,
) -> Path:
    """Publish a population: visitors are from Tokyo, residents from where they are."""
    rng = np.random.default_rng(seed)
    codes = np.array(areas()["code"].to_pylist())
    here = np.array([code not in missing for code in codes])
    codes = codes[here]
    people = country.visitors[here]
    shape = (DAYS, 24, 2, len(codes))
    day, hour, home, place = (axis.ravel() for axis in np.indices(shape))
    exact = np.where(home, 20, 1) * people[place]
    stderr = 0.0 if noise_free else error
    noisy = np.rint(exact + stderr * rng.standard_normal(exact.size)).astype(np.int64)
    dates = np.array([f"2023{9 + number // 30:02d}{1 + number % 30:02d}" for number in range(DAYS)])
    table = pa.table(
        {
            "breakdown": ["residence"] * exact.size,
            "date": dates[day],
            "time": np.array([f"{hour:02d}00" for hour in range(24)])[hour],
            "area": codes[place],
            "residence": np.where(home, codes[place], "13000"),
            "noisy": noisy,
            "stderr": np.full(exact.size, stderr),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    if noise_free:
        table = table.replace_schema_metadata(
            {"WARNING": "NOISE OFF: exact counts, not differentially private"}
        )
    pq.write_table(table, folder / "statistics.parquet")
    breakdowns = {"breakdowns": {"residence": ["residence"]}, "residence": "local"}
    (folder / "manifest.json").write_text(
        json.dumps({"release": "cd", "noise_free": noise_free} | breakdowns)
    )
    return folder


def publish_all(country: Country, folder: Path, noise: str = "auto", seed: int = 0) -> Folders:
    """Publish all four releases, and name their folders."""
    return Folders(
        movement=release_of("doto_movement", movement_cells(country), folder / "movement", noise),
        catchment=release_of("catchment", catchment_cells(country), folder / "catchment", noise),
        population=population_of(
            country, folder / "population", noise_free=noise == "off", seed=seed
        ),
        preboarding=release_of(
            "preboarding", preboarding_cells(country), folder / "preboarding", noise
        ),
    )
