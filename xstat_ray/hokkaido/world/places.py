"""Places where people live and go: the municipalities of Hokkaido, then the other prefectures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido, mesh
from xstat_ray.geo.roads import drive_minutes, road_km

GATEWAY_MINUTES = 60.0
"""Minutes from a home outside Hokkaido to the airport that its prefecture uses."""
_PEOPLE_PER_CELL = 1_500
"""People of a settled 500 m cell at the centre of a town."""
_TOURISTS_PER_MILLION = 3.0
"""Weight of a prefecture as a destination for each million of its inhabitants, on the scale of
attractions.csv."""
_ZONE_KM = 1.2
"""A cell whose centre is this close to the runway's centre is in the airport's zone."""


@dataclass(frozen=True)
class Places:
    """P places, those of Hokkaido first, in the order of their codes."""

    codes: NDArray[np.object_]
    """(P,) codes of municipalities and prefectures."""
    regions: NDArray[np.object_]
    """(P,) home regions of the airline: Hokkaido, Kanto, ..."""
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    population: NDArray[np.float64]
    air: NDArray[np.float64]
    """(12, P) attraction for people who come by air, by month."""
    ground: NDArray[np.float64]
    """(12, P) attraction for people who come by road, by month; zero outside Hokkaido."""
    local: int
    """Number of places in Hokkaido."""
    airports: list[str]
    access: NDArray[np.float64]
    """(P, A) minutes between a place and an airport; infinite where nobody goes that way."""
    airport_lat: NDArray[np.float64]
    airport_lon: NDArray[np.float64]
    drive: NDArray[np.float64]
    """(P, P) minutes by road; infinite unless both are in Hokkaido."""
    cells: NDArray[np.int32]
    """500 m cells, place by place, from the town hall outwards."""
    starts: NDArray[np.int64]
    """(P + 1,) positions at which the cells of a place start."""

    def cell(
        self, place: NDArray[np.int64], u: NDArray[np.float64], spread: float = 1.0
    ) -> NDArray[np.int32]:
        """Choose a settled cell of each place.

        Ranks from the centre are geometric, with a mean that grows with the population.

        Args:
            place: (N,) places.
            u: (N,) uniform numbers in [0, 1).
            spread: spread of people, in that of their homes.

        Returns:
            (N,) 500 m cells.
        """
        mean = spread * (2 + self.population[place] / _PEOPLE_PER_CELL)
        rank = (-np.log1p(-u) * mean).astype(np.int64)
        size = self.starts[place + 1] - self.starts[place]
        return self.cells[self.starts[place] + rank % size]

    def zones(self, cells: NDArray[np.int32], homes: NDArray[np.int32]) -> NDArray[np.int8]:
        """Find the zones of people.

        The square of 1 km around the home is near home; the zone of an airport comes first.

        Args:
            cells: (N,) cells where people are.
            homes: (N,) cells of their homes.

        Returns:
            (N,) places in `zone_names`: an airport, near home, or elsewhere.
        """
        near = np.where(
            cells // 10 == homes // 10, len(self.airports), len(self.airports) + 1
        ).astype(np.int8)
        zone_cells, zone_airport = _airport_zones()
        place = np.searchsorted(zone_cells, cells)
        place[place == len(zone_cells)] = 0
        return np.where(zone_cells[place] == cells, zone_airport[place], near)

    def municipality(self, cells: NDArray[np.int32]) -> NDArray[np.int64]:
        """Find the places of cells, in an array of any shape; -1 outside Hokkaido."""
        known, place = _municipalities()
        at = np.minimum(np.searchsorted(known, cells), len(known) - 1)
        return np.where(known[at] == cells, place[at], -1)

    @property
    def zone_names(self) -> list[str]:
        """Names of zones: the airports, `home` and `elsewhere`."""
        return [*self.airports, "home", "elsewhere"]


@cache
def places() -> Places:
    """Make the places, once in a process."""
    towns = hokkaido.municipalities()
    outside = read_csv("prefectures.csv")
    local = towns.num_rows
    lat, lon = (
        np.concatenate([towns[c].to_numpy(), outside[c].to_numpy()]) for c in ("lat", "lon")
    )
    population = np.concatenate(
        [towns["population"].to_numpy(), outside["population"].to_numpy()]
    ).astype(float)
    codes = np.array(towns["code"].to_pylist() + outside["code"].to_pylist(), object)
    airports = hokkaido.airports()
    names = airports["iata"].to_pylist()
    at = (airports["lat"].to_numpy(), airports["lon"].to_numpy())
    access = drive_minutes(road_km(lat[:, None], lon[:, None], *at))
    in_hokkaido = np.array([code.startswith("01") for code in airports["municipality"].to_pylist()])
    access[:local, ~in_hokkaido] = access[local:] = np.inf
    access[
        np.arange(local, len(codes)), [names.index(a) for a in outside["gateway"].to_pylist()]
    ] = GATEWAY_MINUTES
    drive = drive_minutes(road_km(lat[:, None], lon[:, None], lat, lon))
    drive[local:] = drive[:, local:] = np.inf
    air, ground = _attraction(codes, population, local)
    cells, starts = _cells_by_place(towns, outside)
    return Places(
        codes=codes,
        regions=np.array(["Hokkaido"] * local + outside["region"].to_pylist(), object),
        lat=lat,
        lon=lon,
        population=population,
        air=air,
        ground=ground,
        local=local,
        airports=names,
        access=access,
        airport_lat=at[0],
        airport_lon=at[1],
        drive=drive,
        cells=cells,
        starts=starts,
    )


def read_csv(name: str) -> pa.Table:
    """Read a file of data/; codes, times and dates stay text."""
    texts = ("code", "departure", "arrival", "first_day", "weekdays")
    options = pa_csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()))
    with as_file(files(__package__) / "data" / name) as path:
        return pa_csv.read_csv(path, convert_options=options)


def _attraction(
    codes: NDArray[np.object_], population: NDArray[np.float64], local: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make the attractions by air and by ground, each (12, P).

    A place that is not in the table attracts a little, in proportion to its population.
    """
    table = read_csv("attractions.csv")
    seasons = read_csv("seasons.csv").to_pylist()
    months = {row["season"]: np.array([row[str(m)] for m in range(1, 13)]) for row in seasons}
    base = np.where(
        np.arange(len(codes)) < local, population * 3e-5, population * _TOURISTS_PER_MILLION / 1e6
    )
    air, ground = (np.tile(base, (12, 1)) for _ in range(2))
    ground[:, local:] = 0
    number = {code: place for place, code in enumerate(codes)}
    for row in table.to_pylist():
        place = number[row["code"]]
        by_month = months[row["season"]]
        air[:, place] = row["air"] * by_month
        ground[:, place] = row["ground"] * by_month
    return air, ground


def _cells_by_place(
    towns: pa.Table, outside: pa.Table
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    cells, place = _municipalities()
    lat, lon = mesh.centre(cells, "500m")
    away = road_km(lat, lon, towns["lat"].to_numpy()[place], towns["lon"].to_numpy()[place])
    order = np.lexsort((cells, away, place))
    capitals = mesh.encode(outside["lat"].to_numpy(), outside["lon"].to_numpy(), "500m")
    sizes = np.concatenate(
        [np.bincount(place, minlength=towns.num_rows), np.ones(outside.num_rows, int)]
    )
    return np.concatenate([cells[order], capitals]).astype(np.int32), np.append(0, np.cumsum(sizes))


@cache
def _municipalities() -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """List the land cells of Hokkaido, ascending, and the place of each."""
    land = hokkaido.cells()
    codes = hokkaido.municipalities()["code"].to_pylist()
    code = land["municipality"].combine_chunks()
    number = {name: place for place, name in enumerate(codes)}
    place = np.array([number[name] for name in code.dictionary.to_pylist()])[
        code.indices.to_numpy()
    ]
    return land["mesh"].to_numpy(), place


@cache
def _airport_zones() -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """List the cells of the zones of airports, ascending, and the airport of each."""
    table = hokkaido.airports()
    step = np.arange(-4, 5) * np.array([[1 / 240], [1 / 160]])
    around = np.stack(np.meshgrid(*step, indexing="ij")).reshape(2, -1)
    lat = table["lat"].to_numpy()[:, None] + around[0]
    lon = table["lon"].to_numpy()[:, None] + around[1]
    cells = mesh.encode(lat.ravel(), lon.ravel(), "500m").reshape(lat.shape)
    at_lat, at_lon = (degrees.reshape(lat.shape) for degrees in mesh.centre(cells.ravel(), "500m"))
    km = road_km(at_lat, at_lon, table["lat"].to_numpy()[:, None], table["lon"].to_numpy()[:, None])
    airport, column = np.nonzero(km <= 1.3 * _ZONE_KM)
    found, first = np.unique(cells[airport, column], return_index=True)
    return found.astype(np.int32), airport[first].astype(np.int8)
