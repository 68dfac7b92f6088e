"""An operator's tables, made by hand: subscribers with classes, their presence, and a register."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.declaration import Breakdown, Declaration
from xstat_ray.hokkaido.population.register import AGES, SEXES
from xstat_ray.hokkaido.population.run import OperatorTables
from xstat_ray.model.study import Privacy

FIRST_DAY = dt.date(2023, 11, 1)
HOMES = ("01100", "01206", "01223", "01639", "13000")
EXACT = Privacy(noise="off", suppress_below=0)
JOINT = (Breakdown("joint", ("residence", "age", "gender"), Fraction(1)),)
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
BOUNDED: dict[str, Any] = {
    "breakdowns": BY_RESIDENCE,
    "residence": "local",
    "weight_cap": Fraction(3),
}
"""A declaration whose weights are cut, so that one person moves little."""


def declare(**changes: Any) -> Declaration:
    """Declare a day of exact sums by residence, age and gender, with some changes."""
    defaults: dict[str, Any] = {
        "first_day": FIRST_DAY,
        "days": 1,
        "breakdowns": JOINT,
        "residence": "municipality",
        "class_residents": 1,
        "weight_cap": Fraction(100),
        "least_lines": 0,
        "privacy": EXACT,
    }
    return Declaration(**defaults | changes)


@dataclass
class Operator:
    """Rows of the tables; subscribers are numbered from 0."""

    subscribers: list[dict] = field(default_factory=list)
    presence: list[dict] = field(default_factory=list)
    register: list[dict] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def add_subscriber(
        self, home: str = "01206", sex: str = "female", age: int = 40, **other: Any
    ) -> str:
        """Add a subscriber, and return the phone number."""
        phone = f"+8190{len(self.subscribers):08d}"
        row = {
            "subscriber": phone,
            "sex": sex,
            "birth_year": FIRST_DAY.year - age,
            "home": home,
            "corporate": False,
        }
        self.subscribers.append(row | other)
        return row["subscriber"]

    def stay(
        self,
        subscriber: str,
        mesh: int,
        hour: int,
        seconds: int = 3600,
        minute: int = 0,
        day: int = 0,
    ) -> None:
        """Add a row of presence."""
        at = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(
            days=day, hours=hour, minutes=minute
        )
        self.presence.append({"subscriber": subscriber, "time": at, "mesh": mesh, "dwell": seconds})

    def residents(self, home: str, sex: str, age: str, residents: int) -> None:
        """Add a class of the register."""
        self.register.append({"home": home, "sex": sex, "age": age, "residents": residents})

    def write(self, folder: Path, files: int = 1) -> OperatorTables:
        """Write the tables; subscribers are dealt to the files of the presence table."""
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted({row["subscriber"] for row in self.presence})
        rows = sorted(self.presence, key=lambda row: (row["subscriber"], row["time"]))
        (folder / "presence").mkdir(exist_ok=True)
        for number in range(files):
            dealt = [row for row in rows if names.index(row["subscriber"]) % files == number]
            write_rows(dealt, PRESENCE, folder / "presence" / f"part-{number}.parquet")
        write_rows(self.subscribers, SUBSCRIBERS, folder / "subscribers.parquet")
        write_rows(self.register, REGISTER, folder / "register.parquet")
        write_rows(
            [{"subscriber": phone} for phone in self.excluded],
            SUBSCRIBERS,
            folder / "out.parquet",
            ["subscriber"],
        )
        paths = (folder / "presence", folder / "subscribers.parquet", folder / "register.parquet")
        return OperatorTables(*paths, excluded=(folder / "out.parquet",))


PRESENCE = {
    "subscriber": pa.string(),
    "time": pa.timestamp("s"),
    "mesh": pa.int32(),
    "dwell": pa.int32(),
}
SUBSCRIBERS = {
    "subscriber": pa.string(),
    "sex": pa.string(),
    "birth_year": pa.int16(),
    "home": pa.string(),
    "corporate": pa.bool_(),
}
REGISTER = {"home": pa.string(), "sex": pa.string(), "age": pa.string(), "residents": pa.int32()}


def write_rows(
    rows: list[dict], types: dict[str, pa.DataType], path: Path, columns: list[str] | None = None
) -> None:
    """Write some columns of rows as Parquet."""
    schema = pa.schema([(name, types[name]) for name in columns or types])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def cells_of(home: str) -> NDArray[np.int64]:
    """Find the 500 m cells of a municipality."""
    land = hokkaido.cells()
    return land.filter(pa.compute.equal(land["municipality"].cast(pa.string()), home))[
        "mesh"
    ].to_numpy()


def crowd(
    seed: int,
    per_class: int = 4,
    hours: range = range(24),
    homes: tuple[str, ...] = HOMES,
) -> Operator:
    """Draw residents of every class, and subscribers who spend all hours somewhere in Hokkaido."""
    rng = np.random.default_rng(seed)
    made = Operator()
    land = hokkaido.cells()["mesh"].to_numpy()
    for home in homes:
        for sex in SEXES:
            for number, age in enumerate(AGES):
                subscribers = int(rng.integers(1, per_class))
                made.residents(home, sex, age, subscribers + int(rng.integers(0, 9)))
                for _ in range(subscribers):
                    years = 15 + 5 * number + int(rng.integers(0, 5))
                    phone = made.add_subscriber(home, sex, years)
                    for hour in hours:
                        away = int(rng.integers(0, 60))
                        made.stay(phone, int(rng.choice(land)), hour, 60 * away)
                        made.stay(phone, int(rng.choice(land)), hour, 3600 - 60 * away, minute=away)
    return made
