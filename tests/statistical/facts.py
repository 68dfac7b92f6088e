"""What is published of made-up worlds, beside the true facts: which are found, and which are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import binom

from tests.statistical.world import CODES, LEVEL, NAMES, STATES, Found
from xstat_ray.hokkaido.needs.access import AIRPORTS, Travel, airport_minutes
from xstat_ray.hokkaido.needs.answer import STUDIED
from xstat_ray.hokkaido.needs.findings import Findings, find
from xstat_ray.hokkaido.needs.index import rank
from xstat_ray.hokkaido.needs.opening import FLIGHTS, OPENED
from xstat_ray.hokkaido.needs.publication import NoisyCounts
from xstat_ray.hokkaido.needs.shares import shares

CLEAR = 3.0
"""Standard errors by which a fact must stand out to be counted on."""
TRAFFIC = 20
"""Visitor-days, of those whom both companies know, from which a municipality has traffic."""
BORDERING = ("KUH", "MMB")
PORT = AIRPORTS.index(OPENED)
Flags = NDArray[np.bool_]


def columns(table: pa.Table, *names: str) -> Iterator[NDArray[np.float64]]:
    """Read columns into float arrays, with NaN for null."""
    return (np.array(table[name].to_pylist(), dtype=float) for name in names)


# The findings that the demo ends with


class Watershed(NamedTuple):
    """Municipalities of Kushiro and Memanbetsu that have traffic.

    The truth is the airport of most visitor-days of everybody.
    """

    places: int
    right: int
    """Of which the leading airport is named and right."""
    wrong: int

    @property
    def found(self) -> bool:
        """Whether most are named right, and hardly any wrong."""
        return self.right > self.places / 2 and self.right > 5 * self.wrong


def watershed(found: Found) -> Watershed:
    """Compare the leading airports that are told with the true ones."""
    true = found.truth.watershed.sum(axis=1).argmax(axis=1)
    counted = found.truth.counted.sum(axis=(1, 2))
    told_of = told(found).watershed
    leading = {name: port for port, names in told_of.items() for name in names}
    named = [
        (leading.get(NAMES[place]), AIRPORTS[true[place]])
        for place in range(len(CODES))
        if counted[place] >= TRAFFIC and AIRPORTS[true[place]] in BORDERING
    ]
    right = sum(port == airport for port, airport in named)
    return Watershed(len(named), right, sum(port is not None for port, _ in named) - right)


def true_rise(found: Found) -> float:
    """By how much the share of Nakashibetsu in the visitor-days of all areas truly rose."""
    days = found.truth.watershed
    before, after = days[..., PORT].sum(axis=0) / days.sum(axis=(0, 2))
    return float(after - before)


def shift_is_told(found: Found) -> bool:
    """Whether the rise of Nakashibetsu's share of all areas is told, right within 5 points."""
    region = told(found).region
    return region is not None and abs(region.after - region.before - true_rise(found)) < 0.05


def no_rise_is_made_up(found: Found) -> bool:
    """Whether the share of Nakashibetsu has truly risen in all areas that are named."""
    days = found.truth.watershed
    with np.errstate(invalid="ignore"):
        part = days[..., PORT] / days.sum(axis=-1)
    truly = {name for name, rise in zip(NAMES, part[:, 1] - part[:, 0], strict=True) if rise > 0}
    return {rise.area for rise in told(found).risen} <= truly


def told(found: Found) -> Findings:
    return find(found.tables)


def true_five(found: Found) -> set[str]:
    """The five areas that are truly the neediest."""
    return {NAMES[place] for place in np.flatnonzero(rank(found.truth.need) <= 5)}


# Facts of single areas and airports


def main_airports(found: Found) -> dict[str, tuple[bool, str]]:
    """Find areas of which one airport truly leads by more than noise, among those counted.

    Returns:
        By area, whether the airport that most of everybody used is named, and which it is.
    """
    stderr = next(columns(found.tables["watershed"], "stderr")).reshape(-1, len(AIRPORTS))
    true = found.truth.watershed.sum(axis=1).argmax(axis=1)
    second, first = np.sort(found.truth.counted.sum(axis=1), axis=1)[:, -2:].T
    clear = first - second > CLEAR * np.sqrt(2) * stderr.max(axis=1)
    rows = {row["name_en"]: row["main_airport"] for row in found.tables["needs"].to_pylist()}
    return {
        NAMES[place]: (rows[NAMES[place]] == AIRPORTS[true[place]], AIRPORTS[true[place]])
        for place in np.flatnonzero(clear)
    }


class Shifts(NamedTuple):
    """Areas in which the share of Nakashibetsu is known before and after."""

    seen: Flags
    """Of those with a true rise that stands out, whether a rise is found."""
    denied: bool
    """Whether a fall is found where the share rose by 5 points or more."""
    inside: Flags
    """Of all of them, whether the interval of the change holds the true one."""


def shifts(found: Found) -> Shifts:
    """Compare the changes of the share of Nakashibetsu with the true ones."""
    days = found.truth.watershed
    with np.errstate(invalid="ignore"):
        part = days[..., PORT] / days.sum(axis=-1)
    true = part[:, 1] - part[:, 0]
    change, low, high = columns(found.tables["opening"], "change", "low95", "high95")
    known = ~np.isnan(change) & ~np.isnan(true)
    clear = known & (true > CLEAR * (high - low) / (2 * 1.96))
    denied = bool((high[known & (true > 0.05)] < 0).any())
    return Shifts(low[clear] > 0, denied, ((low <= true) & (true <= high))[known])


class Boarding(NamedTuple):
    """How far shares near the airport are from the true ones, in standard errors."""

    counted: NDArray[np.float64]
    """From the share of those who can be counted, in standard errors of the noise."""
    everybody: NDArray[np.float64]
    """From the share of everybody, in stated standard errors."""


def boarding(found: Found) -> Boarding:
    """Compare the shares of passengers near the airport, where they are known."""
    rows = {
        tuple(row[n] for n in ("airport", "flight", "before", "state")): row
        for row in found.tables["boarding"].to_pylist()
    }
    errors: list[list[float]] = [[], []]
    for at in np.ndindex(found.truth.boarding.shape[:-1]):
        label = STUDIED[at[0]], FLIGHTS[at[1]], ("departure-60m", "departure-20m")[at[2]]
        by_state = [rows[*label, state] for state in STATES]
        near = by_state[1]
        if near["share"] is None:
            continue
        passengers = NoisyCounts(
            np.array([row["passengers"] for row in by_state]),
            np.array([row["stderr"] ** 2 for row in by_state]),
        )
        for kept, truth, stderr in (
            (errors[0], found.truth.boarding_counted[at], shares(passengers).stderr[1]),
            (errors[1], found.truth.boarding[at], near["share_stderr"]),
        ):
            kept.append((near["share"] - truth[1] / truth.sum()) / stderr)
    return Boarding(*(np.array(part, float) for part in errors))


class Landing(NamedTuple):
    """Minutes from landing of areas to which at least 100 passengers went."""

    errors: NDArray[np.float64]
    stderrs: NDArray[np.float64]
    by_nearest: NDArray[np.float64]
    """Errors of an estimate by which everybody lands at the nearest airport."""


def landing(found: Found) -> Landing:
    """Compare the minutes from landing with the true ones."""
    rows = {row["name_en"]: row for row in found.tables["needs"].to_pylist()}
    value, stderr = np.array(
        [[rows[n]["landing_minutes"], rows[n]["landing_minutes_stderr"]] for n in NAMES]
    ).T
    nearest = Travel().leaving + airport_minutes().min(axis=1)
    many = found.truth.passengers >= 100
    error, by_nearest = ((minutes - found.truth.landing)[many] for minutes in (value, nearest))
    return Landing(error, stderr[many], by_nearest)


def needs_inside(found: Found, least: float) -> Flags:
    """Find of the areas whose true need is at least this, whether the interval holds it."""
    rows = {row["name_en"]: row for row in found.tables["needs"].to_pylist()}
    low, high = np.array([[rows[n]["need_low95"], rows[n]["need_high95"]] for n in NAMES], float).T
    need = found.truth.need
    return ((low <= need) & (need <= high))[need >= least]


def five_found(found: Found) -> int:
    """Count how many of the five truly neediest areas head the list."""
    names = [row["name_en"] for row in found.tables["needs"].to_pylist()[:5]]
    return len(true_five(found) & set(names))


def covers(errors: NDArray[np.float64], independent: float = 1.0) -> bool:
    """Whether errors, in standard errors, can be within 1.96 of them in 95 of 100.

    Args:
        errors: of all worlds or draws.
        independent: part of them that are independent of the others.
    """
    inside = int((np.abs(errors) <= 1.96).sum() * independent)
    return bool(binom.cdf(inside, int(len(errors) * independent), 0.95) > LEVEL)


def mostly(right: list[bool]) -> bool:
    """Whether as many are right as chance allows where 90 of 100 are."""
    return bool(binom.cdf(sum(right), len(right), 0.9) > LEVEL)
