"""Padded tables in which many people are or are not, by a coin each, and what is counted of them.

The aggregator sees sets: of every batch the tags of flags, of every shard tags and blinded cells of
rows. One run in which a coin is thrown for each of many cells, or batches, is a draw of two worlds
for each of them: dummies of different cells and batches are independent, and so are guesses by
what is counted in one of them.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.adversary.criterion import Features
from tests.adversary.recorder import Record, Thing
from tests.case import study
from xstat_ray.model.study import Role, Study

JOIN = "roles/join.join."
"""Begins the names of what the join of a shard has."""
TAG_BYTES = 16
HALF = 8
"""Bytes of a tag that no two tags have in common by chance."""
KINDS = ("met", "unmet")
"""Rows that meet a flag, and those that meet none."""
ROLES: dict[str, Sequence[Role]] = {
    "met": ("row", "column"),
    "unmet": ("row",),
    "flag": ("column",),
}
"""In whose tables people are who give such rows, or nothing but flags."""
Counts = dict[str, NDArray[Any]]
"""Numbers by name, one for each cell or for each batch."""


def padded_study(areas: int, days: int, epsilon: float, delta: float, boardings: int = 1) -> Study:
    """Make a padded study of so many areas and days; a person has one row a day, and flags."""
    start = dt.date(2024, 5, 1)
    return study(
        noise="laplace",
        areas=[f"a{number:03d}" for number in range(areas)],
        period={"grain": "date", "start": str(start), "end": str(start + dt.timedelta(days))},
        row={"time": "at"},
        column={"time": "at"},
        bounds={"boardings": boardings, "per_column": boardings, "persons": 2000},
        privacy={
            "mechanism": "flat",
            "padding": "dp",
            "view": {"epsilon": epsilon, "delta": delta},
            "cap": 100,
        },
    )


@dataclass(frozen=True)
class Stay:
    """A person who was in an area on some days, and is in these tables."""

    person: str
    area: int
    days: Sequence[int]
    roles: Sequence[Role]


Coins = dict[str, NDArray[np.bool_]]
"""(cells,) whether there is somebody in each cell who is in both tables; and in one of them."""


def coins(cells: int, seed: int) -> Coins:
    """Throw coins for two people of every cell."""
    draw = np.random.default_rng(seed)
    return {kind: draw.integers(0, 2, cells).astype(bool) for kind in KINDS}


def stays_in_cells(there: Coins, days: int) -> list[Stay]:
    """The people who are there, on all days."""
    return [
        Stay(f"{kind} {cell}", cell, range(days), ROLES[kind])
        for kind in KINDS
        for cell in np.flatnonzero(there[kind]).tolist()
    ]


def tables_of(stays: Iterable[Stay]) -> dict[Role, Any]:
    """Both tables, with a row or a flag for every day."""
    found: dict[Role, Any] = {
        "row": {"id": [], "at": [], "area": []},
        "column": {"id": [], "at": [], "kind": []},
    }
    for stay in stays:
        for role in stay.roles:
            for day in stay.days:
                found[role]["id"].append(stay.person)
                found[role]["at"].append(dt.datetime(2024, 5, 1, 3) + dt.timedelta(day))
                last = f"a{stay.area:03d}" if role == "row" else "x"
                found[role]["area" if role == "row" else "kind"].append(last)
    return found


@dataclass(frozen=True)
class Sent:
    """The rows and the flags that the aggregator was given to join, shard by shard."""

    rows: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]]
    """Tags (N, 16) and blinded cells (N,) of every shard."""
    flags: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    """Tags (N, 16) and ciphertexts (N, bytes) of every batch."""

    @classmethod
    def of(cls, things: Iterable[Thing]) -> Sent:
        """Find them among all that the aggregator had."""
        parts: dict[str, list[Any]] = {}
        for thing in things:
            if thing.name.startswith(JOIN):
                parts.setdefault(thing.name.removeprefix(JOIN), []).append(thing.value)
        shards = zip(parts["rows.shard"], parts["rows.tags"], parts["rows.cells"], strict=True)
        batches = zip(
            parts["flags[0].batch"],
            parts["flags[0].tags"],
            parts["flags[0].ciphertexts"],
            strict=True,
        )
        return cls(
            [(tags, at.astype(np.int64)) for _, tags, at in sorted(shards, key=itemgetter(0))],
            [(tags, c.reshape(len(c), -1)) for _, tags, c in sorted(batches, key=itemgetter(0))],
        )

    def met(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Blinded cells of every shard's rows, and which rows met a flag of any batch."""
        flags = parts_of([tags for tags, _ in self.flags])
        for tags, cells in self.rows:
            yield cells, np.isin(parts_of([tags]), flags)

    def known(
        self, tags: NDArray[Any], cells: int, start: int = 0, stop: int = TAG_BYTES
    ) -> dict[str, NDArray[np.int64]]:
        """(batches, cells) rows whose tags have these bytes among some that are known.

        Those that met a flag, and those that met none.
        """
        regions = len(self.rows) // len(self.flags)
        found = {kind: np.zeros((len(self.flags), cells), np.int64) for kind in KINDS}
        for shard, (own, (at, met)) in enumerate(zip(self.rows, self.met(), strict=True)):
            is_known = np.isin(parts_of([own[0]], start, stop), tags)
            for kind, which in (("met", is_known & met), ("unmet", is_known & ~met)):
                found[kind][shard // regions] += np.bincount(at[which], minlength=cells)
        return found

    def tags(self) -> list[NDArray[np.uint8]]:
        """All tags, of rows and of flags."""
        return [tags for tags, _ in (*self.rows, *self.flags)]

    def with_ciphertexts_of(self, other: Sent) -> NDArray[Any]:
        """Tags of the flags whose ciphertexts the other view has too."""
        known = {row.tobytes() for _, numbers in other.flags for row in numbers}
        return parts_of(
            [tags[[row.tobytes() in known for row in numbers]] for tags, numbers in self.flags]
        )


def parts_of(
    tags: Sequence[NDArray[np.uint8]], start: int = 0, stop: int = TAG_BYTES
) -> NDArray[Any]:
    """The same bytes of all these tags, those of each tag as one value."""
    part = np.ascontiguousarray(np.concatenate(tags)[:, start:stop])
    return part.view(f"S{stop - start}").ravel()


def by_cell(things: Sequence[Thing], cells: int) -> Counts:
    """Whatever the aggregator had that is one number for each blinded cell, and sums of it.

    Arrays with a number for each cell are taken as they are; of arrays of cells it is how often
    each stands in them; and of every shard how many rows met a flag, and how many met none.
    """
    found = with_one_number_each(things, cells)
    for shard, (at, met) in enumerate(Sent.of(things).met()):
        found[f"met, shard {shard}"] = np.bincount(at[met], minlength=cells)
        found[f"unmet, shard {shard}"] = np.bincount(at[~met], minlength=cells)
    for kind in KINDS:
        found[kind] = sum(found[name] for name in list(found) if name.startswith(f"{kind}, "))
    return found


def with_one_number_each(things: Iterable[Thing], cells: int) -> Counts:
    """Arrays with a number for each cell, and how often each cell stands in arrays of cells."""
    found: Counts = {}
    times = Counter[str]()
    for thing in things:
        value = thing.value
        if not isinstance(value, np.ndarray) or value.ndim != 1 or not len(value):
            continue
        if value.dtype.kind not in "iu":
            continue
        times[thing.name] += 1
        name = f"{thing.kind} {thing.name} #{times[thing.name]}"
        if len(value) == cells:
            found[name] = value
        if thing.name.endswith("cells") and value.max() < cells:
            found[f"{name} counted"] = np.bincount(value, minlength=cells)
    return _different(found)


def _different(counts: Counts) -> Counts:
    """One of each: what was handed on is recorded again."""
    kept = {numbers.astype(np.int64).tobytes(): name for name, numbers in counts.items()}
    return {name: counts[name] for name in kept.values()}


def by_batch(things: Sequence[Thing], batches: int) -> Counts:
    """Numbers of flags, of rows, and of those that met, of every batch and of its shards."""
    sent = Sent.of(things)
    assert len(sent.flags) == batches and len(sent.rows) % batches == 0
    regions = len(sent.rows) // batches
    met = np.array([(found.sum(), (~found).sum()) for _, found in sent.met()])
    met = met.reshape(batches, regions, 2)
    found: Counts = {"flags": np.array([len(tags) for tags, _ in sent.flags])}
    for kind, name in enumerate(KINDS):
        found[name] = met[:, :, kind].sum(axis=1)
        found |= {f"{name}, region {region}": met[:, region, kind] for region in range(regions)}
    found["flags that met none"] = found["flags"] - found["met"]
    return found


def both(first: Counts, second: Counts) -> Counts:
    """What two views tell together: both, what changed between them, and their sum."""
    found = {f"{name}, first": numbers for name, numbers in first.items()}
    found |= {f"{name}, second": numbers for name, numbers in second.items()}
    for name in first.keys() & second.keys():
        found[f"change of {name}"] = second[name].astype(np.int64) - first[name].astype(np.int64)
        found[f"sum of {name}"] = second[name].astype(np.int64) + first[name].astype(np.int64)
    return found


def linked(views: Sequence[Sent], orders: Sequence[NDArray[Any]]) -> Counts:
    """How many rows of each cell have something in common with anything of the other view.

    Args:
        views: two views.
        orders: (cells,) blinded number of each cell in either of them.
    """
    cells = len(orders[0])
    of_views: list[Counts] = []
    for here, there, order in zip(views, views[::-1], orders, strict=True):
        found: Counts = {}
        everything = here.known(parts_of(here.tags()), cells)
        for start, stop in ((0, TAG_BYTES), (0, HALF), (HALF, TAG_BYTES)):
            known = here.known(parts_of(there.tags(), start, stop), cells, start, stop)
            for kind, numbers in known.items():
                what = f"{kind}, by bytes {start} to {stop}"
                found[f"known, {what}"] = numbers[:, order]
                found[f"unknown, {what}"] = (everything[kind] - numbers)[:, order]
        flags = here.known(here.with_ciphertexts_of(there), cells)["met"]
        found["known, met, by the ciphertext"] = flags[:, order]
        of_views.append(found)
    return _summed(*of_views)


def _summed(first: Counts, second: Counts) -> Counts:
    """Sums over the batches: of either view, and of the smaller number of both."""
    found: Counts = {}
    for name in first:
        found[f"{name}, first"] = first[name].sum(axis=0)
        found[f"{name}, second"] = second[name].sum(axis=0)
        found[f"{name}, at least"] = np.minimum(first[name], second[name]).sum(axis=0)
    return found


def order_of(record: Record, row_party: str = "row") -> NDArray[Any]:
    """(cells,) blinded numbers of the cells: a row party's secret, for which it is asked."""
    (order,) = {
        thing.value.tobytes(): thing.value
        for thing in record.of(row_party)
        if thing.name.endswith("Blinding.forward()") and isinstance(thing.value, np.ndarray)
    }.values()
    return order


def in_order(counts: Counts, order: NDArray[Any]) -> Counts:
    """Numbers of blinded cells in the order of the study."""
    return {name: numbers[order] for name, numbers in counts.items()}


def drawn(
    counts: Counts, coins: NDArray[np.bool_], kept: Iterable[int]
) -> list[tuple[Features, int]]:
    """One draw for each cell or batch: its numbers, and its world.

    Args:
        counts: numbers of the cells or batches.
        coins: (cells or batches,) the world of each.
        kept: the cells or batches that are looked at.
    """
    return [
        ({name: float(values[number]) for name, values in counts.items()}, int(coins[number]))
        for number in kept
    ]
