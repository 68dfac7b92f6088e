"""An operator's tables, made by hand: lines with classes, their presence hour by hour, and a register above them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.declaration import Breakdown, Declaration
from xstat_ray.hokkaido.population.register import AGES, SEXES
from xstat_ray.hokkaido.population.run import Tables
from xstat_ray.model.study import Privacy

FIRST_DAY = dt.date(2023, 11, 1)
HOMES = ("01100", "01206", "01223", "01639", "13000")
EXACT = Privacy(noise="off", suppress_below=0)
JOINT = (Breakdown("joint", ("residence", "age", "gender"), Fraction(1)),)


def declare(**changes):
    usual = {
        "first_day": FIRST_DAY,
        "days": 1,
        "breakdowns": JOINT,
        "residence": "municipality",
        "class_residents": 1,
        "weight_cap": Fraction(100),
        "least_lines": 0,
        "privacy": EXACT,
    }
    return Declaration(**usual | changes)


@dataclass
class Operator:
    """Rows of the tables; lines are numbered from 0."""

    lines: list[dict] = field(default_factory=list)
    presence: list[dict] = field(default_factory=list)
    register: list[dict] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def line(self, home="01206", sex="female", age=40, **other):
        phone = f"+8190{len(self.lines):08d}"
        row = {
            "subscriber": phone,
            "sex": sex,
            "birth_year": FIRST_DAY.year - age,
            "home": home,
            "corporate": False,
        }
        self.lines.append(row | other)
        return row["subscriber"]

    def stay(self, line, mesh, hour, seconds=3600, minute=0, day=0):
        at = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(
            days=day, hours=hour, minutes=minute
        )
        self.presence.append({"subscriber": line, "time": at, "mesh": mesh, "dwell": seconds})

    def residents(self, home, sex, age, residents):
        self.register.append({"home": home, "sex": sex, "age": age, "residents": residents})

    def write(self, folder: Path, files=1) -> Tables:
        """Write the tables; lines are dealt to the files of the presence table."""
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted({row["subscriber"] for row in self.presence})
        rows = sorted(self.presence, key=lambda row: (row["subscriber"], row["time"]))
        (folder / "presence").mkdir(exist_ok=True)
        for number in range(files):
            own = [row for row in rows if names.index(row["subscriber"]) % files == number]
            _write(own, PRESENCE, folder / "presence" / f"part-{number}.parquet")
        _write(self.lines, LINES, folder / "lines.parquet")
        _write(self.register, REGISTER, folder / "register.parquet")
        _write(
            [{"subscriber": one} for one in self.excluded],
            LINES,
            folder / "out.parquet",
            ["subscriber"],
        )
        paths = (folder / "presence", folder / "lines.parquet", folder / "register.parquet")
        return Tables(*paths, excluded=(folder / "out.parquet",))


PRESENCE = {
    "subscriber": pa.string(),
    "time": pa.timestamp("s"),
    "mesh": pa.int32(),
    "dwell": pa.int32(),
}
LINES = {"subscriber": pa.string(), "sex": pa.string(), "birth_year": pa.int16(), "home": pa.string(),
         "corporate": pa.bool_()}  # fmt: skip
REGISTER = {"home": pa.string(), "sex": pa.string(), "age": pa.string(), "residents": pa.int32()}


def _write(rows, types, path, columns=None):
    schema = pa.schema([(name, types[name]) for name in columns or types])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def cells_of(home):
    """500 m cells of a municipality."""
    land = hokkaido.cells()
    return land.filter(pa.compute.equal(land["municipality"].cast(pa.string()), home))[
        "mesh"
    ].to_numpy()


def crowd(seed, per_class=4, hours=range(24), homes=HOMES) -> Operator:
    """Residents of every class, lines of some of them, each somewhere in Hokkaido for the whole of every hour."""
    rng = np.random.default_rng(seed)
    made = Operator()
    land = hokkaido.cells()["mesh"].to_numpy()
    for home in homes:
        for sex in SEXES:
            for number, age in enumerate(AGES):
                lines = int(rng.integers(1, per_class))
                made.residents(home, sex, age, lines + int(rng.integers(0, 9)))
                for _ in range(lines):
                    one = made.line(home, sex, 15 + 5 * number + int(rng.integers(0, 5)))
                    for hour in hours:
                        away = int(rng.integers(0, 60))
                        made.stay(one, int(rng.choice(land)), hour, 60 * away)
                        made.stay(one, int(rng.choice(land)), hour, 3600 - 60 * away, minute=away)
    return made
