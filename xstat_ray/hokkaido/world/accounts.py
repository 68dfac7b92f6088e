"""The operator's tables of subscribers and of their year, and the public resident register."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.labels import LABEL, SEXES, labelled
from xstat_ray.hokkaido.world.people import USED_AGES, People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.year import Year

SUBSCRIBERS = pa.schema([
    ("subscriber", pa.string()),
    ("sex", LABEL),
    ("birth_year", pa.int16()),
    ("home", LABEL),
    ("corporate", pa.bool_()),
])  # fmt: skip
"""`home` is the code of a municipality of Hokkaido or of another prefecture."""
OPT_OUT = pa.schema([("subscriber", pa.string())])
NOT_USED = pa.schema([("subscriber", pa.string()), ("reason", pa.string())])
VISITS = pa.schema([
    ("subscriber", pa.string()),
    ("mesh", pa.int32()),
    ("visits", pa.int16()),
    ("nights", pa.int16()),
])  # fmt: skip
"""`mesh` is the 500 m cell where they stay overnight; a municipality has one row a subscriber."""
REGISTER = pa.schema(
    [("home", pa.string()), ("sex", pa.string()), ("age", pa.string()), ("residents", pa.int32())]
)
"""`age` is a five-year class, "15-19" to "75-79"; homes, sexes and classes without residents have
no row."""
AGE_WIDTH = 5


def subscribers(world: World, people: People) -> pa.Table:
    """Make the table of the operator's subscribers, with the schema `SUBSCRIBERS`.

    Age is the year of the first day less the year of birth.
    """
    who = np.flatnonzero(people.subscriber)
    columns = [
        people.phones(who),
        labelled(people.male[who], SEXES),
        pa.array((world.first_day.year - people.age[who]).astype(np.int16)),
        labelled(people.home[who], list(places().codes)),
        pa.array(people.corporate[who]),
    ]
    return pa.table(columns, schema=SUBSCRIBERS)


def opt_out(people: People) -> pa.Table:
    """List those who asked the operator not to use their data, with the schema `OPT_OUT`."""
    return pa.table([people.phones(people.opt_out)], schema=OPT_OUT)


def not_used(people: People) -> pa.Table:
    """List subscribers whom the operator's guideline leaves out, with the schema `NOT_USED`."""
    who = people.subscriber & people.unused
    reason = np.where(people.corporate[who], "corporate line", "age outside 15-79")
    return pa.table([people.phones(who), pa.array(reason.tolist(), pa.string())], schema=NOT_USED)


def visits(people: People, year: Year) -> pa.Table:
    """List where subscribers stayed in the year, with the schema `VISITS`.

    A visit is a stay of a night or more in a municipality in which they do not live.
    """
    stays = year.stays
    rows = np.flatnonzero(people.subscriber[stays.person])
    columns = [
        people.phones().take(pa.array(stays.person[rows])),
        pa.array(stays.cell[rows]),
        pa.array(stays.visits[rows].astype(np.int16)),
        pa.array(stays.nights[rows].astype(np.int16)),
    ]
    return pa.table(columns, schema=VISITS)


def residents(people: People) -> NDArray[np.int64]:
    """Count residents of the ages that are used, subscribers or not.

    Returns:
        (places, sexes, classes) people, in the order of `SEXES`.
    """
    shape = (len(places().codes), 2, (USED_AGES[1] + 1 - USED_AGES[0]) // AGE_WIDTH)
    count = np.zeros(shape, np.int64)
    used = (people.age >= USED_AGES[0]) & (people.age <= USED_AGES[1])
    classes = (people.age[used] - USED_AGES[0]) // AGE_WIDTH
    np.add.at(count, (people.home[used], people.male[used].astype(int), classes), 1)
    return count


def register(count: NDArray[np.int64]) -> pa.Table:
    """Make the register of all residents, with the schema `REGISTER`.

    Args:
        count: sum of `residents` over all blocks.
    """
    home, male, age = np.nonzero(count)
    labels = [
        f"{youngest}-{youngest + AGE_WIDTH - 1}"
        for youngest in range(USED_AGES[0], USED_AGES[1], AGE_WIDTH)
    ]
    columns = [
        pa.array(places().codes[home].tolist(), pa.string()),
        pa.array(np.array(SEXES)[male.astype(int)].tolist(), pa.string()),
        pa.array(np.array(labels)[age].tolist(), pa.string()),
        pa.array(count[home, male, age].astype(np.int32)),
    ]
    return pa.table(columns, schema=REGISTER)
