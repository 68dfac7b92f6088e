"""A synthetic Hokkaido for tests: its true facts, and what is published of it seed by seed."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tests.hokkaido.needs.counting import count
from tests.hokkaido.needs.country import plan_of, release_of
from xstat_ray.hokkaido.needs.access import AIRPORTS, Travel, areas, hub_minutes
from xstat_ray.hokkaido.needs.answer import STUDIED, Assumptions, Folders, answer
from xstat_ray.hokkaido.needs.index import Sampling, index
from xstat_ray.hokkaido.needs.opening import FLIGHTS
from xstat_ray.hokkaido.population.config import read_declaration
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.plan import make_plan
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.run import OperatorTables, PopulationOptions, population
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.section import Section

CONF = Path(__file__).parents[2] / "conf" / "population.yaml"
BUSY = World(
    first_day=dt.date(2023, 10, 25),
    days=8,
    people=200_000,
    block=10_000,
    air=0.6,
    ground=0.6,
    studied=25,
)
"""Many people over a few days around the opening of the route."""
FLYING = World(
    first_day=dt.date(2023, 10, 25),
    days=8,
    people=150_000,
    block=10_000,
    share=0.6,
    air=1,
    own=1,
    studied=25,
)
"""A world with more passengers who can be counted, which shares of an airport that few use need."""
SHORT = World(
    seed=3,
    first_day=dt.date(2023, 10, 27),
    days=4,
    people=16_000,
    block=8_000,
    air=1,
    ground=0,
    studied=200,
)
STUDIES = {"movement": "doto_movement", "catchment": "catchment", "preboarding": "preboarding"}
"""Studies that are released, by the key of their folder."""
SEEDS = 20
FEW = 2
LEVEL = 1e-6
"""Chance that right intervals fail a test of coverage: the noise is drawn afresh in every run."""
NAMES, CODES = (areas()[name].to_pylist() for name in ("name_en", "code"))
STATES = ("near home", "near airport", "elsewhere")


class Facts(NamedTuple):
    """True facts of a world."""

    watershed: np.ndarray
    """(areas, timetables, airports) visitor-days of everybody."""
    counted: np.ndarray
    """(areas, timetables, airports) visitor-days of those who can be counted."""
    boarding: np.ndarray
    """(airports, flights, (60 and 20 minutes), states) passengers."""
    boarding_counted: np.ndarray
    """(airports, flights, (60 and 20 minutes), states) passengers who can be counted."""
    passengers: np.ndarray
    """(areas,) passengers who landed in eastern Hokkaido on their way there."""
    landing: np.ndarray
    """(areas,) their mean minutes from landing."""
    need: np.ndarray
    """(areas,) visitor-hours a day."""
    share: float
    """Share of the passengers who can be counted."""


def facts_of(tables: Path, world: World) -> Facts:
    """Read the facts of a world from its files."""
    rows = pq.read_table(tables / "truth/watershed.parquet").to_pylist()
    watershed = np.zeros((2, len(CODES), 2, len(AIRPORTS)))
    for row in rows:
        if row["municipality"] in CODES and row["airport"] in AIRPORTS:
            at = (
                CODES.index(row["municipality"]),
                ("S23", "W23").index(row["season"]),
                AIRPORTS.index(row["airport"]),
            )
            watershed[(0, *at)] += row["all"]
            watershed[(1, *at)] += row["counted"]
    boarding = np.zeros((2, len(STUDIED), 2, 2, 3))
    for row in pq.read_table(tables / "truth/states.parquet").to_pylist():
        if row["airport"] in STUDIED and row["before"] in ("60 min", "20 min"):
            at = (
                STUDIED.index(row["airport"]),
                FLIGHTS.index(row["halfday"]),
                ("60 min", "20 min").index(row["before"]),
            )
            for who, name in enumerate(("all", "counted")):
                boarding[(who, *at, STATES.index(row["state"]))] += row[name]
    by_code = {
        row["municipality"]: row
        for row in pq.read_table(tables / "truth/areas.parquet").to_pylist()
    }
    towns = [by_code[code] for code in CODES]
    visitors = np.array([row["visitor_minutes"] for row in towns]) / (1440 * world.days)
    passengers = np.array([row["passengers"] for row in towns])
    landing = np.array([row["landing_minutes"] for row in towns]) / np.maximum(passengers, 1)
    flyers = watershed[0].sum(axis=(1, 2)) / world.days
    need = index(visitors, flyers, landing, hub_minutes(), Travel())
    return Facts(
        *watershed, *boarding, passengers, landing, need, boarding[1].sum() / boarding[0].sum()
    )


def declaration(world: World, privacy: dict[str, object]) -> Declaration:
    """Read conf/population.yaml for the days of a world.

    Args:
        world: the settings of the world.
        privacy: settings of privacy that replace those of the file.
    """
    raw = {key: yaml.safe_load(CONF.read_text())[key] for key in ("population", "privacy")}
    raw["population"] |= {"first_day": world.first_day.isoformat(), "days": world.days}
    raw["privacy"] |= privacy
    return read_declaration(
        Section(raw, key="", origin="population.yaml", known=("population", "privacy"))
    )


def publish_exactly(world: World, tables: Path, folder: Path) -> None:
    """Publish the population of a world without noise, into `exact` in a folder.

    Args:
        world: the settings of the world.
        tables: its tables.
        folder: where the release and its ledger go.
    """
    operator = tables / "operator"
    population(
        declaration(world, {"noise": "off", "delta": 0}),
        OperatorTables(
            operator / "presence",
            operator / "subscribers.parquet",
            tables / "public/register.parquet",
            (operator / "opt_out.parquet",),
        ),
        out=folder / "exact",
        options=PopulationOptions(ledger=folder / "ledger.sqlite", allow_no_noise=True),
    )


class Found(NamedTuple):
    """Facts of a world, and what was published of it."""

    truth: Facts
    tables: dict[str, pa.Table]


class Published:
    """A world without noise, of which releases are made for each seed."""

    def __init__(self, world: World, folder: Path, studies: Mapping[str, str] = STUDIES) -> None:
        """Build a world and count it."""
        self.folder = folder
        self._studies = studies
        self.tables = folder / "tables"
        build(world, self.tables, map, lambda _: None)
        self.truth = facts_of(self.tables, world)
        self.cells = {}
        for name in studies.values():
            study = plan_of(name).study
            self.cells[name] = count(study, self.tables).reshape(study.cells, -1)
        register = read_register(self.tables / "public/register.parquet")
        self.plan = make_plan(declaration(world, {}), register)
        publish_exactly(world, self.tables, folder)
        exact = pq.read_table(folder / "exact" / "statistics.parquet")
        self.exact = exact.filter(
            pc.equal(exact["breakdown"], "residence")
        ).replace_schema_metadata(None)

    def release(self, seed: int, given: Assumptions | None = None) -> Found:
        """Publish all releases with fresh noise, and make the answer of them.

        Args:
            seed: number of the release.
            given: what the answer assumes; by default, the share that can be counted is known.
        """
        out = self.folder / f"seed {seed}"
        folders = {
            key: release_of(name, self.cells[name], out / key)
            for key, name in self._studies.items()
        }
        self._noisy(out / "population")
        given = given or Assumptions(market_share=self.truth.share, sampling=Sampling(draws=200))
        found = Found(
            self.truth, answer(Folders(population=out / "population", **folders), given).tables
        )
        shutil.rmtree(out)
        return found

    def _noisy(self, out: Path) -> None:
        out.mkdir()
        (table,) = [t for t in self.plan.breakdowns if t.layout.breakdown.name == "residence"]
        mechanism = table.design.levels[0].mechanism
        units = np.rint(self.exact["noisy"].to_numpy() * UNITS).astype(np.int64) + mechanism.draw(
            len(self.exact)
        )
        noisy = self.exact.set_column(
            self.exact.schema.get_field_index("noisy"), "noisy", pa.array(units / UNITS)
        )
        stderr = pa.array(np.full(len(noisy), mechanism.stderr / UNITS))
        pq.write_table(
            noisy.set_column(noisy.schema.get_field_index("stderr"), "stderr", stderr),
            out / "statistics.parquet",
        )
        facts = json.loads((self.folder / "exact" / "manifest.json").read_text())
        (out / "manifest.json").write_text(json.dumps(facts | {"noise_free": False}))


def countries(world: World, seeds: Iterable[int], folder: Path) -> Iterator[Published]:
    """Make worlds that differ by their seed alone; the tables of each are there for its turn only.

    Args:
        world: the settings that they share.
        seeds: seeds of the worlds.
        folder: where the tables go.
    """
    for seed in seeds:
        with TemporaryDirectory(dir=folder) as tables:
            yield Published(replace(world, seed=seed), Path(tables))
