"""The made-up world of one machine, scale=laptop: its exact counts and its exact people."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from tests import oracle
from tests.hokkaido.needs import country
from tests.hokkaido.needs.counting import count as count_hours
from tests.hokkaido.needs.counting import count_spend
from tests.hokkaido.world.years import COLUMNS
from tests.hokkaido.world.years import count as count_year
from tests.statistical.world import CONF, declaration, publish_exactly
from xstat_ray.hokkaido.population.plan import PopulationPlan, make_plan
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs import nycflights
from xstat_ray.planning.plan import Plan

SEEDS = {"row": bytes(32), "column": bytes(32)}
"""Seeds of the parties' choices where their bounds bind: of the counts of a table these are one."""


def laptop_world() -> World:
    """Read the settings of conf/scale/laptop.yaml."""
    raw = yaml.safe_load((CONF.parent / "scale" / "laptop.yaml").read_text())["world"]
    return World(**raw | {"first_day": dt.date.fromisoformat(raw["first_day"])})


def plan_of(name: str) -> Plan:
    """Plan a study of conf/study with the noise that it is shipped with."""
    return country.plan_of(name)


class Laptop:
    """The tables of the world, and what is counted in them."""

    def __init__(self, folder: Path) -> None:
        """Make the tables."""
        self._world = laptop_world()
        self._folder = folder
        self._tables = folder / "tables"
        build(self._world, self._tables, map, lambda _: None)
        register = read_register(self._tables / "public/register.parquet")
        self.plan = make_plan(declaration(self._world, {}), register)

    def cells(self, name: str) -> NDArray[np.int64]:
        """(cells, slots) exact counts of a study of conf/study, in declared order."""
        study = plan_of(name).study
        if name == "nycflights":
            paths = nycflights.write_tables(self._folder / name)
            return oracle.count(study, *map(pq.read_table, paths), SEEDS)
        count = count_year if name in COLUMNS else count_hours
        return count(study, self._tables).reshape(study.cells, -1)

    def spend(self) -> NDArray[np.int64]:
        """(cells, width) exact counts of the study `spend`, then sums of values less mid."""
        return count_spend(plan_of("spend").study, self._tables)

    @cached_property
    def people(self) -> dict[str, NDArray[np.float64]]:
        """(days, areas, hours, labels) exact people by the name of the breakdown."""
        publish_exactly(self._world, self._tables, self._folder)
        return _people(self._folder / "exact", self.plan)


def _people(folder: Path, plan: PopulationPlan) -> dict[str, NDArray[np.float64]]:
    table = pq.read_table(folder / "statistics.parquet", columns=["breakdown", "noisy"])
    shape = (plan.declaration.days, 24, plan.areas.tree.cells, -1)
    return {
        name: table.filter(pc.equal(table["breakdown"], name))["noisy"]
        .to_numpy()
        .reshape(shape)
        .transpose(0, 2, 1, 3)
        for name in (b.layout.breakdown.name for b in plan.breakdowns)
    }
