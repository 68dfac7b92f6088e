"""Tables and studies of a region, for the suites over them.

The tables are those of a synthetic Hokkaido (`xstat-ray synthesize`): a folder that is given, or a
small one that is made.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import yaml

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Privacy, Study
from xstat_ray.util.package_files import CONF

_HOKKAIDO = World(first_day=dt.date(2023, 10, 29), days=1, outside=0.2, air=0.0234, studied=1.0)
"""World of conf/scale/hokkaido-day.yaml, but for people and block, which the suite sets."""
_STUDY = CONF / "study" / "doto_movement.yaml"
_PASSENGERS_A_DAY = 20_000
"""A public bound; there are about 15,000 boardings."""
_ELSEWHERE = "elsewhere"
_AIRPORTS = {
    "CTS": ("CTS",),
    "OKD": ("OKD",),
    "Doto": ("KUH", "MMB", "SHB", "OBO"),
    "HKD": ("HKD",),
    "AKJ": ("AKJ",),
}


@dataclass(frozen=True)
class Region:
    """Tables of both parties over some days."""

    folder: Path
    days: tuple[dt.date, ...]

    @property
    def sources(self) -> dict[str, Source]:
        """Sources of the parties."""
        operator = self.folder / "operator"
        airline = self.folder / "airline"
        excluded = (operator / "opt_out.parquet", operator / "not_used.parquet")
        return {
            "row": Source(operator / "presence", excluded),
            "column": Source(airline / "boardings.parquet", (airline / "no_consent.parquet",)),
        }

    @property
    def presence(self) -> list[Path]:
        """Files of the operator's table."""
        return sorted((self.folder / "operator" / "presence").glob("date=*/*.parquet"))

    @property
    def rows(self) -> int:
        """Number of rows of the operator's table."""
        return sum(pq.ParquetFile(path).metadata.num_rows for path in self.presence)

    @property
    def stored_bytes(self) -> int:
        """Size of the operator's table on disk."""
        return sum(path.stat().st_size for path in self.presence)

    def during(self, study: Study) -> Study:
        """Restrict a study to the days of the tables."""
        zone = ZoneInfo(study.period.timezone)
        edges = (self.days[0], self.days[-1] + dt.timedelta(days=1))
        start, end = (dt.datetime.combine(day, dt.time(), zone) for day in edges)
        return replace(study, period=replace(study.period, start=start, end=end))

    @contextmanager
    def part(self, of: int, days: int | None = None) -> Iterator[Region]:
        """Link every `of`-th presence file of the first `days` days in a new folder."""
        chosen = self.days[:days]
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "airline").symlink_to(self.folder / "airline")
            (folder / "operator").mkdir()
            for path in (self.folder / "operator").glob("*.parquet"):
                (folder / "operator" / path.name).symlink_to(path)
            for day in chosen:
                partition = Path("operator") / "presence" / f"date={day}"
                (folder / partition).mkdir(parents=True)
                files = sorted((self.folder / partition).glob("*.parquet"))
                for path in files[::of]:
                    (folder / partition / path.name).symlink_to(path)
            yield Region(folder, chosen)


@dataclass(frozen=True)
class RegionSizes:
    """The tables, or their sizes where none are given, and how much of them is used."""

    tables: Path | None
    people: int
    days: int
    part: int
    """Distance of presence files that are used: 1 uses all, 2 every second one."""

    @contextmanager
    def opened(self) -> Iterator[Region]:
        """Open the part that is used.

        Raises:
            InputError: there is no finished world in `tables`, or it has fewer days.
        """
        with (
            region(self.tables, self.people, self.days) as whole,
            whole.part(self.part, self.days) as part,
        ):
            yield part


@contextmanager
def region(tables: Path | None, people: int, days: int) -> Iterator[Region]:
    """Open the world in `tables`, or make one for the time of the block.

    Args:
        tables: folder of a world, or None.
        people: people of a world that is made.
        days: days that are used.

    Raises:
        InputError: there is no finished world in `tables`, or it has fewer days.
    """
    if tables is None:
        with TemporaryDirectory() as name:
            world = replace(_HOKKAIDO, people=people, block=max(1, people // 4), days=days)
            build(world, Path(name), map, lambda _: None)
            yield Region(Path(name), tuple(world.dates))
        return
    try:
        made = json.loads((tables / "world.json").read_text())["world"]
    except (OSError, ValueError, KeyError):
        remedy = "Make one with xstat-ray synthesize"
        raise InputError(
            "no finished world in the folder", file=str(tables), key="tables", remedy=remedy
        ) from None
    if made["days"] < days:
        raise InputError(
            f"the world has {made['days']} days",
            file=str(tables),
            key="days",
            remedy="Make a longer one",
        )
    first = dt.date.fromisoformat(made["first_day"])
    yield Region(tables.absolute(), tuple(first + dt.timedelta(days=day) for day in range(days)))


def studies(days: int = 1) -> dict[str, Study]:
    """Make the studies that are run, without noise, so that their counts can be checked.

    `doto` is the study doto_movement; few boardings are on its routes. `all` counts all boardings,
    by airport and half of the day, in a table of 144 columns, too.

    Args:
        days: days of the tables, from which the bound of passengers follows.
    """
    raw = yaml.safe_load(_STUDY.read_text("utf-8"))
    published = parse({name: raw[name] for name in ("study", "privacy")}, origin=str(_STUDY))
    movement = replace(published, privacy=Privacy(noise="off"))
    airport = Dimension(
        "airport",
        "departure_airport",
        (*_AIRPORTS, _ELSEWHERE),
        (*_AIRPORTS.values(), ()),
        other=_ELSEWHERE,
    )
    half = Dimension("half", "halfday", ("morning", "afternoon"), (("morning",), ("afternoon",)))
    all_boardings = replace(
        movement, name="all", column=replace(movement.column, dimensions=(airport, half))
    )
    passengers = max(movement.bounds.persons, days * _PASSENGERS_A_DAY)
    return {
        "doto": movement,
        "all": replace(all_boardings, bounds=replace(movement.bounds, persons=passengers)),
    }
